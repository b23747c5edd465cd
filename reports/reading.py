"""Reading a run: the tables of one moment as Polars frames, with the study and where it came from.

Readers follow the manifest alone, so a run may be read while it is written. A damaged fragment is left out and named.
"""

import difflib
import json
import tomllib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from pydantic import ValidationError

from reports.fragments import decode, read_fragment
from reports.manifest import Manifest, RunError, fragment_path, read_manifest
from reports.schema import KNOB_PREFIX, METRIC_PREFIX, SCORES, TABLES, arrow_schema, columns_of
from reports.store import MissingError, Store, StoreError
from search_spaces.problems import StudyError
from search_spaces.study import Study

RESOLVED = "resolved.toml"
PROVENANCE = "provenance.json"
SCORES_FOLDER = "tables/scores"


@dataclass(frozen=True)
class Run:
    """A run as it was at one commit (`generation`; 0 before the first).

    `trials`: a row a trial, its last one by (attempt, revision). `attempts`: a row an attempt, its last revision.
    `epochs`: a row a (trial_id, epoch), of its highest attempt. `readings`: a row a (trial_id, split), of its highest
    attempt. `starts`: a row a driver start. `corpus`, `rejected`: the rows of the last start that opened the corpus.
    Rows stand in the order in which they were written; the columns are those of `reports.schema` (docs/tables.md has
    them all), then what else was written. `warnings` are sentences about what could not be read.
    """

    store: Store
    generation: int
    study: Study
    provenance: Mapping[str, Any]
    trials: pl.LazyFrame
    attempts: pl.LazyFrame
    epochs: pl.LazyFrame
    readings: pl.LazyFrame
    starts: pl.LazyFrame
    corpus: pl.LazyFrame
    rejected: pl.LazyFrame
    warnings: tuple[str, ...] = ()

    @property
    def scores(self) -> pl.LazyFrame:
        """A row a score of every trial: trial_id, then split, left, right, label, score; read when it is collected.

        The scores are an object a trial. One that is lost or damaged is left out, with a `UserWarning` that names it;
        `read_scores` reads one trial's and raises instead.
        """
        return pl.defer(lambda: _all_scores(self), schema=_scores_schema())

    @property
    def place(self) -> str:
        """Where the run is, for people."""
        return self.store.place()


def read_run(path: str | Path | Store) -> Run:
    """The run in a directory or at a pyarrow.fs URI. Raises RunError if there is none that this version can read."""
    store = path if isinstance(path, Store) else Store(str(path))
    study = _read_study(store)
    provenance, unknown = _read_provenance(store)
    try:
        manifest, parts, damaged = _read_fragments(store)
    except StoreError as error:
        raise RunError(str(error)) from error
    frames = {table: _united(table, parts.get(table, []), study.trainable) for table in TABLES}
    newest_start = pl.lit(frames["corpus"]["start"].max(), dtype=pl.Int32)
    return Run(
        store=store,
        generation=manifest.generation,
        study=study,
        provenance=provenance,
        trials=_newest(frames["trials"], ["trial_id"], "attempt").lazy(),
        attempts=frames["trials"].lazy(),
        epochs=frames["epochs"].lazy(),
        readings=frames["readings"].lazy(),
        starts=frames["starts"].lazy(),
        corpus=frames["corpus"].filter(pl.col("start") == newest_start).lazy(),
        rejected=frames["rejected"].filter(pl.col("start") == newest_start).lazy(),
        warnings=(*unknown, *damaged),
    )


def read_scores(run: Run, trial_id: str) -> pl.DataFrame:
    """What the trial scored at its end: split, left, right, label, score. Raises RunError if there is nothing."""
    names = dict(run.trials.select("trial_id", "scores").collect().iter_rows())
    if trial_id not in names:
        raise RunError(f"{run.place}: no trial {trial_id}{_nearest(trial_id, list(names))}")
    if names[trial_id] is None:
        raise RunError(f"{run.place}: trial {trial_id} has no scores: they are written when a trial is complete")
    try:
        return _scores_object(run.store, names[trial_id])
    except StoreError as error:
        raise RunError(f"{error.place}: the scores of trial {trial_id} are lost: {error.reason}") from error


def knob_columns(frame: pl.LazyFrame | pl.DataFrame) -> list[str]:
    """Names of the frame's knob columns, prefix included."""
    return [name for name in frame.collect_schema().names() if name.startswith(KNOB_PREFIX)]


def metric_columns(frame: pl.LazyFrame | pl.DataFrame) -> list[str]:
    """Names of the frame's metric columns, prefix included."""
    return [name for name in frame.collect_schema().names() if name.startswith(METRIC_PREFIX)]


def _scores_object(store: Store, name: str) -> pl.DataFrame:
    return _to_polars(decode(store, name if "/" in name else f"{SCORES_FOLDER}/{name}"))


def _scores_schema() -> dict[str, pl.DataType]:
    known = _to_polars(arrow_schema(SCORES.name, SCORES.columns).empty_table())
    return {"trial_id": pl.String(), **known.schema}


