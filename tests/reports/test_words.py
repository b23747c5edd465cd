"""How numbers and texts are written."""

from datetime import UTC, datetime

import pytest

from reports.words import clean, count, joined, knob_value, metric_difference, metric_value, moment, ordinal, span


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
