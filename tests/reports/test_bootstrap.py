"""The bootstrap over speakers: against loops that repeat trials, and on simulated speakers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reports.bootstrap import (
    FEWEST_SPEAKERS,
    SPEAKER_WORTH,
    WeightedErrors,
    proportion_interval,
    speaker_bootstrap,
    speaker_counts,
)
from trainables.metrics import equal_error_rate


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


def with_few_errors(num_speakers: int, *, seed: int, gap: float = 5.0):
    """Three utterances a speaker: targets have his own level, non-targets both speakers', so that errors come in rows.

    The EER of the population is 2.6 % for the gap of 5.
    """
    generator = np.random.default_rng(seed)
    speaker_U = np.repeat(np.arange(num_speakers), 3)
    left, right = (speaker_U[side] for side in np.triu_indices(len(speaker_U), k=1))
    labels = left == right
    own, of_targets = generator.normal(0, 1, (2, num_speakers))
    noise = generator.normal(0, 0.5, len(labels))
    scores = gap * labels + np.where(labels, of_targets[left], own[left] + own[right]) + noise
    return scores.astype(np.float32), labels, left, right


@given(
    trials=st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 3)), min_size=2, max_size=40).filter(
        lambda rows: {True, False} <= {label for _, label, weight in rows if weight}
    )
)
def test_weights_are_repetitions(trials):
    """A trial of weight 3 counts as three trials, one of weight 0 is not there, tied scores included."""
    scores, labels, weights = (np.array(column) for column in zip(*trials, strict=True))
    errors = WeightedErrors(scores, labels)
    found = errors.eers(weights[None, errors.order_N])[0]
    repeated = {"scores": np.repeat(scores, weights), "labels": np.repeat(labels, weights)}

    assert pytest.approx(equal_error_rate(**repeated), abs=1e-12) == found


def test_weights_of_one_give_the_metric_to_the_last_bit():
    """Nothing is drawn: the same float as the metric of a trial."""
    scores, labels, _, _ = simulated(12)
    found = WeightedErrors(scores, labels).eers(np.ones((1, len(labels)), dtype=np.int64))

    assert [equal_error_rate(scores=scores, labels=labels)] == list(found)


def test_replicates_are_those_of_a_loop_over_drawn_speakers():
    """Of each replicate every pair is written out: c_i times one of one speaker, c_i c_j times one of two."""
    scores, labels, left, right = simulated(20, utterances=2)
    counts_RS = speaker_counts(20, replicates=40, seed=3)
    eers = []
    for counts in counts_RS:
        repeats = [counts[a] if a == b else counts[a] * counts[b] for a, b in zip(left, right, strict=True)]
        drawn = {"scores": np.repeat(scores, repeats), "labels": np.repeat(labels, repeats)}
        if 0 < drawn["labels"].sum() < len(drawn["labels"]):
            eers.append(equal_error_rate(**drawn))
    found = speaker_bootstrap(
        scores_N=scores, labels_N=labels, left_N=left + 10, right_N=right + 10, replicates=40, seed=3
    )
    eer = equal_error_rate(scores=scores, labels=labels)
    expected = proportion_interval(eer, standard_error=np.std(eers, ddof=1), speakers=20)

    assert (20, len(eers)) == (found.speakers, found.replicates)
    assert (expected.low, expected.high) == pytest.approx((found.eer.low, found.eer.high), abs=1e-12)


@pytest.mark.parametrize(("rate", "speakers"), [(0.03, 20), (0.2, 25), (0.5, 60)])
def test_the_interval_is_clopper_and_pearsons_of_the_effective_trials(rate, speakers):
    """By scipy, of the trials that have the standard error, fewer by t; at most so many a speaker."""
    for per_speaker in (0.5, 2.0, 50.0):
        standard_error = np.sqrt(rate * (1 - rate) / (per_speaker * speakers))
        shrunk = (stats.norm.ppf(0.025) / stats.t.ppf(0.025, speakers - 1)) ** 2
        trials = min(per_speaker, SPEAKER_WORTH) * speakers * shrunk
        expected = (
            stats.beta.ppf(0.025, trials * rate, trials * (1 - rate) + 1),
            stats.beta.ppf(0.975, trials * rate + 1, trials * (1 - rate)),
        )
        found = proportion_interval(rate, standard_error=standard_error, speakers=speakers)

        assert expected == pytest.approx((found.low, found.high), rel=1e-6)
        assert found.low < rate < found.high


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_no_error_at_all_is_no_certainty(rate):
    """Nothing varies between the draws: each speaker counts for one trial, the interval ends at the boundary."""
    found = proportion_interval(rate, standard_error=0.0, speakers=25)

    assert rate in (found.low, found.high)
    assert 0.1 < found.high - found.low < 0.25


def test_progress_counts_the_draws():
    """It ends with all of them."""
    scores, labels, left, right = simulated(20, utterances=2)
    told = []
    sides = {"scores_N": scores, "labels_N": labels, "left_N": left, "right_N": right}
    speaker_bootstrap(**sides, replicates=50, progress=lambda *counts: told.append(counts))

    assert (50, 50) == told[-1]


def test_pieces_change_nothing(monkeypatch):
    """Replicates are computed a few at a time, to bound the memory."""
    scores, labels, left, right = simulated(20, utterances=2)
    sides = {"scores_N": scores, "labels_N": labels, "left_N": left, "right_N": right}
    whole = speaker_bootstrap(**sides, replicates=50)
    monkeypatch.setattr("reports.bootstrap.CELLS_AT_ONCE", 7 * len(labels))

    assert whole == speaker_bootstrap(**sides, replicates=50)
    assert whole != speaker_bootstrap(**sides, replicates=50, seed=1)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Of 80 test sets of 25 simulated speakers, at least about 95 % of the intervals hold the population's EER."""
    scores, labels, _, _ = simulated(700, seed=999)
    truth = equal_error_rate(scores=scores, labels=labels)
    held = 0
    for seed in range(80):
        scores, labels, left, right = simulated(25, seed=seed)
        found = speaker_bootstrap(
            scores_N=scores, labels_N=labels, left_N=left, right_N=right, replicates=100, seed=seed
        )
        held += found.eer.low <= truth <= found.eer.high

    assert held >= 0.92 * 80


