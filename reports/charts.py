"""The charts: what is on which axis and in which colour."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import polars as pl
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from reports.drawing import (
    BASELINE_DASH,
    BEST_COLOURS,
    BLUE,
    GREY,
    NARROW,
    PURPLE,
    SMALL,
    VERMILLION,
    base,
    drawn,
    log_ticks,
    thinned,
    whole_ticks,
)
from reports.words import knob_value, measure_of, metric_value, span, span_unit

CROSS = "M-.5,-.5L.5,.5M.5,-.5L-.5,.5"
LOG_RATIO = 5
MAX_MARKS = 400


def metric_title(metric: str) -> str:
    """What stands along the objective's axis."""
    return f"dev {measure_of(metric).heading}"


def metric_axis(metric: str) -> alt.Y:
    """The upright axis of the objective, in the unit that people read."""
    return alt.Y("shown:Q", title=metric_title(metric), scale=alt.Scale(zero=False, nice=True))


def wide_metric_axis(metric: str, low: float, high: float) -> alt.Y:
    """The same for learning curves: logarithmic if they span a lot, for their ends lie close together."""
    if low <= 0 or high < LOG_RATIO * low:
        return metric_axis(metric)
    scale = alt.Scale(type="log", domain=[low * 0.95, high * 1.05], nice=False)
    axis = alt.Axis(values=log_ticks(low, high), format="~g")
    return alt.Y("shown:Q", title=f"{metric_title(metric)}, log", scale=scale, axis=axis)


def shown_value(metric: str) -> pl.Expr:
    """The column `value` in the unit that people read, as `shown`."""
    return (pl.col("value") * measure_of(metric).factor).alias("shown")


def labelled(rows: pl.DataFrame, words: Sequence[str]) -> pl.DataFrame:
    """The rows with what each mark says of itself."""
    return rows.with_columns(pl.Series("label", words, pl.String))


def best_so_far_chart(ended: pl.DataFrame, *, metric: str, by_cost: bool, baseline: float | None, width: int) -> str:
    """Steps to the best value so far over ended trials (`by_cost`: over the time spent); a ring is a complete trial."""
    factor, unit = span_unit(float(ended["total_s"][-1]))
    place = (pl.col("total_s") * factor) if by_cost else pl.col("order")
    factor_y = measure_of(metric).factor
    rows = ended.with_columns(shown_value(metric), place=place, best=pl.col("best") * factor_y)
    rings = thinned(rows.filter(pl.col("value").is_not_null()), MAX_MARKS)
    words = [
        f"{row['name']}: {metric_value(metric, row['value'])} after {span(row['total_s'])}"
        for row in rings.iter_rows(named=True)
    ]
    rings = labelled(rings, words).select("place", "shown", "label")
    steps = pl.col("best").is_not_null() & (pl.col("best") != pl.col("best").shift().fill_null(math.nan))
    line = rows.filter(steps | (pl.col("order") == rows.height)).select("place", "best")
    title = f"time spent on trials ({unit})" if by_cost else "trials ended"
    axis = alt.Axis(tickCount=6) if by_cost else alt.Axis(values=whole_ticks(0, ended.height, 6))
    x = alt.X("place:Q", title=title, scale=alt.Scale(zero=True, nice=False), axis=axis)
    y = metric_axis(metric)
    layers = [
        base(rings).mark_point(color=GREY, size=30, strokeWidth=1.5).encode(x=x, y=y, description="label:N"),
        base(line).mark_line(color=BLUE, interpolate="step-after", strokeWidth=2.5).encode(x=x, y="best:Q"),
    ]
    if baseline is not None:
        rule = base([{"shown": baseline * factor_y, "label": "the baseline"}])
        layers.append(
            rule.mark_rule(color=VERMILLION, strokeDash=BASELINE_DASH, strokeWidth=2).encode(
                y="shown:Q", description="label:N"
            )
        )
    return drawn(layers, width=width, height=260, key="cost" if by_cost else "order")


