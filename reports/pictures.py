"""The sections that draw: each chart comes with a sentence computed from the same rows."""

from __future__ import annotations

import polars as pl

from reports.blocks import Chart, Column, Row, Section, Table
from reports.charts import best_so_far_chart, curves_chart, importance_chart
from reports.drawing import HALF, NARROW, WIDE
from reports.importance import METHOD, MIN_CONFIGS, knob_importance
from reports.paper_table import baseline_knobs
from reports.reading import Run
from reports.summaries import Summary, best_so_far, curves, search_configs
from reports.verdict import name_of
from reports.words import (
    are,
    clean,
    count,
    joined,
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
    """The best value so far, by ended trials and by time spent: of the search, or of all trials where there is none.

    Trials of arms and confirmations are no steps of a search: their values would make its line jump.
    """
    title = "Best so far"
    is_search = run.study.search is not None
    mixed = baseline_knobs(run.study)
    if mixed is not None and not is_search:
        return Section("progress", title, (f"Not drawn: {no_rivals(mixed)}, so a best of all of them means nothing.",))
    followed = summary.trials.filter(pl.col("phase") == "search") if is_search else summary.trials
    ended = best_so_far(followed, minimize=summary.minimize)
    of_search = " of the search" if is_search else ""
    if not ended["best"].drop_nulls().len():
        return Section("progress", title, (f"No complete trial{of_search} yet: there is no best value to follow.",))
    final = ended["best"][-1]
    at = ended.filter(pl.col("value") == final).row(0, named=True)
    total = float(ended["total_s"][-1])
    dashed, value = dashed_line(summary)
    where = f"{clean(str(at['name']))}, {ordinal(at['order'])} of {count(ended.height, 'trial')}{of_search} to end"
    alt_text = f"best dev {measure_of(summary.metric).title} so far, ending at {metric_value(summary.metric, final)}"
    reached = f"{metric_value(summary.metric, final)} was reached by {where}."
    spent = (
        f"It took {span(at['total_s'])} of trial time to get there; "
        f"{span(total)} went to all trials{of_search} that ended."
    )
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
    alone = (
        "Only trials of the search are followed, each with its one seed; arms and confirmations are not."
        if is_search
        else "Every trial is followed by itself, one seed at a time: means over seeds are in the leaderboard."
    )
    return Section("progress", title, (note, alone), charts=tuple(drawn))


def no_rivals(knobs: tuple[str, ...]) -> str:
    """Why the arms of a table with several baselines are no rivals; `knobs` are those in which the baselines differ."""
    return f"the arms are measured against several baselines, which differ in {joined(knobs) or 'their configs'}"


def dashed_line(summary: Summary) -> tuple[str, float | None]:
    """What is said of the baseline's line, and where it lies."""
    baseline = summary.baseline()
    if baseline is None:
        return "", None
    seeds = baseline["seeds"]
    assert isinstance(seeds, int)
    what = f"the baseline's mean over {count(seeds, 'seed')}" if seeds > 1 else "the baseline"
    return f" The dashed line is {what}.", float(baseline["value"])  # type: ignore[arg-type]


def learning(run: Run, summary: Summary) -> Section:
    """The objective by epoch."""
    title = "Learning curves"
    lines = curves(summary, top=TOP_CURVES, others=OTHER_CURVES)
    metric = measure_of(summary.metric).title
    if not lines.height:
        return Section("learning", title, (f"No epoch has a finite dev {metric} yet: there is no curve to draw.",))
    top = summary.leading.head(TOP_CURVES).filter(~pl.col("is_baseline"))["name"].to_list()
    baseline = next(iter(summary.trials.filter(pl.col("is_baseline"))["config_name"].to_list()), None)
    drawn_count = lines["trial_id"].n_unique()
    mixed = baseline_knobs(run.study)
    said = learning_sentence(summary, lines)
    if mixed is not None:
        said = f"Coloured are the best means, of whatever row: {no_rivals(mixed)}."
    if (
        lines.filter(pl.col("role") != "other")
        .group_by("config_name")
        .agg(pl.col("trial_id").n_unique() > 1)["trial_id"]
        .any()
    ):
        said += " All seeds of a config have its colour."
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
    ids: list[str] = list(best["trial_ids"])  # type: ignore[call-overload]
    curve, over = mean_curve(lines.filter(pl.col("trial_id").is_in(ids)))
    if curve.height < 2:
        return f"{sentence_case(name_of(best))} has a single measured epoch."
    first, last = curve.row(0, named=True), curve.row(-1, named=True)
    verb = "falls" if last["value"] < first["value"] else "rises"
    said = (
        f"{sentence_case(name_of(best))} {verb} from {metric_value(summary.metric, first['value'])} "
        f"at epoch {first['epoch']} "
        f"to {metric_value(summary.metric, last['value'])} at epoch {last['epoch']}{over}"
    )
    late = curve.filter(pl.col("epoch") <= last["epoch"] - max(1, last["epoch"] // 5)).row(-1, named=True)
    gained = (late["value"] - last["value"]) * (1 if summary.minimize else -1)
    if late["epoch"] == first["epoch"]:
        return f"{said}."
    if gained > 0:
        return f"{said}; since epoch {late['epoch']} it gained {metric_difference(summary.metric, gained)}."
    return f"{said}; since epoch {late['epoch']} it gained nothing."


def mean_curve(lines: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """A config's mean over its seeds at the epochs that all of them have, and how to say that it is one."""
    seeds = lines["trial_id"].n_unique()
    by_epoch = lines.group_by("epoch").agg(pl.col("value").mean(), num=pl.len())
    curve = by_epoch.filter(pl.col("num") == seeds).sort("epoch")
    return curve, f" (mean of {count(seeds, 'seed')})" if seeds > 1 else ""


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
    conditional = [k for k in found.shares if configs[f"knob.{k}"].null_count()]
    if conditional:
        have = "it has" if len(conditional) == 1 else "they have"
        method += f" {joined(conditional)} {are(len(conditional))} judged only by configs in which {have} an effect."
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
