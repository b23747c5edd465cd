"""The trials as one table, for `voxstudy show`: no chart library is loaded here, so that it answers at once."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import polars as pl

from reports.manifest import RunError
from reports.reading import Run
from reports.words import NOTHING, clean, knob_value, measure_of, metric_value, span

FORMATS = ("table", "json", "csv")
_FIRST = ("trial", "phase", "arm", "number", "seed", "state", "epochs", "epochs_planned", "objective")


def listing(run: Run) -> pl.DataFrame:
    """A row a trial, in the order of their starts.

    Columns: trial, phase, arm, number, seed, state, epochs, epochs_planned, objective (as stored, at the last epoch
    done), each searched knob under its own name, duration_s (of all attempts that ended).
    """
    searched = [k for k in run.study.space() if f"knob.{k}" in run.trials.collect_schema().names()]
    spent = run.attempts.group_by("trial_id").agg(spent_s=pl.col("duration_s").sum())
    return (
        run.trials.sort("started", "number", "trial_id", nulls_last=True)
        .join(spent, on="trial_id", how="left", maintain_order="left")
        .select(
            pl.col("trial_id").alias("trial"),
            *_FIRST[1:],
            *(pl.col(f"knob.{k}").alias(k) for k in searched),
            pl.col("spent_s").alias("duration_s"),
        )
        .collect()
    )


def render_listing(run: Run, format: str = "table") -> str:
    """The listing as text: "table" for people, "json" (a list of objects) or "csv" for programs; NaN is null or empty.

    Raises ValueError for another format.
    """
    rows = listing(run)
    if format == "json":
        return (
            json.dumps([{k: plain(v) for k, v in row.items()} for row in rows.to_dicts()], indent=1, allow_nan=False)
            + "\n"
        )
    if format == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(rows.columns)
        writer.writerows([["" if plain(v) is None else v for v in row] for row in rows.iter_rows()])
        return text.getvalue()
    if format == "table":
        return aligned(run, rows)
    raise RunError(f"--format must be one of {', '.join(FORMATS)}, but got {format!r}")


def plain(value: Any) -> Any:
    """The value, or None for one that JSON cannot say."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def aligned(run: Run, rows: pl.DataFrame) -> str:
    """The listing for people: numbers in their units, columns in line."""
    metric = run.study.objective[0].metric
    if not rows.height:
        return "no trial has started yet\n"
    knobs = rows.columns[len(_FIRST) : -1]
    heading = [
        "trial",
        "phase",
        "number",
        "seed",
        "state",
        "epochs",
        f"dev {measure_of(metric).heading}",
        *knobs,
        "time",
    ]
    lines = [heading]
    for row in rows.to_dicts():
        phase = f"{row['phase']} “{row['arm']}”" if row["arm"] is not None else row["phase"]
        lines.append(
            [
                row["trial"],
                clean(phase),
                NOTHING if row["number"] is None else str(row["number"]),
                str(row["seed"]),
                row["state"],
                f"{row['epochs']}/{row['epochs_planned']}",
                metric_value(metric, row["objective"], unit=False),
                *(knob_value(row[k]) for k in knobs),
                span(row["duration_s"]) if row["duration_s"] else NOTHING,
            ]
        )
    widths = [max(len(line[place]) for line in lines) for place in range(len(heading))]
    left = {0, 1, 4}
    return "".join(
        "  ".join(
            text.ljust(width) if place in left else text.rjust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        + "\n"
        for line in lines
    )