def curves_chart(lines: pl.DataFrame, *, metric: str, names: Sequence[str], baseline: str | None, width: int) -> str:
    """The objective by epoch: the configs in `names` in colours, the baseline dashed, all others grey.

    A cross ends the line of a stopped trial, a triangle that of a failed one.
    """
    lines = lines.with_columns(shown_value(metric))
    last_epoch = int(lines["epoch"].max())  # type: ignore[arg-type]
    epochs = alt.Axis(values=whole_ticks(0, last_epoch, 12 if width > NARROW else 6))
    start = "before training" if lines["has_init"].any() else "untrained"
    x = alt.X("epoch:Q", title=f"epoch (0: {start})", axis=epochs, scale=alt.Scale(nice=False))
    y = wide_metric_axis(metric, float(lines["shown"].min()), float(lines["shown"].max()))  # type: ignore[arg-type]
    others = lines.filter(pl.col("role") == "other").select("trial_id", "epoch", "shown")
    led = lines.filter(pl.col("role") != "other").select("trial_id", "config_name", "epoch", "shown")
    layers = [
        base(others).mark_line(color=GREY, strokeWidth=1, strokeOpacity=0.6).encode(x=x, y=y, detail="trial_id:N")
    ]
    present = set(led["config_name"])
    domain = [name for name in (*names, *([baseline] if baseline else [])) if name in present]
    if domain:
        colours = [VERMILLION if n == baseline else BEST_COLOURS[i % len(BEST_COLOURS)] for i, n in enumerate(domain)]
        dashes = [BASELINE_DASH if n == baseline else [1, 0] for n in domain]
        legend = alt.Legend(title=None, columns=6 if width > NARROW else 3)
        layers.append(
            base(led)
            .mark_line(strokeWidth=2.5)
            .encode(
                x=x,
                y=y,
                color=alt.Color("config_name:N", scale=alt.Scale(domain=domain, range=colours), legend=legend),
                strokeDash=alt.StrokeDash("config_name:N", scale=alt.Scale(domain=domain, range=dashes), legend=legend),
                detail="trial_id:N",
            )
        )
    ends = lines.filter(pl.col("is_end"))
    words = [
        f"{row['name']}: {metric_value(metric, row['value'])} at epoch {row['epoch']}, {row['state']}"
        for row in ends.iter_rows(named=True)
    ]
    ends = labelled(ends, words).select("epoch", "shown", "label", "state")
    stopped, failed = pl.col("state") == "pruned", pl.col("state") == "failed"
    marks = [
        base(ends.filter(~stopped & ~failed)).mark_point(color=GREY, size=14, filled=True),
        base(ends.filter(stopped)).mark_point(shape=CROSS, color=GREY, size=70, strokeWidth=1.8),
        base(ends.filter(failed)).mark_point(shape="triangle-up", color=PURPLE, size=60, filled=True),
    ]
    layers += [mark.encode(x=x, y=y, description="label:N") for mark in marks]
    return drawn(layers, width=width, height=380 if width > NARROW else 320, key="curves")


def importance_chart(shares: Mapping[str, float], *, width: int) -> str:
    """A bar a knob, the most important one on top, its share at the bar's end."""
    rows = [{"knob": k, "share": 100 * v, "text": f"{100 * v:.0f} %"} for k, v in shares.items()]
    chart = base([{**row, "label": f"{row['knob']}: {row['text']}"} for row in rows])
    y = alt.Y("knob:N", title=None, sort=list(shares), axis=alt.Axis(domain=False, ticks=False, labelLimit=180))
    x = alt.X("share:Q", title="share of the importance (%)", scale=alt.Scale(domain=[0, 108]))
    x = x.axis(values=[0, 20, 40, 60, 80, 100])
    bars = chart.mark_bar(color=BLUE, height=18).encode(x=x, y=y, description="label:N")
    texts = chart.mark_text(align="left", dx=5).encode(x=x, y=y, text="text:N")
    return drawn([bars, texts], width=width, height=70 + 34 * len(rows), key="importance")


