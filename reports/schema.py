"""What every table of a run holds: the one description that is written, checked, read and documented.

Knob columns derive from the trainable's config. Metric columns are open: one may appear at any time, and readers unite.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import pyarrow as pa

from search_spaces.knobs import knobs_of
from search_spaces.registry import CONFIGS

SCHEMA_VERSION = 1
SCHEMA_KEY = b"voxstudy.schema"
TABLE_KEY = b"voxstudy.table"
KNOB_PREFIX = "knob."
METRIC_PREFIX = "metric."

_TEXT = pa.string()
_FLAG = pa.bool_()
_SMALL = pa.int32()
_LARGE = pa.int64()
_REAL = pa.float64()
_TIME = pa.timestamp("us", tz="UTC")
_KNOB_TYPES: Mapping[type, Any] = {bool: _FLAG, int: _LARGE, float: _REAL, str: _TEXT}


@dataclass(frozen=True)
class Column:
    """A column: its Arrow type, one sentence for its readers, and whether it may be null."""

    name: str
    type: Any
    sentence: str
    optional: bool = False


@dataclass(frozen=True)
class Table:
    """A table: `holds` says which of several rows about a thing counts, `prefix` is that of the columns that vary."""

    name: str
    sentence: str
    holds: str
    columns: tuple[Column, ...]
    prefix: str | None = None


_TRIALS = Table(
    "trials",
    "Facts about an attempt at a trial; rows are never changed, a new revision follows.",
    "the last row by (attempt, revision) of a trial",
    (
        Column("trial_id", _TEXT, "Hash of config_id, seed and corpus fingerprint; names folders and checkpoints."),
        Column(
            "config_id",
            _TEXT,
            "Hash of the trainable's name, the active knobs and, if given, whose weights it starts from.",
        ),
        Column("phase", _TEXT, "Why it ran: search, confirm or arm."),
        Column("arm", _TEXT, "The arm's name, if it is one.", True),
        Column("number", _SMALL, "Optuna's number, if the search asked for it; a confirmation has its config's.", True),
        Column("seed", _LARGE, "What drew weights, order, crops and mixing; no sampler sees it."),
        Column("attempt", _SMALL, "The trial's n-th start, from 1."),
        Column("revision", _SMALL, "Counts the rows about one attempt."),
        Column("state", _TEXT, "running, complete (reached its last epoch), pruned (stopped early) or failed."),
        Column("epochs", _SMALL, "Last epoch done; 0 is the untrained net."),
        Column("epochs_planned", _SMALL, "Epochs it takes to be complete."),
        Column("started", _TIME, "When the attempt started."),
        Column("ended", _TIME, "When the attempt ended.", True),
        Column("duration_s", _REAL, "Seconds that the attempt's epochs took.", True),
        Column("node", _TEXT, "The machine it ran on.", True),
        Column("lane", _TEXT, "The worker group it ran in.", True),
        Column("workers", _SMALL, "Workers of the lane."),
        Column("loss_speakers", _SMALL, "Speakers that a query was told apart from, its own included.", True),
        Column("restarts", _SMALL, "Times that the trial was taken up from a checkpoint within the attempt."),
        Column("error", _TEXT, "One line: what went wrong.", True),
        Column("traceback", _TEXT, "Where it went wrong.", True),
        Column("scores", _TEXT, "Name of the object in tables/scores/ that holds what was scored at the end.", True),
        Column("init", _TEXT, "The trial whose weights it started from; null if its seed drew them.", True),
        Column("code_hash", _TEXT, "Hash of the code that ran."),
        Column("start", _SMALL, "The driver start that wrote the row."),
        Column("objective", _REAL, "The study's objective at the last epoch done.", True),
    ),
    KNOB_PREFIX,
)

_EPOCHS = Table(
    "epochs",
    "What an epoch of a trial measured; epoch 0 is the untrained net.",
    "the row of the highest attempt of (trial_id, epoch)",
    (
        Column("trial_id", _TEXT, "The trial."),
        Column("attempt", _SMALL, "The attempt that ran the epoch."),
        Column("epoch", _SMALL, "The epoch, from 0."),
        Column("time", _TIME, "When the driver learnt of it."),
        Column("duration_s", _REAL, "Seconds that the epoch took, evaluation included."),
    ),
    METRIC_PREFIX,
)

_READINGS = Table(
    "readings",
    "A reading of the test set: what an arm's or a confirmed config's trial measured there, once, at its end.",
    "the row of the highest attempt of (trial_id, split)",
    (
        Column("trial_id", _TEXT, "The trial."),
        Column("attempt", _SMALL, "The attempt that read it."),
        Column("split", _TEXT, "What was read: test."),
        Column("time", _TIME, "When the driver learnt of it."),
        Column("scored", _LARGE, "Trial pairs (or utterances) that were scored."),
        Column("fingerprint", _TEXT, "Hash of the test utterances and of the list of trial pairs."),
        Column("start", _SMALL, "The driver start that wrote the row."),
    ),
    METRIC_PREFIX,
)

_STARTS = Table(
    "starts",
    "A driver start: the command, the code and the machine.",
    "the last row by revision of a start",
    (
        Column("start", _SMALL, "Counts the starts of the driver, from 1."),
        Column("time", _TIME, "When the driver started."),
        Column("command", _TEXT, "The command line."),
        Column("code_hash", _TEXT, "Hash of the code that computes a trial."),
        Column("git_commit", _TEXT, "Commit of the checkout, if it ran from one.", True),
        Column("diff_hash", _TEXT, "Hash of what was changed since that commit, if anything.", True),
        Column("versions", _TEXT, "Package versions, a JSON object."),
        Column("machine", _TEXT, "The machine: processor, cores, system; a JSON object."),
        Column("pid", _LARGE, "The driver's process."),
        Column("ended", _TIME, "When the driver ended; null if it was killed.", True),
        Column("outcome", _TEXT, "How it ended.", True),
        Column("revision", _SMALL, "Counts the rows about one start."),
    ),
)

_CORPUS = Table(
    "corpus",
    "What a role of the corpus held after checking.",
    "the rows of the highest start",
    (
        Column("role", _TEXT, "train, dev, test, …"),
        Column("utterances", _LARGE, "Utterances that are used."),
        Column("speakers", _LARGE, "Speakers among them."),
        Column("hours", _REAL, "Hours of speech."),
        Column("source", _TEXT, "Where it came from: a manifest, a URI, or the synthetic voices' options."),
        Column("fingerprint", _TEXT, "Hash of what the role holds."),
        Column("start", _SMALL, "The driver start that opened it."),
    ),
)

_REJECTED = Table(
    "rejected",
    "A file of the corpus that the run goes on without.",
    "the rows of the highest start in `corpus`",
    (
        Column("source", _TEXT, "The manifest that names it."),
        Column("row", _LARGE, "Data row in that manifest, from 1."),
        Column("path", _TEXT, "The file."),
        Column("reason", _TEXT, "What is wrong with it."),
        Column("start", _SMALL, "The driver start that found it."),
    ),
)

TABLES: Mapping[str, Table] = {
    table.name: table for table in (_TRIALS, _EPOCHS, _READINGS, _STARTS, _CORPUS, _REJECTED)
}

SCORES = Table(
    "scores",
    "What a trial scored at its end, one immutable object a trial, in no manifest: a `trials` row names it.",
    "the object that the trial's row names",
    (
        Column("split", _TEXT, "The split that was scored: dev or test."),
        Column("left", _TEXT, "An utterance."),
        Column("right", _TEXT, "The utterance that it was compared with."),
        Column("label", _FLAG, "Whether one speaker spoke both."),
        Column("score", pa.float32(), "The net's score; the higher, the more alike."),
    ),
)


def knob_fields(trainable: str) -> tuple[Column, ...]:
    """The knob columns of a trainable, in the order of its config; null while a knob is inactive."""
    knobs = knobs_of(CONFIGS[trainable])
    return tuple(
        Column(KNOB_PREFIX + name, _KNOB_TYPES[knob.type], knob.sentence, True) for name, knob in knobs.items()
    )


def metric_column(name: str) -> Column:
    """An open column; `name` has its prefix."""
    assert name.startswith(METRIC_PREFIX), name
    return Column(name, _REAL, "The metric of that name.", True)


def columns_of(table: str, *, trainable: str) -> tuple[Column, ...]:
    """The columns that a table always has: those described here, and the knobs."""
    described = TABLES[table]
    knobs = knob_fields(trainable) if described.prefix == KNOB_PREFIX else ()
    return described.columns + knobs


def arrow_schema(table: str, columns: Iterable[Column]) -> pa.Schema:
    """The Arrow schema of a fragment, with the schema version in its metadata."""
    metadata = {SCHEMA_KEY: str(SCHEMA_VERSION).encode(), TABLE_KEY: table.encode()}
    return pa.schema([pa.field(c.name, c.type, nullable=c.optional) for c in columns], metadata=metadata)


def documentation() -> str:
    """How to read a run, and all its tables, as Markdown: docs/tables.md, for people who use their own tools."""
    prose = resources.files("reports").joinpath("templates", "tables.md").read_text(encoding="utf-8").rstrip()
    lines = [f"# The tables of a run (schema version {SCHEMA_VERSION})", "", prose]
    for table in (*TABLES.values(), SCORES):
        lines += ["", f"## {table.name}", "", f"{table.sentence} What holds: {table.holds}.", ""]
        lines += ["| column | type | null | what it says |", "|---|---|---|---|"]
        lines += [_documented(column) for column in table.columns]
        if table.prefix == METRIC_PREFIX:
            whose = (
                "on that split"
                if table is _READINGS
                else "on dev, or over the epoch's batches if it starts with train_"
            )
            lines.append(f"| `{METRIC_PREFIX}<name>` | double | yes | The metric of that name, {whose}. |")
        if table.prefix == KNOB_PREFIX:
            for trainable in CONFIGS:
                lines += ["", f"Knobs of `{trainable}` (null while inactive):", ""]
                lines += ["| column | type | null | what it says |", "|---|---|---|---|"]
                lines += [_documented(column) for column in knob_fields(trainable)]
    return "\n".join(lines) + "\n"


def _documented(column: Column) -> str:
    return f"| `{column.name}` | {column.type} | {'yes' if column.optional else 'no'} | {column.sentence} |"


if __name__ == "__main__":
    print(documentation(), end="")