def test_the_interval_holds_the_truth_where_errors_are_few():
    """An EER of 2.6 %, 30 speakers: percentiles of the draws hold it in about three of four test sets."""
    populations = [with_few_errors(200, seed=1_000_000 + seed) for seed in range(8)]
    truth = np.mean([equal_error_rate(scores=scores, labels=labels) for scores, labels, _, _ in populations])
    held, widths = 0, []
    for seed in range(60):
        scores, labels, left, right = with_few_errors(30, seed=seed)
        found = speaker_bootstrap(
            scores_N=scores, labels_N=labels, left_N=left, right_N=right, replicates=100, seed=seed
        )
        held += found.eer.low <= truth <= found.eer.high
        widths.append(found.eer.high - found.eer.low)

    assert 0.02 < truth < 0.035
    assert held >= 0.9 * 60
    assert np.mean(widths) < 0.12, "an interval that holds everything says nothing"


def test_pairs_alone_would_be_too_sure():
    """Where speakers differ, an interval that draws pairs is far narrower than one that draws speakers."""
    scores, labels, left, right = simulated(20, utterances=6, spread=1.0)
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

    assert found.eer is None
    assert f"{num_speakers} speakers are too few" in found.why


def test_targets_of_one_speaker_alone_may_give_no_interval():
    """A third of the draws have no target then; where most have none, there is no interval."""
    left = np.array([0, *range(20)])
    right = np.array([0, *range(1, 21)])
    scores = np.arange(21, dtype=np.float32)
    found = speaker_bootstrap(scores_N=scores, labels_N=left == right, left_N=left, right_N=right, replicates=300)

    assert 150 <= found.replicates < 230
    assert found.eer is not None
