"""How the report writes numbers, names and lists: one place, so that page, Markdown and terminal agree."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

NOTHING = "–"
STATE_WORDS = {"complete": "complete", "pruned": "stopped early (pruned)", "failed": "failed", "running": "unfinished"}
# By which interval two configs are compared (`Study.comparison`).
METHOD_WORDS = {"paired": "of a paired t over the common seeds", "welch": "of Welch's t of two means"}
# What any of these intervals speaks of.
COVERAGE = "Intervals are over seeds, for these speakers: they say nothing of others."


@dataclass(frozen=True)
class Measure:
    """How a metric is shown: its name, the factor from the table's number to the shown one, unit and decimals."""

    title: str
    factor: float = 1.0
    unit: str = ""
    decimals: int | None = None

    @property
    def heading(self) -> str:
        """The name with its unit, for axes and table headings."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


# Metrics that are not shown as they are stored: error rates are fractions in the tables and percent on paper.
MEASURES = {
    "eer": Measure("EER", 100.0, "%", 2),
    "min_dcf": Measure("minDCF", decimals=3),
    "train_loss": Measure("training loss", decimals=3),
}

# Signs of knobs for places with little room; the others go by their names there, too.
KNOB_SIGNS = {"beta_alpha": "α"}


def measure_of(metric: str) -> Measure:
    """How `metric` is shown; one the report does not know keeps its name and its numbers."""
    return MEASURES.get(metric, Measure(metric))


def number(value: float | None, decimals: int | None = None) -> str:
    """A number with fixed decimals, or with four significant digits.

    >>> number(0.00123456), number(12.0), number(3.14159, 2), number(float("nan"))
    ('0.001235', '12', '3.14', 'NaN')
    """
    if value is None:
        return NOTHING
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.4g}" if decimals is None else f"{value:.{decimals}f}"
    return text.replace("-", "−") if text.startswith("-") else text


def metric_value(metric: str, value: float | None, *, unit: bool = True) -> str:
    """A metric as people write it: `metric_value("eer", 0.0731)` is "7.31 %"."""
    measure = measure_of(metric)
    if value is None or not math.isfinite(value):
        return number(value)
    text = number(value * measure.factor, measure.decimals)
    return f"{text} {measure.unit}" if unit and measure.unit else text


def mean_value(metric: str, mean: float, std: float | None, *, unit: bool = True) -> str:
    """A mean with its standard deviation, "7.31 ± 0.20 %"; alone if there is none."""
    spread = "" if std is None else f" ± {metric_value(metric, std, unit=False)}"
    return f"{metric_value(metric, mean, unit=False)}{spread} {measure_of(metric).unit if unit else ''}".strip()


def interval(metric: str, low: float | None, high: float | None) -> str:
    """An interval without its unit: "−0.40 to 1.00"; a dash if there is none."""
    if low is None or high is None:
        return NOTHING
    return f"{limit(metric, low)} to {limit(metric, high)}"


def limit(metric: str, value: float) -> str:
    """An end of an interval; one that only rounds to 0 gets another digit: on which side of 0 it lies decides."""
    text = metric_value(metric, value, unit=False)
    shown = value * measure_of(metric).factor
    if text.strip("−0.") or abs(shown) < 1e-6:
        return plain_zero(text)
    return number(shown, 1 - math.floor(math.log10(abs(shown))) - 1)


def signed_difference(metric: str, difference: float | None) -> str:
    """A difference with its sign and without its unit: "+1.79", "−0.20", "0.00"; a dash if there is none."""
    if difference is None:
        return NOTHING
    return signed(metric_value(metric, difference, unit=False))


def signed(text: str) -> str:
    """The text of a number with its sign; what rounds to zero has none.

    >>> signed("16.35"), signed("−0.50"), signed("−0.00")
    ('+16.35', '−0.50', '0.00')
    """
    text = plain_zero(text)
    return text if text.startswith("−") or not text.strip("0.") else f"+{text}"


def plain_zero(text: str) -> str:
    """The text of a number; what rounds to zero has no sign."""
    return text.removeprefix("−") if text.startswith("−") and not text.strip("−0.") else text


def metric_difference(metric: str, difference: float) -> str:
    """A difference of two values, unsigned; percent differ by points: "1.79 points"."""
    measure = measure_of(metric)
    text = number(abs(difference) * measure.factor, measure.decimals)
    return f"{text} points" if measure.unit == "%" else f"{text} {measure.unit}".strip()


def knob_value(value: object) -> str:
    """A knob's value: a dash while it is inactive, true and false as study files write them."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value)
    return clean(str(value))


def short_setting(setting: Sequence[tuple[str, object]]) -> str:
    """Knobs with their values in a few letters: "α 0.4", "loss ap, width 8"."""
    return ", ".join(f"{KNOB_SIGNS.get(name, name)} {knob_value(value)}" for name, value in setting)


def span(seconds: float) -> str:
    """A length of time in the unit that suits it: "41 s", "12.3 min", "5.2 h"."""
    factor, unit = span_unit(seconds)
    value = seconds * factor
    return f"{value:.0f} {unit}" if unit == "s" and value >= 10 else f"{value:.1f} {unit}"


def span_unit(seconds: float) -> tuple[float, str]:
    """The factor and the unit (s, min, h) in which a length of time of this size is read best."""
    if seconds < 120:
        return 1.0, "s"
    if seconds < 2 * 3600:
        return 1 / 60, "min"
    return 1 / 3600, "h"


def moment(time: datetime | None) -> str:
    """A moment to the second, in UTC."""
    return NOTHING if time is None else time.strftime("%Y-%m-%d %H:%M:%S UTC")


def count(num: int, noun: str, plural: str = "") -> str:
    """A number with its noun: "1 trial", "3 trials", "no trial"."""
    if num == 0:
        return f"no {noun}"
    return f"{num:,} {noun if num == 1 else plural or noun + 's'}"


def seeds_between(counts: Iterable[int]) -> str:
    """How many seeds stand behind several means: "3 seeds", or "2 to 3 seeds" where they differ; "" without any.

    >>> seeds_between([3, 2, 3])
    '2 to 3 seeds'
    """
    found = sorted(set(counts))
    if not found:
        return ""
    first, last = found[0], found[-1]
    return count(last, "seed") if first == last else f"{first} to {count(last, 'seed')}"


def are(num: int, was: bool = False) -> str:
    """The verb that goes with a count."""
    if was:
        return "was" if num == 1 else "were"
    return "is" if num == 1 else "are"


def joined(parts: Sequence[str], last: str = "and") -> str:
    """A list in a sentence: "a, b and c"."""
    if len(parts) <= 1:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def shortened(text: str, limit: int = 160) -> str:
    """The first line of a text, cut at `limit` characters."""
    line = clean(text.strip().splitlines()[0]) if text.strip() else ""
    return line if len(line) <= limit else line[: limit - 1] + "…"


def clean(text: str, *, keep: str = "") -> str:
    """A text without control characters, which could steer a terminal or break a page; `keep` names those that stay."""
    return "".join(c if c in keep or unicodedata.category(c) not in ("Cc", "Cf", "Cs") else "�" for c in text)


def ordinal(place: int) -> str:
    """1st, 2nd, 3rd, 4th."""
    suffix = "th" if 10 <= place % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{suffix}"


def best_rank(place: int) -> str:
    """A place from the top: best, second best, third best, 4th best."""
    named = {1: "best", 2: "second best", 3: "third best"}
    return named.get(place, f"{ordinal(place)} best")


def sentence_case(text: str) -> str:
    """The text with its first letter in upper case and the others as they are."""
    return text[:1].upper() + text[1:]
