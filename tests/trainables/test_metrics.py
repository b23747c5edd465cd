"""Error rates against a loop over thresholds, by hand, and under what must not change them."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from trainables.metrics import eer_clovaai, equal_error_rate, minimum_detection_cost

METRICS = [equal_error_rate, minimum_detection_cost, eer_clovaai]


def operating_points(scores, labels):
    """(miss rate, false-alarm rate) for every threshold, counted trial by trial."""
    targets = [s for s, t in zip(scores, labels, strict=True) if t]
    impostors = [s for s, t in zip(scores, labels, strict=True) if not t]
    points = []
    for threshold in [math.inf, *sorted(set(scores), reverse=True)]:
        accept = [threshold] if threshold == math.inf else None
        misses = len(targets) if accept else sum(s < threshold for s in targets)
        alarms = 0 if accept else sum(s >= threshold for s in impostors)
        points.append((misses / len(targets), alarms / len(impostors)))
    return points


def loop_eer(scores, labels):
    points = operating_points(scores, labels)
    for (miss_0, alarm_0), (miss_1, alarm_1) in itertools.pairwise(points):
        if miss_1 <= alarm_1:
            # miss = alarm on the segment: miss_0 + t (miss_1 - miss_0) = alarm_0 + t (alarm_1 - alarm_0)
            t = (miss_0 - alarm_0) / ((alarm_1 - alarm_0) - (miss_1 - miss_0))
            return alarm_0 + t * (alarm_1 - alarm_0)
    raise AssertionError("the curve ends at (0, 1)")


def loop_cost(scores, labels, prior):
    costs = [prior * miss + (1 - prior) * alarm for miss, alarm in operating_points(scores, labels)]
    return min(costs) / min(prior, 1 - prior)


@st.composite
def trials(draw_from):
    """Scores with many ties and both classes."""
    pairs = draw_from(st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=40))
    scores, labels = [p[0] / 4 for p in pairs], [p[1] for p in pairs]
    assume(any(labels) and not all(labels))
    return scores, labels


@given(trials())
@settings(max_examples=150, deadline=None)
def test_eer_is_the_crossing_of_the_two_rates(pair):
    """Equal to the loop over thresholds."""
    scores, labels = pair
    assert loop_eer(scores, labels) == pytest.approx(equal_error_rate(scores=np.array(scores), labels=np.array(labels)))


@given(trials(), st.floats(0.01, 0.99))
@settings(max_examples=100, deadline=None)
def test_cost_is_the_least_over_thresholds(pair, prior):
    """Equal to the loop, and within [0, 1]."""
    scores, labels = pair
    actual = minimum_detection_cost(scores=np.array(scores), labels=np.array(labels), target_prior=prior)
    assert loop_cost(scores, labels, prior) == pytest.approx(actual)
    assert 0.0 <= actual <= 1.0 + 1e-12


@pytest.mark.parametrize(
    ("scores", "labels", "eer", "cost"),
    [
        ([1, 0], [1, 0], 0.0, 0.0),
        ([0, 1], [1, 0], 1.0, 1.0),
        ([5, 5, 5, 5], [1, 1, 0, 0], 0.5, 1.0),
        # One of four targets under one of four impostors.
        ([9, 8, 7, 5, 6, 3, 2, 1], [1, 1, 1, 1, 0, 0, 0, 0], 0.25, 0.25),
        # Two targets, one impostor in the middle: from (1/2, 0) to (1/2, 1), crossing at 1/2.
        ([3, 2, 1], [1, 0, 1], 0.5, 0.5),
        # One target and one impostor tied between two certain ones: from (1/2, 0) to (0, 1/2), crossing at 1/4.
        ([3, 2, 2, 1], [1, 1, 0, 0], 0.25, 0.5),
        # Three targets, two impostors: (1, 0) (2/3, 0) (2/3, 1/2) (1/3, 1/2) (0, 1/2) (0, 1).
        ([6, 4, 3, 5, 1], [1, 1, 1, 0, 0], 0.5, 2 / 3),
        # -inf and inf are scores like others.
        ([math.inf, -math.inf], [1, 0], 0.0, 0.0),
    ],
)
def test_by_hand(scores, labels, eer, cost):
    """Small cases, worked on paper; prior 0.05."""
    scores, labels = torch.tensor(scores, dtype=torch.float64), torch.tensor(labels)
    assert eer == pytest.approx(equal_error_rate(scores=scores, labels=labels))
    assert cost == pytest.approx(minimum_detection_cost(scores=scores, labels=labels))


@pytest.mark.parametrize("metric", METRICS)
@given(pair=trials(), seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_trials_does_not_matter(metric, pair, seed):
    """Ties included, bit for bit."""
    scores, labels = np.array(pair[0]), np.array(pair[1])
    order = np.random.default_rng(seed).permutation(len(scores))
    assert metric(scores=scores, labels=labels) == metric(scores=scores[order], labels=labels[order])


@pytest.mark.parametrize("metric", METRICS)
@given(pair=trials())
@settings(max_examples=40, deadline=None)
def test_only_the_ranks_of_the_scores_matter(metric, pair):
    """A rising function of the scores changes nothing."""
    scores, labels = np.array(pair[0]), np.array(pair[1])
    assert metric(scores=scores, labels=labels) == metric(scores=np.exp(3 * scores) - 7, labels=labels)


@given(trials())
@settings(max_examples=60, deadline=None)
def test_eer_of_the_opposite_scores_is_the_complement(pair):
    """EER(-s) = 1 - EER(s), since the crossing lies on a symmetric line."""
    scores, labels = np.array(pair[0]), np.array(pair[1])
    expected = 1 - equal_error_rate(scores=scores, labels=labels)
    assert expected == pytest.approx(equal_error_rate(scores=-scores, labels=labels))


@given(trials())
@settings(max_examples=60, deadline=None)
def test_doubling_every_trial_changes_nothing(pair):
    """Rates are fractions."""
    scores, labels = np.array(pair[0]), np.array(pair[1])
    expected = equal_error_rate(scores=scores, labels=labels)
    assert expected == pytest.approx(equal_error_rate(scores=np.tile(scores, 2), labels=np.tile(labels, 2)))


@given(trials())
@settings(max_examples=150, deadline=None)
def test_eer_clovaai_is_voxceleb_trainers(pair):
    """scikit-learn's curve, the nearest corner, the larger rate: never below the interpolated EER."""
    scores, labels = np.array(pair[0]), np.array(pair[1])
    false_alarms, hits, _ = roc_curve(labels, scores, pos_label=1)
    misses = 1 - hits
    nearest = np.nanargmin(np.abs(misses - false_alarms))
    expected = max(false_alarms[nearest], misses[nearest])
    actual = eer_clovaai(scores=scores, labels=labels)
    # A tie between two corners may fall either way in rounding; both have the same distance between the rates.
    gaps = np.abs(misses - false_alarms)
    tied = np.maximum(false_alarms, misses)[np.isclose(gaps, gaps.min())]
    assert any(actual == pytest.approx(t) for t in (expected, *tied))
    assert actual >= equal_error_rate(scores=scores, labels=labels) - 1e-12


