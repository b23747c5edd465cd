"""How numbers and texts are written."""

from datetime import UTC, datetime

import pytest

from reports.words import (
    clean,
    count,
    interval,
    joined,
    knob_value,
    mean_value,
    metric_difference,
    metric_value,
    moment,
    ordinal,
    signed_difference,
    span,
)


@pytest.mark.parametrize(
    ("expected", "metric", "value"),
    [
        ("7.31 %", "eer", 0.0731),
        ("0.123", "min_dcf", 0.1234),
        ("0.7654", "accuracy", 0.76543),
        ("NaN", "eer", float("nan")),
        ("–", "eer", None),
        ("−∞", "eer", float("-inf")),
    ],
)
def test_metrics(expected: str, metric: str, value: float | None) -> None:
    """Error rates in percent, unknown metrics as they are, no number as words."""
    assert expected == metric_value(metric, value)


def test_differences_of_percent_are_points() -> None:
    """A difference has no sign: the sentence says above or below."""
    assert "1.79 points" == metric_difference("eer", -0.0179)
    assert "0.100" == metric_difference("min_dcf", 0.1)


def test_means_with_their_deviation() -> None:
    """One unit for both; no deviation without one."""
    assert "7.31 ± 0.20 %" == mean_value("eer", 0.0731, 0.002)
    assert "7.31 ± 0.20" == mean_value("eer", 0.0731, 0.002, unit=False)
    assert "0.123" == mean_value("min_dcf", 0.1234, None)


@pytest.mark.parametrize(
    ("expected", "low", "high"),
    [
        ("−0.40 to 1.00", -0.004, 0.01),
        ("0.00 to 0.00", 0.0, 0.0),
        ("0.00 to 1.00", -1e-12, 0.01),
        ("−2.61 to −0.002", -0.0261, -0.0000212),
        ("0.004 to 1.00", 0.000041, 0.01),
        ("−0.0005 to ∞", -0.0000049, float("inf")),
        ("–", None, None),
    ],
)
def test_intervals_tell_on_which_side_of_zero_they_end(expected: str, low: float | None, high: float | None) -> None:
    """An end that is not 0 is not shown as 0: whether the interval holds 0 must be seen."""
    assert expected == interval("eer", low, high)


@pytest.mark.parametrize(
    ("expected", "difference"), [("+1.79", 0.0179), ("−0.20", -0.002), ("0.00", -0.000001), ("–", None), ("0.00", 0.0)]
)
def test_differences_with_a_sign(expected: str, difference: float | None) -> None:
    """What rounds to zero has none."""
    assert expected == signed_difference("eer", difference)


@pytest.mark.parametrize(("expected", "seconds"), [("0.4 s", 0.4), ("41 s", 41.2), ("12.3 min", 738), ("5.2 h", 18720)])
def test_spans(expected: str, seconds: float) -> None:
    """The unit suits the length."""
    assert expected == span(seconds)


def test_small_words() -> None:
    """Counts, lists, places, knobs and moments."""
    assert ["no trial", "1 trial", "1,200 trials"] == [count(n, "trial") for n in (0, 1, 1200)]
    assert ["", "a", "a and b", "a, b and c"] == [joined(list("abc")[:n]) for n in range(4)]
    assert ["1st", "2nd", "3rd", "4th", "11th", "21st"] == [ordinal(n) for n in (1, 2, 3, 4, 11, 21)]
    assert ["–", "true", "0.001235", "ap", "4"] == [knob_value(v) for v in (None, True, 0.00123456, "ap", 4)]
    assert "2026-03-02 09:00:00 UTC" == moment(datetime(2026, 3, 2, 9, tzinfo=UTC))


def test_clean_takes_control_characters_out() -> None:
    """An error text cannot steer a terminal or turn the page's direction."""
    assert "a�[31mb�" == clean("a\x1b[31mb\u202e")
    assert "a\nb" == clean("a\nb", keep="\n")
