"""The leaderboard: configs over several seeds with intervals; apart, those with one seed; then what has no rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from reports.blocks import Column, Row, Section, Table
from reports.comparison import lost_seeds, other_seeds
from reports.origins import with_origin
from reports.paper_table import baseline_knobs
from reports.reading import Run
from reports.standings import Standing
from reports.summaries import Summary
from reports.verdict import baseline_state, search_mean, shown
from reports.words import (
    COVERAGE,
    METHOD_WORDS,
    NOTHING,
    STATE_WORDS,
    clean,
    interval,
    joined,
    knob_value,
    mean_value,
    measure_of,
    metric_value,
    signed_difference,
)
from search_spaces.study import BASELINE

MAX_ROWS = 50
CONFIG, WORD = Column("config"), Column(f"dev: to “{BASELINE}”")


def leaderboard(run: Run, summary: Summary) -> Section:
    """Configs over several seeds, the baseline among them; those with one seed; then the trials that do not rank."""
    baseline_differs = baseline_knobs(run.study)
    is_compared = baseline_differs is None
    sentences = []
    if summary.configs.height:
        goal = "lowest" if summary.minimize else "highest"
        sentences.append(
            f"Configs whose trials ran to their last epoch, {goal} dev {measure_of(summary.metric).title} first; "
            f"the value is that of the last epoch, not the best epoch's."
        )
        if baseline_differs is not None:
            differ = f" (they differ in {joined(baseline_differs)})" if baseline_differs else ""
            sentences.append(
                f"The study's table compares with several baselines{differ}: this order runs across them, so a rank "
                f"says nothing of two configs that the table does not compare, and no difference is given here."
            )
        elif summary.baseline() is None:
            sentences.append(f"The baseline is missing: the arm “{BASELINE}” {baseline_state(summary)}.")
    else:
        sentences.append("No complete trial: nothing can be ranked.")
    several = confirmed_table(summary, is_compared=is_compared)
    tables = [t for t in (several, unconfirmed_table(summary), unranked(summary)) if t is not None]
    return Section("leaderboard", "Leaderboard", tuple(sentences), tables=tuple(tables))


def confirmed_table(summary: Summary, *, is_compared: bool = True) -> Table | None:
    """Means over the study's seeds, with intervals and what they support; configs that lost all seeds at the end.

    `is_compared` says whether "paper" is the baseline of all of them.
    """
    if not summary.confirmed:
        return None
    lost = [one for one in summary.standings if one.dev is None]
    every, has_test = confirmed_columns(summary), any(one.test is not None for one in summary.standings)
    configs = {row["config_id"]: row for row in summary.configs.iter_rows(named=True)}
    kept = [one for one in summary.confirmed if one.is_baseline or (one.rank or 0) <= MAX_ROWS]
    left_out = () if is_compared else (WORD, *gap_columns())
    places = [place for place, column in enumerate(every) if column not in left_out]
    columns = tuple(every[place] for place in places)
    rows = []
    for one in (*kept, *lost):
        cells = confirmed_cells(summary, one, configs.get(one.config_id), has_test=has_test, is_compared=is_compared)
        is_strong = is_compared and word(summary, one) == "better"
        strong = tuple(columns.index(column) for column in (CONFIG, WORD)) if is_strong else ()
        mark = "baseline" if one.is_baseline and is_compared else ""
        rows.append(Row(tuple(cells[place] for place in places), mark, strong))
    return Table(
        "Means over several seeds",
        columns,
        tuple(rows),
        (*confirmed_notes(summary, is_compared=is_compared), *knob_note(columns, rows, summary)),
    )


def confirmed_columns(summary: Summary) -> tuple[Column, ...]:
    """Mean and what is said of it, intervals, difference, test; then knobs and the other metrics."""
    measure = measure_of(summary.metric)
    columns = [Column("rank", True), CONFIG, Column(f"dev {measure.heading}", True), WORD, Column("seeds")]
    columns += [Column("95 % interval", True), *gap_columns()]
    columns += [Column(f"test {measure.heading}", True)] if any(s.test is not None for s in summary.standings) else []
    columns += knob_columns(summary)
    return (*columns, *(Column(measure_of(m).heading, True) for m in other_metrics(summary)))


def gap_columns() -> tuple[Column, Column]:
    """The difference to the baseline and its interval."""
    return Column(f"dev minus “{BASELINE}”", True), Column("its 95 % interval", True)


def confirmed_cells(
    summary: Summary, standing: Standing, config: Mapping[str, Any] | None, *, has_test: bool, is_compared: bool
) -> tuple[str, ...]:
    """A measured config's line."""
    metric, dev, gap = summary.metric, standing.dev, standing.gap
    test = [NOTHING if standing.test is None else test_value(summary, standing)] if has_test else []
    knobs = knobs_of_config(summary, standing.config_id) if config is None else config
    return (
        NOTHING if standing.rank is None else str(standing.rank),
        config_cell(summary, standing.name, is_baseline=standing.is_baseline and is_compared),
        NOTHING if dev is None else mean_value(metric, dev.mean, dev.std, unit=False),
        word(summary, standing),
        seeds_cell(standing),
        NOTHING if dev is None else interval(metric, dev.low, dev.high),
        NOTHING if gap is None else signed_difference(metric, gap.mean),
        NOTHING if gap is None else interval(metric, gap.low, gap.high),
        *test,
        *(knob_value(knobs.get(f"knob.{k}")) for k in summary.shown_knobs),
        *(
            NOTHING if config is None else metric_value(m, config[f"metric.{m}"], unit=False)
            for m in other_metrics(summary)
        ),
    )