def _all_scores(run: Run) -> pl.DataFrame:
    """What could be read of the scores of all trials, in the order of the trials."""
    schema = _scores_schema()
    parts = [pl.DataFrame(schema=schema)]
    for trial_id, name in run.trials.select("trial_id", "scores").drop_nulls().collect().iter_rows():
        try:
            parts.append(_scores_object(run.store, name).with_columns(trial_id=pl.lit(trial_id)))
        except StoreError as error:
            reason = f"{error.place}: the scores of trial {trial_id} are left out: {error.reason}"
            warnings.warn(reason, UserWarning, stacklevel=2)
    return pl.concat(parts, how="diagonal_relaxed").select(list(schema))


def _read_study(store: Store) -> Study:
    try:
        return Study.model_validate(tomllib.loads(store.read(RESOLVED).decode()))
    except MissingError:
        raise RunError(_no_run(store)) from None
    except StoreError as error:
        raise RunError(str(error)) from error
    except (StudyError, ValidationError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{store.place(RESOLVED)}: not a study that this voxstudy understands: {error}") from error


def _read_provenance(store: Store) -> tuple[dict[str, Any], list[str]]:
    try:
        return dict(json.loads(store.read(PROVENANCE))), []
    except (StoreError, ValueError, TypeError) as error:
        return {}, [f"{store.place(PROVENANCE)}: where the run came from is unknown: {error}"]


def _read_fragments(store: Store) -> tuple[Manifest, dict[str, list[pl.DataFrame]], list[str]]:
    """What counts of all fragments of one manifest, and a sentence for each fragment that cannot be read.

    A merge may take one away meanwhile; then a newer manifest no longer lists it, and that one is read instead.
    """
    seen: dict[str, pl.DataFrame] = {}  # fragments never change: what has been read stays good under a newer manifest
    manifest = read_manifest(store) or Manifest()
    while True:
        parts: dict[str, list[pl.DataFrame]] = {}
        damaged: dict[str, str] = {}
        for table, fragments in manifest.fragments.items():
            for fragment in fragments:
                path = fragment_path(table, fragment.name)
                try:
                    if path not in seen:
                        seen[path] = _what_counts(table, _to_polars(read_fragment(store, table, fragment)))
                    parts.setdefault(table, []).append(seen[path])
                except StoreError as error:
                    damaged[path] = f"{error.place}: {fragment.rows} rows left out: {error.reason}"
        newer = (read_manifest(store) or Manifest()) if damaged else manifest
        listed = {fragment_path(table, one.name) for table, fragments in newer.fragments.items() for one in fragments}
        if damaged.keys() <= listed:
            return manifest, parts, list(damaged.values())
        manifest = newer


def _to_polars(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table, rechunk=False)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _united(table: str, parts: list[pl.DataFrame], trainable: str) -> pl.DataFrame:
    """The union of the fragments' columns; those that the schema names are always there."""
    empty = _to_polars(arrow_schema(table, columns_of(table, trainable=trainable)).empty_table())
    return _what_counts(table, pl.concat([empty, *parts], how="diagonal_relaxed", rechunk=False))


def _what_counts(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Without the rows that others replace; done fragment by fragment first, a trial's many revisions never pile up."""
    match table:
        case "trials":
            return _newest(frame, ["trial_id", "attempt"], "revision")
        case "epochs":
            return _newest(frame, ["trial_id", "epoch"], "attempt")
        case "readings":
            return _newest(frame, ["trial_id", "split"], "attempt")
        case "starts":
            return _newest(frame, ["start"], "revision")
        case _:
            return frame


def _newest(frame: pl.DataFrame, key: list[str], age: str) -> pl.DataFrame:
    """The row of each key with the highest `age`, of equals the last; the order of rows stays.

    Keys are compared only where the first of them holds doubles: a million rows without any cost next to nothing.
    """
    first, last = key[0], key[-1]
    doubles = pl.len() > (1 if first == last else pl.col(last).n_unique())
    held_twice = frame.group_by(first).agg(doubles.alias("doubles")).filter("doubles")[first]
    if held_twice.is_empty():
        return frame
    rows = frame.select(*key, age).with_row_index("row").filter(pl.col(first).is_in(held_twice.implode()))
    newest = rows.filter(pl.col(age) == pl.col(age).max().over(key)).unique(key, keep="last")
    replaced = rows.join(newest, on="row", how="anti")
    return (
        frame.with_row_index("row")
        .join(replaced.select("row"), on="row", how="anti", maintain_order="left")
        .drop("row")
    )


def _no_run(store: Store) -> str:
    """Says what is missing, and which directory beside it may have been meant."""
    place = store.place()
    if not store.is_local:
        return f"{place}: no run here: there is no {RESOLVED}"
    folder = Path(store.uri)
    rule = f"not a run directory: it has no {RESOLVED}" if folder.is_dir() else "no such run"
    try:
        siblings = [entry.name for entry in folder.parent.iterdir() if (entry / RESOLVED).is_file()]
    except OSError:
        siblings = []
    return f"{place}: {rule}{_nearest(folder.name, siblings)}"


def _nearest(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, [other for other in names if other != name], n=1, cutoff=0.4)
    return f"; did you mean {close[0]!r}?" if close else ""
