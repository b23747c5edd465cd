"""The slices: the objective over each searched knob, from the trials of the search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from optuna.distributions import CategoricalDistribution, FloatDistribution

from reports.blocks import Chart, Section
from reports.charts import MAX_MARKS, slice_chart
from reports.drawing import thinned
from reports.reading import Run
from reports.summaries import Summary
from reports.words import count, joined, knob_value, measure_of, metric_value
from search_spaces.knobs import Knob


def slices(run: Run, summary: Summary) -> Section:
    """The objective over each searched knob."""
    title = "Slices: the objective over each knob"
    if not summary.searched:
        return Section("slices", title, ("This study has no search: no knob was varied by a sampler.",))
    space = run.study.space()
    points = summary.trials.filter(
        (pl.col("phase") == "search") & pl.col("state").is_in(["complete", "pruned"]) & pl.col("value").is_not_null()
    )
    if not points.height:
        return Section("slices", title, ("No trial of the search has ended with a value: there is nothing to draw.",))
    baseline = summary.baseline()
    reach = slice_reach(points, baseline)
    drawn = []
    for place, knob in enumerate(summary.searched):
        column = f"knob.{knob}"
        here = points.filter(pl.col(column).is_not_null()).select("name", "state", "epochs", "value", x=pl.col(column))
        if not here.height:
            continue
        has_mark = baseline is not None and baseline[column] is not None
        mark = {"x": baseline[column], "value": baseline["value"]} if baseline is not None and has_mark else None
        sentence = only_where(run.study.knobs()[knob]) + slice_sentence(summary, here, space[knob])
        alt_text = f"Scatter of dev {measure_of(summary.metric).title} over {knob}. {sentence}"
        svg = slice_chart(
            few_points(summary, here),
            knob=knob,
            metric=summary.metric,
            distribution=space[knob],
            baseline=mark,
            reach=reach,
            number=place,
        )
        drawn.append(Chart(f"slice-{knob}", knob, sentence, alt_text, svg, half=True))
    note = "Other knobs vary along, so a slice shows a tendency, not an effect."
    legend = slice_legend(points, reach, has_baseline=baseline is not None)
    return Section("slices", title, (f"{legend} {note}",), charts=tuple(drawn))


def only_where(knob: Knob) -> str:
    """Says when a knob has an effect, if that is not always: "Only where loss = ap. "."""
    conditions = [
        f"{parent} = {joined([knob_value(value) for value in values], last='or')}"
        for parent, values in (knob.when or {}).items()
    ]
    return f"Only where {joined(conditions)}. " if conditions else ""


def few_points(summary: Summary, points: pl.DataFrame) -> pl.DataFrame:
    """What is drawn of many trials: the best complete ones, and an even sample of the others and the stopped ones."""
    complete = points.filter(pl.col("state") == "complete").sort("value", descending=not summary.minimize)
    best, others = complete.head(MAX_MARKS // 4), complete.slice(MAX_MARKS // 4)
    stopped = points.filter(pl.col("state") == "pruned")
    return pl.concat([best, thinned(others, MAX_MARKS // 2), thinned(stopped, MAX_MARKS // 4)])


def slice_reach(points: pl.DataFrame, baseline: Mapping[str, Any] | None) -> tuple[float, float]:
    """The span of the upright axis: that of complete trials and the baseline, for stopped ones were far from done."""
    complete = points.filter(pl.col("state") == "complete")["value"].to_list()
    values = [*(complete or points["value"].to_list()), *([baseline["value"]] if baseline is not None else [])]
    low, high = min(values), max(values)
    margin = 0.25 * (high - low) or 0.1 * abs(high) or 1.0
    return low - 0.3 * margin, high + margin


def slice_legend(points: pl.DataFrame, reach: tuple[float, float], *, has_baseline: bool) -> str:
    """What the marks mean, as far as they occur."""
    legend = ["A blue dot is a complete trial"]
    stopped = points.filter(pl.col("state") == "pruned")
    if stopped.height:
        legend.append("a grey ring is one that was stopped, at the value of the epoch it reached")
        if not stopped["value"].is_between(*reach).all():
            legend[-1] += " (at the edge if that lies beyond the axis)"
    if has_baseline:
        legend.append("the diamond is the baseline")
    if points.height > MAX_MARKS:
        legend.append("of many trials the best and an even sample of the others are drawn")
    return "; ".join(legend) + "."


def slice_sentence(summary: Summary, points: pl.DataFrame, distribution: object) -> str:
    """Where along a knob the good values lie, from the complete trials."""
    complete = points.filter(pl.col("state") == "complete").sort("value", descending=not summary.minimize)
    if not complete.height:
        return "No complete trial yet."
    if isinstance(distribution, CategoricalDistribution):
        medians = (
            complete.group_by("x")
            .agg(pl.col("value").median(), num=pl.len())
            .sort("value", "x", descending=[not summary.minimize, False])
        )
        parts = [
            f"{knob_value(r['x'])} {metric_value(summary.metric, r['value'])} ({count(r['num'], 'trial')})"
            for r in medians.to_dicts()
        ]
        return f"Median by choice: {joined(parts)}."
    best = complete["x"][0]
    if complete.height < 6:
        return f"Best at {knob_value(best)}, of {count(complete.height, 'complete trial')}."
    third = complete.head(max(2, complete.height // 3))["x"]
    low, high = knob_value(third.min()), knob_value(third.max())
    said = (
        f"Best at {knob_value(best)}; the best third lies between {low} and {high}."
        if low != high
        else f"The best third lies at {low}."
    )
    return said + edge_remark(float(best), distribution)


def edge_remark(best: float, distribution: Any) -> str:
    """A hint if the best value stands at an end of the searched range."""
    low, high = float(distribution.low), float(distribution.high)
    if high <= low:
        return ""
    if isinstance(distribution, FloatDistribution) and distribution.log:
        place = pl.Series([best / low]).log()[0] / pl.Series([high / low]).log()[0]
    else:
        place = (best - low) / (high - low)
    if 0.05 < place < 0.95:
        return ""
    return f" That is the {'lower' if place <= 0.05 else 'upper'} end of the range: a wider one may hold better values."