def word(summary: Summary, standing: Standing) -> str:
    """What the interval of the difference supports: better, tied, worse; a dash if it supports nothing."""
    found = "unknown" if standing.gap is None else standing.gap.verdict(minimize=summary.minimize)
    return NOTHING if found == "unknown" else found


def test_value(summary: Summary, standing: Standing) -> str:
    """The mean on the test set; with its seeds where they are not those of dev."""
    test, dev = standing.test, standing.dev
    assert test is not None
    text = mean_value(summary.metric, test.mean, test.std, unit=False)
    return text if dev is not None and dev.n == test.n else f"{text} (n = {test.n})"


def config_cell(summary: Summary, name: str, what: str = "", *, is_baseline: bool) -> str:
    """A config's name, whose weights it starts from, `what` its value is, and whether it is the baseline."""
    return clean(f"{with_origin(name, summary.origins)}{what}{' (baseline)' if is_baseline else ''}")


def seeds_cell(standing: Standing) -> str:
    """The seeds behind a mean, and what became of the others: "3", "2 of 3: 1 failed"."""
    num = standing.dev.n if standing.dev is not None else 0
    return str(num) if num == standing.asked else f"{num} of {standing.asked}: {joined(lost_seeds(standing))}"


def confirmed_notes(summary: Summary, *, is_compared: bool) -> list[str]:
    """How to read the intervals."""
    means = f"Mean ± standard deviation over seeds (sample deviation, n − 1). {COVERAGE}"
    others = [one for one in summary.confirmed if one.gap is not None]
    if not others or not is_compared:
        return [means]
    found = [
        means,
        f"Differences are on dev, with the 95 % interval {METHOD_WORDS[summary.comparison]}.",
        "Better (bold), worse: the interval of the difference leaves 0 out; tied: it holds 0.",
    ]
    baseline = next(one for one in summary.standings if one.is_baseline)
    if any(other_seeds(one.gap, one.dev, baseline.dev) for one in others):
        found.append("Where seeds are missing, means rest on different seeds; the difference is over the common ones.")
    if len(others) > 1:
        found.append("Each interval holds for one comparison by itself; of many, some leave 0 out by chance.")
    return found


