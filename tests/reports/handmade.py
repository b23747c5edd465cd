"""Runs put together row by row, in memory: for what a report says of odd runs that no writer would easily write."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from reports.reading import Run
from reports.schema import Column, arrow_schema, columns_of
from reports.store import Store
from search_spaces.study import Study

TRAINABLE = "contrastive_mixup"
BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
STUDY: dict[str, Any] = {
    "title": "Does it work?",
    "trainable": TRAINABLE,
    "objective": [{"metric": "eer", "goal": "minimize"}],
    "corpus": {"train": "synthetic"},
    "search": {"trials": 4, "space": {"beta_alpha": True, "learning_rate": True}},
}


def trial(number: int | None = 0, **facts: Any) -> dict[str, Any]:
    """A row of the trials table: complete, two epochs, ten seconds; `number=None` is the arm "paper"."""
    name = "paper" if number is None else f"{number:012x}"
    order = 0 if number is None else number + 1
    return {
        "trial_id": f"t{name}",
        "config_id": f"c{name}",
        "phase": "arm" if number is None else "search",
        "arm": "paper" if number is None else None,
        "number": number,
        "seed": order,
        "attempt": 1,
        "revision": 0,
        "state": "complete",
        "epochs": 2,
        "epochs_planned": 2,
        "started": BEGIN + timedelta(seconds=10 * order),
        "ended": BEGIN + timedelta(seconds=10 * order + 10),
        "duration_s": 10.0,
        "workers": 1,
        "restarts": 0,
        "code_hash": "c0de",
        "start": 1,
        "objective": 0.10 + 0.01 * order,
        "knob.loss": "contrastive_mixup",
        "knob.beta_alpha": 0.1 + 0.05 * order,
        "knob.learning_rate": 1e-3 * (1 + order),
        **facts,
    }


def measured(name: str, seed: int, objective: float | None = 0.1, **facts: Any) -> dict[str, Any]:
    """A row of an arm's trial of a seed, or of a confirmation if the name is "#7"; knobs are the same for a name."""
    number = int(name[1:]) if name.startswith("#") else None
    order = 50 + 10 * seed + (0 if name == "paper" else 1 + (number or 0))
    row = trial(number, trial_id=f"t-{name}-{seed}", seed=seed, objective=objective)
    times = {"started": BEGIN + timedelta(seconds=10 * order), "ended": BEGIN + timedelta(seconds=10 * order + 10)}
    if number is None:
        row |= {"config_id": "cpaper" if name == "paper" else f"c-{name}", "arm": name}
        row |= {"knob.learning_rate": 1e-3 * (1 + len(name))}
    return {**row, "phase": "arm" if number is None else "confirm", **times, **facts}


def reading(row: dict[str, Any], value: float | None, **facts: Any) -> dict[str, Any]:
    """A row of the readings table: what a trial measured on the test set."""
    return {
        "trial_id": row["trial_id"],
        "attempt": row["attempt"],
        "split": "test",
        "time": row["started"] + timedelta(seconds=9),
        "scored": 100,
        "fingerprint": "7e57",
        "start": 1,
        "metric.eer": value,
        "metric.min_dcf": None if value is None else 2 * value,
        **facts,
    }


def curve(row: dict[str, Any], values: list[float | None] | None = None) -> list[dict[str, Any]]:
    """Rows of the epochs table for a trial: `values` from epoch 0, by default a fall from 40 % to its objective."""
    if values is None:
        last = row["objective"] if row["objective"] is not None else 0.3
        values = [0.4 + (last - 0.4) * epoch / max(1, row["epochs"]) for epoch in range(row["epochs"] + 1)]
    return [
        {
            "trial_id": row["trial_id"],
            "attempt": row["attempt"],
            "epoch": epoch,
            "time": row["started"] + timedelta(seconds=epoch),
            "duration_s": 3.0,
            "metric.eer": value,
            "metric.min_dcf": None if value is None else 2 * value,
        }
        for epoch, value in enumerate(values)
    ]


def run_of(
    folder: Path,
    trials: list[dict[str, Any]],
    *,
    epochs: list[dict[str, Any]] | None = None,
    attempts: list[dict[str, Any]] | None = None,
    readings: list[dict[str, Any]] | None = None,
    starts: list[dict[str, Any]] | None = None,
    corpus: list[dict[str, Any]] | None = None,
    rejected: list[dict[str, Any]] | None = None,
    study: dict[str, Any] | None = None,
    warnings: tuple[str, ...] = (),
) -> Run:
    """The run of these rows; epochs are `curve` of each trial if none are given."""
    if epochs is None:
        epochs = list(itertools.chain.from_iterable(curve(row) for row in trials))
    return Run(
        store=Store(str(folder)),
        generation=1,
        study=Study.model_validate({**STUDY, **(study or {})}),
        provenance={},
        trials=frame("trials", trials),
        attempts=frame("trials", attempts if attempts is not None else trials),
        epochs=frame("epochs", epochs),
        readings=frame("readings", readings or []),
        starts=frame("starts", starts or []),
        corpus=frame("corpus", corpus or []),
        rejected=frame("rejected", rejected or []),
        warnings=warnings,
    )


def frame(table: str, rows: list[dict[str, Any]]) -> pl.LazyFrame:
    """Rows as the reader gives them."""
    metrics = sorted({key for row in rows for key in row if key.startswith("metric.")})
    open_columns = [Column(name, pa.float64(), "A metric.", True) for name in metrics]
    schema = arrow_schema(table, [*columns_of(table, trainable=TRAINABLE), *open_columns])
    found = pl.from_arrow(pa.Table.from_pylist([{n: row.get(n) for n in schema.names} for row in rows], schema=schema))
    assert isinstance(found, pl.DataFrame)
    return found.lazy()
