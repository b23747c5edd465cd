"""The DET curve: its points against a loop, and what is drawn of it."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from scipy.special import ndtri

from reports.det import COLOURS, _reaches, det_chart, det_curve, outside
from trainables.metrics import equal_error_rate


def gaussian(num: int, *, gap: float, seed: int = 0):
    """Scores that are normally distributed in both classes."""
    generator = np.random.default_rng(seed)
    labels = generator.random(num) < 0.3
    return (generator.normal(size=num) + gap * labels).astype(np.float32), labels


def curve_of(scores, labels, name="all pairs"):
    return det_curve(name, scores_N=scores, labels_N=labels, eer=equal_error_rate(scores=scores, labels=labels))


def test_points_are_those_of_a_loop_over_thresholds():
    """Misses and false alarms when what is at least the threshold is accepted, with tied scores."""
    scores, labels = gaussian(300, gap=1.0)
    scores = np.round(scores, 1)
    curve = curve_of(scores, labels)
    thresholds = [np.inf, *sorted(set(scores.tolist()), reverse=True)]
    expected = [((scores[labels] < t).mean(), (scores[~labels] >= t).mean()) for t in thresholds]

    assert thresholds == curve.thresholds_P.tolist()
    assert np.array(expected) == pytest.approx(np.stack([curve.misses_P, curve.false_alarms_P], axis=1))


def test_operating_points():
    """At the EER's threshold misses no longer outnumber false alarms; minDCF's is the cheapest of all."""
    scores, labels = gaussian(2000, gap=2.0)
    curve = curve_of(scores, labels)
    at = curve.at_eer
    costs = [0.05 * m + 0.95 * f for m, f in zip(curve.misses_P, curve.false_alarms_P, strict=True)]

    assert curve.misses_P[at] <= curve.false_alarms_P[at]
    assert curve.misses_P[at - 1] > curve.false_alarms_P[at - 1]
    assert curve.misses_P[at] == pytest.approx(curve.eer, abs=0.005)
    assert int(np.argmin(costs)) == curve.cheapest(0.05)


def labels_of(svg: str) -> list[str]:
    """What the marks say of themselves."""
    return re.findall(r'aria-label="([^"]*)"', svg)


def test_the_picture_has_each_curve_with_its_points():
    """A line, a dot and a diamond a curve; the axes are in percent on a normal-deviate scale."""
    curves = [curve_of(*gaussian(n, gap=g, seed=n), name) for n, g, name in ((4000, 1.8, "all pairs"), (500, 2, "men"))]
    svg = det_chart(curves, target_prior=0.05, size=400)
    ET.fromstring(svg)
    said = " ".join(labels_of(svg))

    for curve in curves:
        assert f"{curve.name}: EER {100 * curve.eer:.2f} %" in said
        assert f"{curve.name}: minDCF at" in said
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", svg)
    assert {"misses (%)", "false alarms (%)", "all pairs", "men", "5", "20"} <= set(texts)


def places_of(svg: str, text: str) -> list[float]:
    """Where an axis label stands: its x, for those of the level axis."""
    found = re.findall(r'<text[^>]*transform="translate\(([-\d.]+),([-\d.]+)\)"[^>]*>([^<]+)</text>', svg)
    return [float(x) for x, _, word in found if word == text]


def test_ticks_stand_at_normal_deviates():
    """The way from 5 to 20 % is to that from 20 to 40 % as their normal deviates are."""
    svg = det_chart([curve_of(*gaussian(20_000, gap=1.8))], target_prior=0.05, size=500)
    at = {rate: max(places_of(svg, rate)) for rate in ("5", "20", "40")}
    expected = (ndtri(0.2) - ndtri(0.05)) / (ndtri(0.4) - ndtri(0.2))

    assert expected == pytest.approx((at["20"] - at["5"]) / (at["40"] - at["20"]), rel=0.03)


def test_many_trials_make_no_large_picture():
    """What lies closer together than can be seen is left out."""
    assert len(det_chart([curve_of(*gaussian(100_000, gap=1.8))], target_prior=0.05, size=500)) < 60_000


@pytest.mark.parametrize(
    ("scores", "labels"),
    [
        ([1.0, 0.0], [True, False]),
        ([0.0, 1.0], [True, False]),
        ([0.5, 0.5], [True, False]),
        ([3.0, 2.0, 1.0, 0.0], [True, True, False, False]),
    ],
    ids=["told apart", "the wrong way round", "tied", "told apart, four"],
)
def test_extremes_are_drawn(scores, labels):
    """Nothing between the axes, rates of 0 and 1: a picture all the same."""
    svg = det_chart([curve_of(np.array(scores, dtype=np.float32), np.array(labels))], target_prior=0.05, size=300)

    ET.fromstring(svg)
    drawn = [label for label in labels_of(svg) if "EER" in label]
    assert drawn or "EER of all pairs" in outside([curve_of(np.array(scores), np.array(labels))], 0.05)


def test_every_tick_has_its_label():
    """Also on the level axis, where they stand close."""
    svg = det_chart([curve_of(*gaussian(20_000, gap=1.8))], target_prior=0.05, size=360)
    found = re.findall(r'<text[^>]*transform="translate\([-\d.]+,16\)"[^>]*opacity="(\d)"[^>]*>([\d.]+)</text>', svg)

    assert [("1", rate) for rate in ("0.5", "1", "2", "5", "10", "20", "40")] == found


def test_each_axis_has_its_own_reach():
    """Few targets and many non-targets: misses are not drawn down to what false alarms alone can tell."""
    scores, labels = gaussian(50_000, gap=1.5)
    kept = ~labels | (np.cumsum(labels) <= 60)
    (across, up) = _reaches([curve_of(scores[kept], labels[kept])], 0.05)

    assert across[0] <= 0.001
    assert up[0] >= 0.01


def test_what_lies_outside_is_not_drawn_and_named():
    """A net that tells all apart has its EER and minDCF at 0: on this scale nowhere."""
    curve = curve_of(np.array([3.0, 2.0, 1.0, 0.0], dtype=np.float32), np.array([True, True, False, False]))
    told_apart = [curve, curve_of(*gaussian(4000, gap=1.8), "men")]

    assert ["EER of all pairs", "minDCF of all pairs"] == outside(told_apart, 0.05)
    said = " ".join(labels_of(det_chart(told_apart, target_prior=0.05, size=300)))
    assert "all pairs: EER" not in said
    assert "men: EER" in said


def test_four_curves_have_four_colours():
    """A fourth is no stranger in the palette."""
    curves = [curve_of(*gaussian(500, gap=1.5, seed=n), f"part {n}") for n in range(4)]
    svg = det_chart(curves, target_prior=0.05, size=300)

    assert 4 == len({colour for colour in COLOURS if colour in svg})