def slice_chart(
    points: pl.DataFrame,
    *,
    knob: str,
    metric: str,
    distribution: BaseDistribution,
    baseline: Mapping[str, Any] | None,
    reach: tuple[float, float],
    number: int,
) -> str:
    """The objective over one knob: a dot is a complete trial, a pale ring a stopped one, a diamond the baseline.

    `points` has `x` (the knob), `value`, `state`, `name`, `epochs`; `baseline` has `x` and `value`. The upright axis
    spans `reach` (values as stored); what lies beyond stands at its edge.
    """
    discrete = isinstance(distribution, CategoricalDistribution)
    factor = measure_of(metric).factor
    scale = alt.Scale(domain=[bound * factor for bound in reach], nice=False, clamp=True, padding=8)
    x = knob_axis(knob, distribution, [*points["x"].to_list(), *([baseline["x"]] if baseline else [])])
    y = alt.Y("shown:Q", title=metric_title(metric), scale=scale, axis=alt.Axis(tickCount=5))
    words = [
        f"{row['name']}: {knob} {knob_value(row['x'])}, {metric_value(metric, row['value'])}, "
        f"{row['state']} at epoch {row['epochs']}"
        for row in points.iter_rows(named=True)
    ]
    rows = labelled(points.with_columns(shown_value(metric)), words)
    if discrete:
        rows = rows.with_columns(pl.Series("x", [knob_value(value) for value in points["x"].to_list()], pl.String))
    complete = rows.filter(pl.col("state") == "complete").select("x", "shown", "label")
    stopped = rows.filter(pl.col("state") == "pruned").select("x", "shown", "label")
    marks = [
        base(stopped).mark_point(color=GREY, size=34, strokeWidth=1.3),
        base(complete).mark_point(color=BLUE, size=44, filled=True, fillOpacity=0.8),
    ]
    if baseline is not None:
        at = knob_value(baseline["x"]) if discrete else baseline["x"]
        said = f"the baseline: {knob} {knob_value(baseline['x'])}, {metric_value(metric, baseline['value'])}"
        diamond = base([{"x": at, "shown": baseline["value"] * factor, "label": said}])
        marks.append(diamond.mark_point(shape="diamond", color=VERMILLION, size=110, filled=True, opacity=1))
    layers = [mark.encode(x=x, y=y, description="label:N") for mark in marks]
    return drawn(layers, width=SMALL, height=230, key=f"slice{number}")


def knob_axis(knob: str, distribution: BaseDistribution, values: Sequence[Any]) -> alt.X:
    """The level axis of a knob: its range, logarithmic if it is searched so; a strip a choice."""
    if isinstance(distribution, CategoricalDistribution):
        order = list(dict.fromkeys(knob_value(choice) for choice in (*distribution.choices, *values)))
        axis = alt.Axis(labelAngle=0 if len(order) <= 3 else -30, labelLimit=130)
        return alt.X("x:N", title=knob, sort=order, scale=alt.Scale(domain=order), axis=axis)
    assert isinstance(distribution, FloatDistribution | IntDistribution), f"unknown distribution {distribution!r}"
    low, high = min(distribution.low, *values), max(distribution.high, *values)
    if distribution.log and low > 0:
        scale = alt.Scale(type="log", domain=[low, high], nice=False, padding=8)
        axis = alt.Axis(values=log_ticks(low, high), format="~g", labelOverlap=True)
        return alt.X("x:Q", title=f"{knob}, log", scale=scale, axis=axis)
    whole = isinstance(distribution, IntDistribution)
    axis = alt.Axis(values=whole_ticks(int(low), int(high), 5)) if whole else alt.Axis(tickCount=5)
    return alt.X("x:Q", title=knob, scale=alt.Scale(domain=[low, high], nice=False, zero=False, padding=8), axis=axis)
