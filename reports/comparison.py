"""What is said of configs that several seeds measured: their means, and what their intervals to the baseline support.

Nothing here is called better or worse that its interval does not support.
"""

from __future__ import annotations

from reports.paper_table import relative_improvement
from reports.standings import Standing
from reports.statistics import PAIRED, Difference, Estimate
from reports.summaries import Summary
from reports.words import (
    are,
    count,
    interval,
    joined,
    mean_value,
    measure_of,
    metric_difference,
    metric_value,
    number,
    plain_zero,
)
from search_spaces.study import BASELINE

METHODS = {"paired": "by a paired t interval over the common seeds", "welch": "by Welch's t interval of two means"}


def standing_value(summary: Summary, standing: Standing) -> str:
    """The mean on dev with its deviation and unit."""
    return estimate_value(summary, standing.dev)


def estimate_value(summary: Summary, found: Estimate | None) -> str:
    """A mean with its deviation and unit; a dash if there is none."""
    return metric_value(summary.metric, None) if found is None else mean_value(summary.metric, found.mean, found.std)


def standing_name(standing: Standing) -> str:
    """What a measured config is called in a sentence."""
    if standing.is_baseline:
        return f"the baseline “{BASELINE}”"
    return f"config {standing.name}" if standing.name.startswith("#") else f"config “{standing.name}”"


def seeds_in_words(standing: Standing) -> str:
    """How many seeds stand behind the mean: "3 seeds", "2 of 3 seeds, 1 failed"."""
    num = standing.dev.n if standing.dev is not None else 0
    if num == standing.asked:
        return count(num, "seed")
    return ", ".join([f"{num} of {count(standing.asked, 'seed')}", *lost_seeds(standing)])


def lost_seeds(standing: Standing) -> list[str]:
    """Why seeds are missing from a mean."""
    reasons = (
        (standing.failed, "failed"),
        (standing.unfinished, "unfinished"),
        (standing.unusable, "without a usable value"),
        (standing.missing, "not started"),
    )
    return [f"{num} {reason}" for num, reason in reasons if num]


def confirmed_headline(summary: Summary, setting: str) -> str:
    """The best mean, over how many seeds, and its interval; whether it is any better than others stands elsewhere."""
    best = summary.confirmed[0]
    assert best.dev is not None
    goal = "lowest" if summary.minimize else "highest"
    metric = measure_of(summary.metric).title
    value = f"{standing_value(summary, best)} ({seeds_in_words(best)})"
    within = f"The 95 % interval of the mean is {interval(summary.metric, best.dev.low, best.dev.high)}."
    if len(summary.confirmed) == 1:
        only = f"The one config with several seeds, {standing_name(best)}"
        return f"{only}, has a mean dev {metric} of {value}{setting}. {within}"
    if best.is_baseline:
        return f"No config beats the baseline “{BASELINE}”: its mean dev {metric} of {value} is the {goal}. {within}"
    return f"The {goal} mean dev {metric} is {value}, by {standing_name(best)}{setting}. {within}"


def comparisons(summary: Summary) -> list[str]:
    """The best mean against the baseline on dev and on test, the other configs, and how that was decided."""
    best = summary.confirmed[0]
    baseline = next((one for one in summary.standings if one.is_baseline), None)
    said = []
    if best.is_baseline and len(summary.confirmed) > 1:
        second = summary.confirmed[1]
        said.append(f"Next comes {standing_value(summary, second)}: {gap_in_words(summary, second, second.gap)}.")
    elif not best.is_baseline and baseline is not None and baseline.dev is not None:
        beside = f"The baseline “{BASELINE}” has {standing_value(summary, baseline)} ({seeds_in_words(baseline)})"
        said.append(f"{beside}: {gap_in_words(summary, best, best.gap)}.{relative(summary, best, baseline)}")
    said += others_in_words(summary)
    said += test_in_words(summary, best, baseline)
    if any(one.gap is not None for one in summary.confirmed):
        said += correlation_in_words(summary)
        method = METHODS[summary.comparison]
        said.append(f"How configs are compared ({method}, 95 %) was fixed in the study file before the run.")
    return said


