"""What is said of configs that several seeds measured: their means, and what their intervals to the baseline support.

Nothing here is called better or worse that its interval does not support.
"""

from __future__ import annotations

from reports.origins import trained_longer
from reports.standings import Standing
from reports.statistics import PAIRED, Difference, Estimate, relative_improvement
from reports.summaries import Summary
from reports.words import (
    METHOD_WORDS,
    are,
    count,
    interval,
    joined,
    mean_value,
    measure_of,
    metric_difference,
    metric_value,
    number,
    sentence_case,
)
from search_spaces.study import BASELINE

OTHER_SEEDS = " These means rest on different seeds; the difference is over the common ones."


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
        gaps = [one.gap for one in summary.confirmed if one.gap is not None]
        if any(gap.verdict(minimize=summary.minimize) == "better" for gap in gaps):
            return f"The {goal} mean dev {metric} is the baseline's: {value}. {within}"
        return f"No config beats the baseline “{BASELINE}”: its mean dev {metric} of {value} is the {goal}. {within}"
    return f"The {goal} mean dev {metric} is {value}, by {standing_name(best)}{setting}. {within}"


def comparisons(summary: Summary) -> list[str]:
    """The best mean against the baseline, on test first and then on dev, the other configs, and how it was decided."""
    best = summary.confirmed[0]
    baseline = next((one for one in summary.standings if one.is_baseline), None)
    said = [*test_in_words(summary, best, baseline), *dev_in_words(summary, best, baseline)]
    said += others_in_words(summary)
    if any(one.gap is not None for one in summary.confirmed):
        said += correlation_in_words(summary)
        method = METHOD_WORDS[summary.comparison]
        said.append(
            f"How configs are compared (by the 95 % interval {method}) was fixed in the study file before the run."
        )
    return said


def dev_in_words(summary: Summary, best: Standing, baseline: Standing | None) -> list[str]:
    """The best mean against the baseline's on dev, or the next one's; how its choice and its start favour it."""
    if best.is_baseline:
        if len(summary.confirmed) < 2:
            return []
        judged, others = summary.confirmed[1], "the {} others"
        beside = f"Next comes {standing_value(summary, judged)}"
    else:
        judged, others = best, "{}"
        if baseline is None or baseline.dev is None:
            return trained_longer([best.name], summary.origins)
        beside = f"The baseline “{BASELINE}” has {standing_value(summary, baseline)} ({seeds_in_words(baseline)})"
    assert baseline is not None
    behind = relative(summary, judged, baseline) + other_seeds(judged.gap, judged.dev, baseline.dev)
    said = [f"{beside}: {gap_in_words(summary, judged, judged.gap, 'dev')}.{behind}"]
    num = sum(one.gap is not None for one in summary.confirmed)
    if num >= 2 and judged.gap is not None:
        unread = all(one.test is None for one in summary.standings)
        end = "." if unread else "; the test set chose nothing."
        is_best = f"{sentence_case(standing_name(judged))} is the best of {others.format(num)} on these dev values"
        said.append(f"{is_best}, so the difference on dev flatters it{end}")
    return [*said, *trained_longer([judged.name], summary.origins)]


def gap_in_words(summary: Summary, standing: Standing, gap: Difference | None, split: str) -> str:
    """What an interval supports: "config “AP loss” is better on dev by 3.10 points, 95 % interval 1.20 to 5.00, …".

    The difference and its interval are turned so that more is better.
    """
    name, metric = standing_name(standing), summary.metric
    if gap is None:
        return f"no seed measured both on {split}, so {name} cannot be compared with it"
    sign = -1 if summary.minimize else 1
    size = metric_difference(metric, gap.mean)
    if gap.low is None or gap.high is None:
        side = "the same" if gap.mean == 0 else f"{size} {'below' if gap.mean < 0 else 'above'}"
        return f"{name} is {side} on {split}, but {basis(gap)} has no interval, so this is unconfirmed"
    low, high = sorted((sign * gap.low, sign * gap.high))
    verdict = gap.verdict(minimize=summary.minimize)
    if verdict == "tied" and low == high:
        return f"{name} is tied with the baseline on {split}: the two do not differ at all, {basis(gap)}"
    if verdict == "tied":
        side = "" if gap.mean == 0 else " in its favour" if sign * gap.mean > 0 else " against it"
        held = f"the interval {interval(metric, low, high)} holds 0"
        return f"{name} is tied with the baseline on {split}: {held} (95 %, difference {size}{side}, {basis(gap)})"
    if verdict == "worse":
        low, high = -high, -low
    return f"{name} is {verdict} on {split} by {size}, 95 % interval {interval(metric, low, high)}, {basis(gap)}"


def basis(gap: Difference) -> str:
    """What a difference rests on: "paired over 3 seeds"."""
    if gap.method == PAIRED:
        return f"paired over {count(gap.n, 'seed')}"
    return f"by Welch's t over at least {count(gap.n, 'seed')} each"


def relative(summary: Summary, standing: Standing, baseline: Standing) -> str:
    """The relative improvement of the means, as papers give it, where the interval of their difference supports any."""
    dev, gap, base = standing.dev, standing.gap, baseline.dev
    if dev is None or base is None or gap is None or not gap.rests_on(dev, base):
        return ""
    share = relative_improvement(dev.mean, base.mean, minimize=summary.minimize)
    if share is None or share <= 0 or gap.verdict(minimize=summary.minimize) != "better":
        return ""
    return f" Relative to the baseline's mean that is an improvement of {number(share, 0)} %."


def other_seeds(gap: Difference | None, first: Estimate | None, second: Estimate | None) -> str:
    """A sentence if the difference leaves out seeds on which the means rest."""
    if gap is None or first is None or second is None or gap.rests_on(first, second):
        return ""
    return OTHER_SEEDS


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
    return [f"Of the {len(compared)} configs compared with the baseline on dev over several seeds, {joined(parts)}."]


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
    behind = other_seeds(best.test_gap, best.test, baseline.test)
    return [f"{said} and the baseline {theirs}: {gap_in_words(summary, best, best.test_gap, 'test')}.{behind}"]


def correlation_in_words(summary: Summary) -> list[str]:
    """How alike the seeds treat the best config that has a comparison and the baseline: what pairing lives by."""
    for one in summary.confirmed:
        if one.gap is None or one.gap.correlation is None:
            continue
        values = f"the values of {standing_name(one)} and of the baseline"
        pairs = count(one.gap.pairs, "pair")
        return [f"Over the common seeds {values} on dev correlate by {number(one.gap.correlation, 2)} ({pairs})."]
    return []
