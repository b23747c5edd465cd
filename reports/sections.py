"""The report's sections, one function each, in the order of the page; those that draw stand in `pictures`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from reports.blocks import Column, Row, Section, Table, Verbatim
from reports.evidence import evidence
from reports.leaderboard import MAX_ROWS, leaderboard
from reports.pictures import importance, learning, progress
from reports.provenance import provenance
from reports.reading import Run
from reports.slices import slices
from reports.summaries import Summary, cost_by_state, failures
from reports.table_text import paper_section
from reports.verdict import verdict
from reports.words import STATE_WORDS, clean, count, joined, number, shortened, span


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
        tables.append(
            Table("Failures by kind", (Column("trials", True), Column("error"), Column("which")), rows, (note,))
        )
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
        more = (f"{num - MAX_ROWS:,} more are in the table `rejected`.",) if num > MAX_ROWS else ()
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
    spoken, bank = rows.filter(pl.col("speakers") > 0), rows.filter(pl.col("speakers") == 0)
    hours = float(spoken["hours"].sum())
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
        [f"{r['speakers']:,} speakers with {r['utterances']:,} utterances to {r['role']}" for r in spoken.to_dicts()]
    )
    said = [f"{number(hours, 2)} hours of speech: {roles}."] if spoken.height else []
    said += [f"Mixed in by augmentation: {joined([banked(r) for r in bank.to_dicts()])}."] if bank.height else []
    return Section("corpus", "Corpus", tuple(said), tables=(Table("Roles", columns, lines),))


def banked(row: Mapping[str, Any]) -> str:
    """What a role without speakers holds: "0.25 hours of noise", "60 room responses"."""
    if row["role"] == "rooms":
        return count(row["utterances"], "room response")
    return f"{number(row['hours'], 2)} hours of {row['role']}"


SectionMaker = Callable[[Run, Summary], Section]
SECTIONS: tuple[SectionMaker, ...] = (
    verdict,
    leaderboard,
    paper_section,
    evidence,
    progress,
    learning,
    importance,
    slices,
    failing,
    costs,
    corpus,
    provenance,
)
