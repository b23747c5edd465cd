"""The report's sections, one function each, in the order of the page; those that draw stand in `pictures`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from reports.blocks import Column, Row, Section, Table, Verbatim
from reports.pictures import importance, learning, progress, slices
from reports.provenance import provenance
from reports.reading import Run
from reports.summaries import Summary, cost_by_state, failures
from reports.verdict import baseline_state, shown, verdict
from reports.words import clean, count, joined, knob_value, measure_of, metric_value, number, shortened, span
from search_spaces.study import BASELINE

MAX_ROWS = 50
STATE_WORDS = {"complete": "complete", "pruned": "stopped early (pruned)", "failed": "failed", "running": "unfinished"}


def leaderboard(run: Run, summary: Summary) -> Section:
    """Complete configs, best first, the baseline among them; then the trials that do not rank."""
    del run
    measure = measure_of(summary.metric)
    sentences = []
    if summary.configs.height:
        goal = "lowest" if summary.minimize else "highest"
        sentences.append(
            f"Configs whose trials ran to their last epoch, {goal} dev {measure.title} first; "
            f"the value is that of the last epoch, not the best epoch's."
        )
        if summary.baseline() is None:
            sentences.append(f"The baseline is missing: the arm “{BASELINE}” {baseline_state(summary)}.")
    else:
        sentences.append("No complete trial: nothing can be ranked.")
    tables = [t for t in (ranking(summary), unranked(summary)) if t is not None]
    return Section("leaderboard", "Leaderboard", tuple(sentences), tables=tuple(tables))


def ranking(summary: Summary) -> Table | None:
    """The best configs and the baseline, whatever its rank."""
    if not summary.configs.height:
        return None
    others = [m for m in summary.metrics if m != summary.metric]
    columns = [Column("rank", True), Column("config")]
    columns += [Column(f"dev {measure_of(summary.metric).heading}", True), *knob_columns(summary)]
    columns += [Column(measure_of(m).heading, True) for m in others]
    columns += [Column("epochs", True), Column("seeds", True)]
    kept = summary.configs.with_row_index().filter((pl.col("index") < MAX_ROWS) | pl.col("is_baseline"))
    rows = [Row(ranked_cells(summary, config, others), ranked_mark(config)) for config in kept.iter_rows(named=True)]
    left_out = summary.configs.height - len(rows)
    note = f"{left_out:,} more configs are left out; `voxstudy show` lists all." if left_out else ""
    return Table("Configs by rank", tuple(columns), tuple(rows), note)


def ranked_cells(summary: Summary, config: Mapping[str, Any], others: list[str]) -> tuple[str, ...]:
    """A config's line of the leaderboard."""
    mark = " (baseline)" if config["is_baseline"] else ""
    value = shown(summary, config).removesuffix(measure_of(summary.metric).unit).strip()
    return (
        str(config["rank"]),
        clean(f"{config['name']}{mark}"),
        value,
        *(knob_value(config[f"knob.{k}"]) for k in summary.shown_knobs),
        *(metric_value(m, config[f"metric.{m}"], unit=False) for m in others),
        str(config["epochs"]),
        str(config["seeds"]),
    )


def knob_columns(summary: Summary) -> list[Column]:
    """A column a knob that varies; numbers to the right."""
    return [Column(k, summary.trials[f"knob.{k}"].dtype.is_numeric()) for k in summary.shown_knobs]


def ranked_mark(config: Mapping[str, Any]) -> str:
    """The baseline's row is drawn apart; a single-seed winner is not: its lead may be noise."""
    return "baseline" if config["is_baseline"] else ""


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
    rest = rest.sort("value", descending=not summary.minimize, nulls_last=True)
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
        f"{note} {left_out:,} more are left out." if left_out else note,
    )