def unconfirmed_table(summary: Summary) -> Table | None:
    """The best of the unconfirmed configs, and the baseline if it is one of them, whatever its rank."""
    rest = summary.unconfirmed
    if not rest.height:
        return None
    others = other_metrics(summary)
    columns = [Column("rank", True), CONFIG]
    columns += [Column(f"dev {measure_of(summary.metric).heading}", True), *knob_columns(summary)]
    columns += [Column(measure_of(m).heading, True) for m in others]
    columns += [Column("epochs", True), Column("seeds")]
    kept = rest.with_row_index().filter((pl.col("index") < MAX_ROWS) | pl.col("is_baseline"))
    measured = {one.config_id: seeds_cell(one) for one in summary.standings}
    rows = []
    for config in kept.iter_rows(named=True):
        seeds = measured.get(config["config_id"]) if config["measured"] else None
        cells = unconfirmed_cells(summary, config, others, seeds or f"{config['seeds']} (search)")
        rows.append(Row(cells, "baseline" if config["is_baseline"] else ""))
    left_out = rest.height - len(rows)
    note = "No rank here is a result: one value says nothing of chance, and the first of many looks better than it is."
    if summary.trials.filter(pl.col("phase") == "confirm").height:
        note += " Configs that were confirmed are judged by their confirmations alone, and are not listed here."
    if left_out:
        note += f" {left_out:,} more configs are left out; `voxstudy show` lists all."
    caption = "Unconfirmed: measured by the search alone, or with one seed"
    return Table(caption, tuple(columns), tuple(rows), (note, *knob_note(columns, rows, summary)))


def unconfirmed_cells(summary: Summary, config: Mapping[str, Any], others: list[str], seeds: str) -> tuple[str, ...]:
    """The line of a config with one seed, or with trials of the search."""
    return (
        str(config["rank"]),
        config_cell(summary, config["name"], search_mean(config), is_baseline=config["is_baseline"]),
        shown(summary, config).removesuffix(measure_of(summary.metric).unit).strip(),
        *(knob_value(config[f"knob.{k}"]) for k in summary.shown_knobs),
        *(metric_value(m, config[f"metric.{m}"], unit=False) for m in others),
        str(config["epochs"]),
        seeds,
    )


def other_metrics(summary: Summary) -> list[str]:
    """The metrics beside the objective."""
    return [m for m in summary.metrics if m != summary.metric]


def knobs_of_config(summary: Summary, config_id: str) -> Mapping[str, Any]:
    """The knobs of a config that has no value: those of any of its trials."""
    rows = summary.trials.filter(pl.col("config_id") == config_id)
    return rows.row(0, named=True) if rows.height else {}


def knob_note(columns: Sequence[Column], rows: Sequence[Row], summary: Summary) -> list[str]:
    """What a dash under a knob means, if there is one."""
    places = [place for place, column in enumerate(columns) if column.title in summary.shown_knobs]
    has_dash = any(row.cells[place] == NOTHING for row in rows for place in places)
    return [f"{NOTHING} under a knob: it has no effect there."] if has_dash else []


def knob_columns(summary: Summary) -> list[Column]:
    """A column a knob that varies; numbers to the right."""
    return [Column(k, summary.trials[f"knob.{k}"].dtype.is_numeric()) for k in summary.shown_knobs]


def unranked(summary: Summary) -> Table | None:
    """Trials that were stopped, failed, are unfinished or ended without a usable value, with the epoch they reached."""
    ranked = summary.configs["trial_ids"].explode().to_list() if summary.configs.height else []
    rest = summary.trials.filter(
        ~pl.col("trial_id").is_in(ranked) & ((pl.col("state") != "complete") | pl.col("value").is_null())
    )
    if not rest.height:
        return None
    columns = [Column("trial"), Column("state"), Column("epoch reached", True)]
    columns += knob_columns(summary)
    columns += [Column(f"dev {measure_of(summary.metric).heading} there", True)]
    rest = rest.sort("value", descending=not summary.minimize, nulls_last=True, maintain_order=True)
    rows = [
        Row(
            (
                clean(f"{r['name']}{' (baseline)' if r['is_baseline'] else ''}"),
                STATE_WORDS.get(r["state"], r["state"]) if r["state"] != "complete" else "complete, no usable value",
                f"{r['epochs']} of {r['epochs_planned']}",
                *(knob_value(r[f"knob.{k}"]) for k in summary.shown_knobs),
                metric_value(summary.metric, r["value"] if r["value"] is not None else r["objective"], unit=False),
            ),
            "baseline" if r["is_baseline"] else "",
        )
        for r in rest.head(MAX_ROWS).iter_rows(named=True)
    ]
    left_out = rest.height - len(rows)
    note = "Their values are from earlier epochs or missing, so they have no rank."
    return Table(
        "Trials without a rank",
        tuple(columns),
        tuple(rows),
        (f"{note} {left_out:,} more are left out." if left_out else note, *knob_note(columns, rows, summary)),
    )
