"""The bootstrap over speakers: against loops that repeat trials, and on simulated speakers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.bootstrap import FEWEST_SPEAKERS, WeightedErrors, speaker_bootstrap, speaker_counts
from trainables.metrics import equal_error_rate, minimum_detection_cost


def simulated(num_speakers: int, *, utterances: int = 3, gap: float = 1.5, spread: float = 0.5, seed: int = 0):
    """All pairs of some speakers' utterances: (scores, labels, left, right); speakers differ in how alike they are."""
    generator = np.random.default_rng(seed)
    speaker_U = np.repeat(np.arange(num_speakers), utterances)
    left, right = (speaker_U[side] for side in np.triu_indices(len(speaker_U), k=1))
    labels = left == right
    own = generator.normal(0, spread, num_speakers)
    noise = generator.normal(0, 1, len(labels))
    scores = (gap * labels + own[left] + np.where(labels, 0, own[right]) + noise).astype(np.float32)
    return scores, labels, left, right


@given(
    trials=st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 3)), min_size=2, max_size=40).filter(
        lambda rows: {True, False} <= {label for _, label, weight in rows if weight}
    )
)
def test_weights_are_repetitions(trials):
    """A trial of weight 3 counts as three trials, one of weight 0 is not there, tied scores included."""
    scores, labels, weights = (np.array(column) for column in zip(*trials, strict=True))
    errors = WeightedErrors(scores, labels)
    found = errors.rates(weights[None, errors.order_N], target_prior=0.05)[0]
    repeated = {"scores": np.repeat(scores, weights), "labels": np.repeat(labels, weights)}

    assert [
        pytest.approx(equal_error_rate(**repeated), abs=1e-12),
        pytest.approx(minimum_detection_cost(**repeated), abs=1e-12),
    ] == list(found)


def test_weights_of_one_give_the_metrics_to_the_last_bit():
    """Nothing is drawn: the same floats as the metrics of a trial."""
    scores, labels, _, _ = simulated(12)
    found = WeightedErrors(scores, labels).rates(np.ones((1, len(labels)), dtype=np.int64), target_prior=0.05)[0]

    assert [
        equal_error_rate(scores=scores, labels=labels),
        minimum_detection_cost(scores=scores, labels=labels),
    ] == list(found)


def test_replicates_are_those_of_a_loop_over_drawn_speakers():
    """Of each replicate every pair is written out: c_i times one of one speaker, c_i c_j times one of two."""
    scores, labels, left, right = simulated(6)
    counts_RS = speaker_counts(6, replicates=40, seed=3)
    eers, costs = [], []
    for counts in counts_RS:
        repeats = [counts[a] if a == b else counts[a] * counts[b] for a, b in zip(left, right, strict=True)]
        drawn = {"scores": np.repeat(scores, repeats), "labels": np.repeat(labels, repeats)}
        if 0 < drawn["labels"].sum() < len(drawn["labels"]):
            eers.append(equal_error_rate(**drawn))
            costs.append(minimum_detection_cost(**drawn))
    found = speaker_bootstrap(
        scores_N=scores, labels_N=labels, left_N=left + 10, right_N=right + 10, replicates=40, seed=3
    )

    assert (6, len(eers)) == (found.speakers, found.replicates)
    assert list(np.quantile(eers, [0.025, 0.975])) == pytest.approx([found.eer.low, found.eer.high], abs=1e-12)
    assert list(np.quantile(costs, [0.025, 0.975])) == pytest.approx([found.min_dcf.low, found.min_dcf.high], abs=1e-12)


def test_pieces_change_nothing(monkeypatch):
    """Replicates are computed a few at a time, to bound the memory."""
    scores, labels, left, right = simulated(8)
    sides = {"scores_N": scores, "labels_N": labels, "left_N": left, "right_N": right}
    whole = speaker_bootstrap(**sides, replicates=50)
    monkeypatch.setattr("reports.bootstrap.CELLS_AT_ONCE", 7 * len(labels))

    assert whole == speaker_bootstrap(**sides, replicates=50)
    assert whole != speaker_bootstrap(**sides, replicates=50, seed=1)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Of 150 test sets of 25 simulated speakers, about 95 % of the intervals hold the EER of the whole population."""
    scores, labels, _, _ = simulated(700, seed=999)
    truth = equal_error_rate(scores=scores, labels=labels)
    held = 0
    for seed in range(150):
        scores, labels, left, right = simulated(25, seed=seed)
        found = speaker_bootstrap(
            scores_N=scores, labels_N=labels, left_N=left, right_N=right, replicates=200, seed=seed
        )
        held += found.eer.low <= truth <= found.eer.high

    assert 0.90 <= held / 150 <= 0.99


def test_pairs_alone_would_be_too_sure():
    """Where speakers differ, an interval that draws pairs is far narrower than one that draws speakers."""
    scores, labels, left, right = simulated(15, utterances=8, spread=1.0)
    found = speaker_bootstrap(scores_N=scores, labels_N=labels, left_N=left, right_N=right, replicates=100)
    generator = np.random.default_rng(0)
    drawn = [generator.integers(0, len(labels), len(labels)) for _ in range(100)]
    low, high = np.quantile([equal_error_rate(scores=scores[d], labels=labels[d]) for d in drawn], [0.025, 0.975])

    assert found.eer.high - found.eer.low > 1.5 * (high - low)


@pytest.mark.parametrize("num_speakers", [2, FEWEST_SPEAKERS - 1])
def test_few_speakers_have_no_interval(num_speakers):
    """It says why."""
    scores, labels, left, right = simulated(num_speakers)
    found = speaker_bootstrap(scores_N=scores, labels_N=labels, left_N=left, right_N=right)

    assert (None, None) == (found.eer, found.min_dcf)
    assert f"{num_speakers} speakers are too few" in found.why


def test_targets_of_one_speaker_alone_may_give_no_interval():
    """A third of the draws have no target then; where most have none, there is no interval."""
    left = np.array([0, 0, 0, 1, 2, 3, 4])
    right = np.array([0, 1, 2, 2, 3, 4, 5])
    scores = np.arange(7, dtype=np.float32)
    found = speaker_bootstrap(scores_N=scores, labels_N=left == right, left_N=left, right_N=right, replicates=300)

    assert 150 <= found.replicates < 230
    assert found.eer is not None