def failing(run: Run, summary: Summary) -> Section:
    """Failed trials by kind of error, and the rows of the corpus that could not be used."""
    rejected = (
        run.rejected.select("source", "row", "path", "reason")
        .unique(maintain_order=True)
        .sort("source", "row")
        .collect()
    )
    groups = failures(summary.trials)
    sentences, tables, texts = [], [], []
    failed = summary.state_count("failed")
    sentences.append(f"{count(failed, 'trial').capitalize()} failed." if failed else "No trial failed.")
    repeated = summary.attempts.filter(pl.col("state") == "failed").select("trial_id").unique()
    recovered = repeated.join(summary.trials.filter(pl.col("state") != "failed"), on="trial_id").height
    if recovered:
        sentences.append(f"{count(recovered, 'trial')} failed at first and went on in a later attempt.".capitalize())
    if failed:
        rows = tuple(
            Row((str(g["count"]), shortened(g["example"], 200) or "no error text", named(list(g["names"]))))
            for g in groups.iter_rows(named=True)
        )
        note = "Errors that differ in numbers only are one kind; the first one's words are shown."
        tables.append(Table("Failures by kind", (Column("trials", True), Column("error"), Column("which")), rows, note))
        texts = [
            Verbatim(f"Traceback: {shortened(g['example'], 80)}", g["traceback"])
            for g in groups.head(10).iter_rows(named=True)
            if g["traceback"]
        ]
    if rejected.height:
        num = rejected.height
        sentences.append(
            f"{count(num, 'row')} of the corpus could not be used; "
            f"the run went on without {'it' if num == 1 else 'them'}."
        )
        rows = tuple(
            Row((clean(r["source"]), str(r["row"]), clean(r["path"] or ""), clean(r["reason"])))
            for r in rejected.head(MAX_ROWS).to_dicts()
        )
        columns = (Column("source"), Column("row", True), Column("file"), Column("reason"))
        more = f"{num - MAX_ROWS:,} more are in the table `rejected`." if num > MAX_ROWS else ""
        tables.append(Table("Rows of the corpus that were left out", columns, rows, more))
    elif run.corpus.select(pl.len()).collect().item():
        sentences.append("Every row of the corpus could be used.")
    return Section("failures", "Failures", tuple(sentences), tables=tuple(tables), verbatims=tuple(texts))


def named(names: list[str], limit: int = 20) -> str:
    """The trials' names, the first of many."""
    rest = len(names) - limit
    return clean(joined([*names[:limit], f"{rest:,} more"] if rest > 0 else names))


def costs(run: Run, summary: Summary) -> Section:
    """Where the time went."""
    rows = cost_by_state(summary.trials)
    if not rows.height:
        return Section("cost", "Cost", ("Nothing was spent: no trial has started.",))
    total = float(rows["cost_s"].sum())
    resources = run.study.resources
    said = f"{span(total)} of trial time (seconds of a trial times its workers)"
    cpus = resources.cpus_per_worker
    said += f", with {count(cpus, 'processor')} reserved a worker that is {span(total * cpus)} of processor time"
    if resources.gpus_per_worker:
        said += f" and {span(total * resources.gpus_per_worker)} of GPU time at {resources.gpus_per_worker:g} a worker"
    wasted = rows.filter(pl.col("state") != "complete")
    share = float(wasted["share"].sum())
    spent = (
        f"{number(100 * share, 0)} % of it went to trials that are not complete."
        if wasted.height
        else "All of it went to complete trials."
    )
    restarts = int(rows["restarts"].sum())
    again = int((rows["attempts"] - rows["trials"]).sum())
    repeats = (
        f"{count(restarts, 'restart')} from a checkpoint within an attempt and {count(again, 'repeated attempt')}."
    )
    columns = [Column("state")] + [
        Column(c, True) for c in ("trials", "attempts", "restarts", "trial time (h)", "share (%)")
    ]
    lines = [
        Row(
            (
                STATE_WORDS.get(r["state"], r["state"]),
                str(r["trials"]),
                str(r["attempts"]),
                str(r["restarts"]),
                number(r["cost_s"] / 3600, 3),
                number(100 * r["share"], 0),
            )
        )
        for r in rows.iter_rows(named=True)
    ]
    sums = [str(int(rows[c].sum())) for c in ("trials", "attempts", "restarts")]
    lines.append(Row(("all", *sums, number(total / 3600, 3), "100" if total else "0"), "total"))
    table = Table("Trial time by what became of it", tuple(columns), tuple(lines))
    return Section("cost", "Cost", (f"{said}. {spent}", repeats[0].upper() + repeats[1:]), tables=(table,))


def corpus(run: Run, summary: Summary) -> Section:
    """What the trials heard."""
    del summary
    rows = run.corpus.unique(["role", "source", "fingerprint"], keep="last", maintain_order=True).collect()
    if not rows.height:
        return Section("corpus", "Corpus", ("The tables say nothing about the corpus yet.",))
    hours = float(rows["hours"].sum())
    columns = (
        Column("role"),
        Column("utterances", True),
        Column("speakers", True),
        Column("hours", True),
        Column("source"),
        Column("fingerprint"),
    )
    lines = tuple(
        Row(
            (
                r["role"],
                f"{r['utterances']:,}",
                f"{r['speakers']:,}",
                number(r["hours"], 2),
                clean(r["source"]),
                r["fingerprint"][:12],
            )
        )
        for r in rows.iter_rows(named=True)
    )
    roles = joined(
        [f"{r['speakers']:,} speakers with {r['utterances']:,} utterances to {r['role']}" for r in rows.to_dicts()]
    )
    return Section(
        "corpus", "Corpus", (f"{number(hours, 2)} hours of speech: {roles}.",), tables=(Table("Roles", columns, lines),)
    )


SectionMaker = Callable[[Run, Summary], Section]
SECTIONS: tuple[SectionMaker, ...] = (
    verdict,
    leaderboard,
    progress,
    learning,
    importance,
    slices,
    failing,
    costs,
    corpus,
    provenance,
)