def gap_in_words(summary: Summary, standing: Standing, gap: Difference | None) -> str:
    """What an interval supports: "config “AP loss” is better by 3.10 points, 95 % interval 1.20 to 5.00, …".

    The difference and its interval are turned so that more is better.
    """
    name, metric = standing_name(standing), summary.metric
    if gap is None:
        return f"no seed measured both, so {name} cannot be compared with it"
    sign = -1 if summary.minimize else 1
    gain = metric_difference(metric, gap.mean)
    if gap.low is None or gap.high is None:
        side = "the same" if gap.mean == 0 else f"{gain} {'below' if gap.mean < 0 else 'above'}"
        return f"{name} is {side}, but {basis(gap)} has no interval, so this is unconfirmed"
    low, high = sorted((sign * gap.low, sign * gap.high))
    verdict = gap.verdict(minimize=summary.minimize)
    if verdict == "tied" and low == high:
        return f"{name} is tied with the baseline: the two do not differ at all, {basis(gap)}"
    if verdict == "tied":
        mean = plain_zero(metric_value(metric, sign * gap.mean, unit=False))
        held = f"the interval {interval(metric, low, high)} holds 0"
        return f"{name} is tied with the baseline: {held} (95 %, gain {mean}, {basis(gap)})"
    if verdict == "worse":
        low, high = -high, -low
    return f"{name} is {verdict} by {gain}, 95 % interval {interval(metric, low, high)}, {basis(gap)}"


def basis(gap: Difference) -> str:
    """What a difference rests on: "paired over 3 seeds"."""
    if gap.method == PAIRED:
        return f"paired over {count(gap.n, 'seed')}"
    return f"by Welch's t over at least {count(gap.n, 'seed')} each"


def relative(summary: Summary, best: Standing, baseline: Standing) -> str:
    """The relative improvement of the means, as papers give it, where the interval supports any."""
    if best.dev is None or baseline.dev is None or best.gap is None:
        return ""
    share = relative_improvement(best.dev.mean, baseline.dev.mean, minimize=summary.minimize)
    if share is None or best.gap.verdict(minimize=summary.minimize) not in ("better", "worse"):
        return ""
    return f" Relative to the baseline's mean that is {number(abs(share), 0)} %."


def others_in_words(summary: Summary) -> list[str]:
    """How many of the confirmed configs are better, tied or worse than the baseline."""
    others = [one for one in summary.confirmed if not one.is_baseline]
    words = [one.gap.verdict(minimize=summary.minimize) for one in others if one.gap is not None]
    compared = [word for word in words if word != "unknown"]
    if len(compared) < 2:
        return []
    verdicts = (("better", "better than the baseline"), ("tied", "tied with it"), ("worse", "worse"))
    counts = [(compared.count(word), phrase) for word, phrase in verdicts]
    parts = [f"{num} {are(num)} {phrase}" for num, phrase in counts if num]
    return [f"Of the {len(compared)} configs compared with the baseline over several seeds, {joined(parts)}."]


def test_in_words(summary: Summary, best: Standing, baseline: Standing | None) -> list[str]:
    """The best config of dev on the test set, which chose nothing."""
    read = [one for one in summary.standings if one.test is not None]
    if not read:
        return []
    if best.test is None:
        return [f"The test set was read for {count(len(read), 'config')}, but not for {standing_name(best)}."]
    metric = measure_of(summary.metric).title
    value = f"{estimate_value(summary, best.test)} ({count(best.test.n, 'seed')})"
    said = f"On the test set, read once at the end of a trial, {standing_name(best)} has a mean {metric} of {value}"
    if best.is_baseline:
        return [f"{said}."]
    if baseline is None or baseline.test is None:
        return [f"{said}; it was not read for the baseline, so there is nothing to compare with."]
    theirs = f"{estimate_value(summary, baseline.test)} ({count(baseline.test.n, 'seed')})"
    return [f"{said} and the baseline {theirs}: {gap_in_words(summary, best, best.test_gap)}."]


def correlation_in_words(summary: Summary) -> list[str]:
    """How alike the seeds treat the best config that has a comparison and the baseline: what pairing lives by."""
    for one in summary.confirmed:
        if one.gap is None or one.gap.correlation is None:
            continue
        helps = ""
        if one.gap.method == PAIRED:
            gains = one.gap.correlation > 0
            helps = ": pairing takes out what a seed adds to both" if gains else ": pairing gains nothing here"
        values = f"the values of {standing_name(one)} and of the baseline"
        return [f"Over the common seeds {values} correlate by {number(one.gap.correlation, 2)}{helps}."]
    return []
