"""Where a run came from, and how to repeat it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

import polars as pl

from reports.blocks import Column, Row, Section, Table, Verbatim
from reports.reading import Run
from reports.store import StoreError
from reports.summaries import Summary
from reports.words import NOTHING, clean, count, moment

STUDY_FILE = "study.toml"
RESOLVED_FILE = "resolved.toml"


def provenance(run: Run, summary: Summary) -> Section:
    """The study as asked and as resolved, every start of the driver, code, versions, machine, and the command again."""
    del summary
    starts = run.starts.sort("start").collect()
    sentences = [
        f"The run had {count(starts.height, 'start')} of its driver."
        if starts.height
        else "No start of a driver is recorded."
    ]
    texts = [
        Verbatim("The command that repeats it in a new directory, as it was last resolved", repeat_command(run), "sh")
    ]
    for title, path in (("The study file, as given", STUDY_FILE), ("What overrides made of it", RESOLVED_FILE)):
        try:
            texts.append(Verbatim(title, run.store.read(path).decode(errors="replace"), "toml"))
        except StoreError as error:
            sentences.append(f"{title} cannot be shown: {error.reason}.")
    tables = [facts_table(run, starts)]
    if starts.height:
        tables = [starts_table(starts), *tables]
    return Section("provenance", "Provenance", tuple(sentences), tables=tuple(tables), verbatims=tuple(texts))


def repeat_command(run: Run) -> str:
    """The resolved study holds the overrides of the last start, so it alone repeats the run as that start left it.

    The table of starts has the commands one by one; where they changed the number of workers, repeat them in turn.
    """
    study, again = run.store.place(RESOLVED_FILE), f"{run.place.rstrip('/')}-again"
    return f"voxstudy run {shlex.quote(study)} --run {shlex.quote(again)}"


def starts_table(starts: pl.DataFrame) -> Table:
    """When the driver started, by which command, with which code, and how it ended."""
    columns = ("start", "at", "command", "commit", "code", "ended", "outcome")
    rows = [
        Row(
            (
                str(row["start"]),
                moment(row["time"]),
                clean(row["command"]),
                commit_of(row),
                (row["code_hash"] or NOTHING)[:12],
                moment(row["ended"]),
                clean(row["outcome"] or "no end recorded"),
            )
        )
        for row in starts.iter_rows(named=True)
    ]
    return Table("Starts of the driver", tuple(Column(c, c == "start") for c in columns), tuple(rows))


def commit_of(start: Mapping[str, Any]) -> str:
    """The commit, and whether the checkout had changes beside it."""
    commit = start.get("git_commit")
    changed = start.get("diff_hash")
    if not commit:
        return "not from a checkout"
    return f"{commit[:12]} + changes {changed[:8]}" if changed else str(commit)[:12]


def facts_table(run: Run, starts: pl.DataFrame) -> Table:
    """What is known about code, data, machine and packages: the last start's word, then what `provenance.json` adds."""
    known: dict[str, str] = {
        "run directory": run.place,
        "study seed": str(run.study.seed),
        "trainable": run.study.trainable,
    }
    prints = run.corpus.select("role", "fingerprint").unique(maintain_order=True).collect()
    known |= {f"corpus fingerprint, {role}": mark for role, mark in prints.iter_rows()}
    if starts.height:
        last = starts.row(-1, named=True)
        known |= {"code hash": last["code_hash"] or NOTHING, "commit": last["git_commit"] or "not from a checkout"}
        if last["diff_hash"]:
            known["changes since the commit"] = last["diff_hash"]
        known |= flat("machine", last["machine"]) | flat("version", last["versions"])
    covered = {
        "git_commit",
        "diff_hash",
        "code_hash",
        "command",
        "versions",
        "machine",
        "study_seed",
        "corpus_fingerprint",
    }
    for key, value in run.provenance.items():
        if key not in covered or not starts.height:
            known |= flat(key.replace("_", " "), value)
    return Table("Facts", (Column("what"), Column("value")), tuple(Row((clean(k), clean(v))) for k, v in known.items()))


def flat(title: str, value: object) -> dict[str, str]:
    """A fact, or a fact an entry of a JSON object (given as such or as its text)."""
    if isinstance(value, str):
        try:
            parsed = json.loads(value)
        except ValueError:
            return {title: value}
        value = parsed if isinstance(parsed, dict) else value
    if isinstance(value, Mapping):
        return {f"{title}: {key}": text_of(item) for key, item in value.items()}
    return {title: text_of(value)}


def text_of(value: object) -> str:
    """A JSON value as text."""
    if value is None:
        return NOTHING
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
