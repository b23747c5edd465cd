"""The sections that draw: each chart comes with a sentence computed from the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from optuna.distributions import CategoricalDistribution, FloatDistribution

from reports.blocks import Chart, Column, Row, Section, Table
from reports.charts import MAX_MARKS, best_so_far_chart, curves_chart, importance_chart, slice_chart
from reports.drawing import HALF, NARROW, WIDE, thinned
from reports.importance import METHOD, MIN_CONFIGS, knob_importance
from reports.reading import Run
from reports.summaries import Summary, best_so_far, curves
from reports.verdict import name_of
from reports.words import (
    are,
    clean,
    count,
    joined,
    knob_value,
    measure_of,
    metric_difference,
    metric_value,
    number,
    ordinal,
    sentence_case,
    span,
)

TOP_CURVES = 5
OTHER_CURVES = 80


def progress(run: Run, summary: Summary) -> Section:
    """The best value so far, by ended trials and by time spent."""
    del run
    title = "Best so far"
    ended = best_so_far(summary.trials, minimize=summary.minimize)
    if not ended["best"].drop_nulls().len():
        return Section("progress", title, ("No complete trial yet: there is no best value to follow.",))
    final = ended["best"][-1]
    at = ended.filter(pl.col("value") == final).row(0, named=True)
    total = float(ended["total_s"][-1])
    baseline = summary.baseline()
    value = None if baseline is None else float(baseline["value"])  # type: ignore[arg-type]
    where = f"{clean(str(at['name']))}, {ordinal(at['order'])} of {count(ended.height, 'trial')} to end"
    dashed = " The dashed line is the baseline." if value is not None else ""
    alt_text = f"best dev {measure_of(summary.metric).title} so far, ending at {metric_value(summary.metric, final)}"
    reached = f"{metric_value(summary.metric, final)} was reached by {where}."
    spent = f"It took {span(at['total_s'])} of trial time to get there; {span(total)} went to all trials that ended."
    drawn = []
    for key, heading, sentence in (("by-trial", "By trials ended", reached), ("by-cost", "By time spent", spent)):
        wide, narrow = (
            best_so_far_chart(ended, metric=summary.metric, by_cost=key == "by-cost", baseline=value, width=width)
            for width in (HALF, NARROW)
        )
        drawn.append(Chart(key, heading, sentence + dashed, f"Step chart: {alt_text}.", wide, narrow, half=True))
    note = (
        "A ring is a complete trial, the line the best of them until then; "
        "stopped and failed trials cost time but set no value."
    )
    return Section("progress", title, (note,), charts=tuple(drawn))


def learning(run: Run, summary: Summary) -> Section:
    """The objective by epoch."""
    del run
    title = "Learning curves"
    lines = curves(summary, top=TOP_CURVES, others=OTHER_CURVES)
    metric = measure_of(summary.metric).title
    if not lines.height:
        return Section("learning", title, (f"No epoch has a finite dev {metric} yet: there is no curve to draw.",))
    top = summary.configs.head(TOP_CURVES).filter(~pl.col("is_baseline"))["name"].to_list()
    baseline = next(iter(summary.trials.filter(pl.col("is_baseline"))["name"].to_list()), None)
    drawn_count = lines["trial_id"].n_unique()
    said = learning_sentence(summary, lines)
    others = lines.filter(pl.col("role") == "other")["trial_id"].n_unique()
    rest = summary.trials.height - drawn_count
    if others:
        said += f" Grey: {count(others, 'other trial')}"
        said += f"; {rest:,} are not drawn." if rest else "."
    elif rest:
        said += f" {rest:,} {are(rest)} not drawn: without a finite value."
    stopped = lines.filter(pl.col("is_end") & (pl.col("state") == "pruned")).height
    failed = lines.filter(pl.col("is_end") & (pl.col("state") == "failed")).height
    ends = []
    if stopped:
        ends.append(f"a cross where a trial was stopped ({stopped})")
    if failed:
        ends.append(f"a triangle where one failed ({failed})")
    if ends:
        said += f" There is {joined(ends)}."
    wide, narrow = (
        curves_chart(lines, metric=summary.metric, names=top, baseline=baseline, width=width)
        for width in (WIDE, NARROW)
    )
    alt_text = f"Line chart of dev {metric} by epoch for {count(drawn_count, 'trial')}. {said}"
    chart = Chart("curves", f"Dev {metric} by epoch", said, alt_text, wide, narrow)
    return Section("learning", title, charts=(chart,))


def learning_sentence(summary: Summary, lines: pl.DataFrame) -> str:
    """What the best config's curve does, and whether it still moves at its end."""
    best = summary.best()
    if best is None:
        return "No trial is complete: the curves show how far each came."
    ids = best["trial_ids"]
    curve = lines.filter(pl.col("trial_id") == ids[0]).sort("epoch")  # type: ignore[index]
    if curve.height < 2:
        return f"{sentence_case(name_of(best))} has a single measured epoch."
    first, last = curve.row(0, named=True), curve.row(-1, named=True)
    verb = "falls" if last["value"] < first["value"] else "rises"
    said = (
        f"{sentence_case(name_of(best))} {verb} from {metric_value(summary.metric, first['value'])} "
        f"at epoch {first['epoch']} "
        f"to {metric_value(summary.metric, last['value'])} at epoch {last['epoch']}"
    )
    late = curve.filter(pl.col("epoch") <= last["epoch"] - max(1, last["epoch"] // 5)).row(-1, named=True)
    gained = (late["value"] - last["value"]) * (1 if summary.minimize else -1)
    if late["epoch"] == first["epoch"]:
        return f"{said}."
    if gained > 0:
        return f"{said}; since epoch {late['epoch']} it gained {metric_difference(summary.metric, gained)}."
    return f"{said}; since epoch {late['epoch']} it gained nothing."


def importance(run: Run, summary: Summary) -> Section:
    """How much each searched knob decides about being among the best."""
    title = "Knob importance"
    if run.study.search is None:
        return Section("importance", title, ("This study has no search: there is no knob to judge.",))
    configs, epoch = judged_configs(summary)
    found = knob_importance(configs, run.study.space(), minimize=summary.minimize)
    stopped = summary.state_count("pruned")
    if epoch is not None:
        left_out = (
            f"Fewer than {MIN_CONFIGS} configs are complete, so the configs are compared at epoch {epoch}, the last "
            f"that {MIN_CONFIGS} or more of them reached: it tells of an early start, not of the end."
        )
    elif stopped:
        left_out = f"{count(stopped, 'stopped (pruned) trial')} {are(stopped)} left out: their values are earlier ones."
    else:
        left_out = "No trial was stopped early, so none is left out."
    if not found.shares:
        meaning = f" At least {MIN_CONFIGS} complete configs are needed." if found.num_configs < MIN_CONFIGS else ""
        return Section("importance", title, (f"{METHOD} was not computed: {found.reason}.{meaning}", left_out))
    first, share = next(iter(found.shares.items()))
    lead = f"{first} decides most about being among the best, with {number(100 * share, 0)} % of the importance."
    if len(found.shares) == 1:
        lead = f"{first} is the only searched knob, so it has all of the importance."
    kind = "complete configs" if epoch is None else "configs at that epoch"
    method = (
        f"Method: {METHOD} as in Optuna, which compares where the best {found.num_best} of {found.num_configs} "
        f"{kind} lie with where all of them lie. It says what helps to be among the best, "
        f"not how much a knob changes the value."
    )
    few = (
        "With so few configs the order can change with the next trials: take it as a hint."
        if found.num_configs < 50
        else "It describes the configs that the sampler tried, not the whole space."
    )
    alt_text = "Bar chart: " + ", ".join(f"{k} {number(100 * v, 0)} %" for k, v in found.shares.items()) + "."
    wide, narrow = (importance_chart(found.shares, width=width) for width in (HALF, NARROW))
    chart = Chart("importance", f"Importance by {METHOD}", lead, alt_text, wide, narrow, half=True)
    rows = tuple(Row((k, f"{100 * v:.0f}")) for k, v in found.shares.items())
    table = Table(f"Importance by {METHOD}", (Column("knob"), Column("share (%)", True)), rows)
    return Section("importance", title, (method, left_out, few), charts=(chart,), tables=(table,))


def search_configs(summary: Summary) -> pl.DataFrame:
    """The configs that the search asked for; arms were chosen by people, and would bend the picture of the search."""
    asked = summary.trials.filter(pl.col("phase") == "search")["config_id"].unique().to_list()
    return summary.configs.filter(pl.col("config_id").is_in(asked))


def judged_configs(summary: Summary) -> tuple[pl.DataFrame, int | None]:
    """The configs that importance is computed from: the complete ones, or all at an earlier epoch if those are too few.

    The epoch is the last that `MIN_CONFIGS` search configs reached, None where complete configs are taken (or where no
    epoch was reached by so many).
    """
    complete = search_configs(summary)
    column = f"metric.{summary.metric}"
    if complete.height >= MIN_CONFIGS or column not in summary.epochs.columns:
        return complete, None
    knobs = [c for c in summary.trials.columns if c.startswith("knob.")]
    asked = summary.trials.filter(pl.col("phase") == "search").select("trial_id", "config_id", *knobs)
    measured = summary.epochs.filter((pl.col("epoch") > 0) & pl.col(column).is_finite()).join(asked, on="trial_id")
    reached = measured.group_by("epoch").agg(pl.col("config_id").n_unique()).filter(pl.col("config_id") >= MIN_CONFIGS)
    if not reached.height:
        return complete, None
    epoch = int(max(reached["epoch"].to_list()))
    at = measured.filter(pl.col("epoch") == epoch).group_by("config_id", maintain_order=True)
    return at.agg(pl.col(column).mean().alias("value"), pl.col(knobs).first()), epoch


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
        sentence = slice_sentence(summary, here, space[knob])
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