def test_all_scores_tied_is_where_the_two_forms_differ():
    """0.5 interpolated; 1 in the reference's form."""
    scores, labels = np.zeros(6), np.array([1, 0, 1, 0, 0, 0])
    expected = (0.5, 1.0)
    assert expected == (equal_error_rate(scores=scores, labels=labels), eer_clovaai(scores=scores, labels=labels))


@pytest.mark.parametrize("convert", [torch.tensor, np.array, list])
@pytest.mark.parametrize("kind", [bool, int, float])
def test_torch_numpy_and_lists_are_the_same(convert, kind):
    """Labels may be booleans, integers or floats."""
    scores, labels = [0.9, 0.2, 0.8, 0.1, 0.5], [kind(x) for x in (1, 0, 0, 1, 1)]
    expected = loop_eer(scores, labels)
    assert expected == pytest.approx(equal_error_rate(scores=convert(scores), labels=convert(labels)))


def test_gradients_and_half_precision_are_taken():
    """Scores straight from a net, with a graph or in bfloat16."""
    scores = torch.tensor([2.0, 1.0, 0.0], requires_grad=True)
    labels = torch.tensor([True, False, False])
    expected = 0.0
    assert expected == equal_error_rate(scores=scores, labels=labels)
    assert expected == equal_error_rate(scores=scores.bfloat16(), labels=labels)


def test_a_million_trials_have_the_rate_of_their_law():
    """Two unit normals, 2 apart: the rates cross at Phi(-1) = 0.15866, within 4 standard errors."""
    scores = torch.randn(1_000_000, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(1_000_000) % 2 == 0
    actual = equal_error_rate(scores=scores + 2 * labels, labels=labels)
    expected = 0.1586553
    assert expected == pytest.approx(actual, abs=4 * math.sqrt(0.1587 * 0.8413 / 500_000))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("scores", "labels", "sentence"),
    [
        ([1.0, 2.0], [1, 1], "got 2 of the same and 0 of different speakers"),
        ([1.0, 2.0], [0, 0], "got 0 of the same and 2 of different speakers"),
        ([], [], "got 0 of the same and 0 of different speakers"),
        ([1.0, math.nan, 0.0], [1, 0, 1], "1 of 3 are NaN"),
        ([1.0, 2.0], [1, 0, 1], r"equally long, but got shapes \(2,\) and \(3,\)"),
        ([[1.0, 2.0]], [[1, 0]], r"one dimension"),
        ([1.0, 2.0, 3.0], [1, -1, 0], "labels must be 0 or 1 .*1 of 3 are neither"),
    ],
)
def test_wrong_trials_are_refused(metric, scores, labels, sentence):
    """One sentence with the rule and the values."""
    with pytest.raises(ValueError, match=sentence):
        metric(scores=np.array(scores, dtype=float), labels=np.array(labels, dtype=int))


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.1, math.nan])
def test_the_prior_is_a_probability(prior):
    """0 and 1 leave nothing to decide."""
    with pytest.raises(ValueError, match="0 < target_prior < 1 must hold, but got target_prior="):
        minimum_detection_cost(scores=np.array([1.0, 0.0]), labels=np.array([1, 0]), target_prior=prior)
