"""The writer of a run's tables: rows are gathered, written as fragments, and published by one swap of the manifest.

A fragment is written once. Sixteen neighbours of one level become one of the next, within the commit that makes the
sixteenth: the manifest stays short, rows keep their order, and a row is rewritten log16(commits) times.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from reports.fragments import DamagedError, encode, read_fragment, unite
from reports.manifest import MANIFEST, Fragment, Manifest, RunError, fragment_path, read_manifest
from reports.schema import METRIC_PREFIX, SCHEMA_VERSION, TABLES, Column, arrow_schema, columns_of, metric_column
from reports.store import ASIDE, MissingError, Store, StoreError

MERGE = 16
_PYTHON_TYPES: tuple[tuple[Any, tuple[type, ...]], ...] = (
    (pa.types.is_boolean, (bool,)),
    (pa.types.is_integer, (int,)),
    (pa.types.is_floating, (int, float)),
    (pa.types.is_string, (str,)),
    (pa.types.is_timestamp, (datetime,)),
)


def next_start(store: Store) -> int:
    """The number of the driver start that is about to open the tables: 1 for a new run."""
    manifest = read_manifest(store)
    return 1 if manifest is None else manifest.start + 1


class TableWriter:
    """The one writer of a run's tables; opening it goes on where the last one stopped, and sweeps what it left behind.

    `start` is this driver's start (`next_start(store)`), `trainable` gives the knob columns. Columns named `start` are
    filled in when a row leaves them out. For one thread.
    """

    def __init__(self, store: Store, start: int, trainable: str) -> None:
        self._store = store
        self._start = start
        self._sequence = 0
        self._columns = {name: {c.name: c for c in columns_of(name, trainable=trainable)} for name in TABLES}
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._litter: list[str] = []
        self._manifest = self._claimed()
        self._sweep()

    @property
    def dirty(self) -> bool:
        """Whether rows wait for a commit."""
        return bool(self._rows)

    def append(self, table: str, row: Mapping[str, Any]) -> None:
        """Keep the row for the next commit. A row that is not of the table is a programming error and asserts."""
        columns = self._columns[table]
        full = {"start": self._start, **row} if "start" in columns else dict(row)
        for name, value in full.items():
            assert name in columns or _is_open(table, name), f"{table} has no column {name!r}: {sorted(columns)}"
            _check_value(f"{table}.{name}", columns.get(name), value)
        missing = [c.name for c in columns.values() if not c.optional and full.get(c.name) is None]
        assert not missing, f"{table} needs {missing}"
        self._rows.setdefault(table, []).append(full)

    def commit(self) -> int:
        """Publish all rows at once, in all tables or in none; returns the manifest's generation.

        Raises StoreError and keeps the rows if the place cannot be written; a later commit tries again.
        """
        if not self._rows:
            return self._manifest.generation
        written: list[str] = []
        replaced: list[str] = []
        try:
            fragments = dict(self._manifest.fragments)
            for table, rows in self._rows.items():
                fresh = self._write(table, self._arrow(table, rows), 0, written)
                fragments[table] = self._merged(table, (*fragments.get(table, ()), fresh), written, replaced)
            self._check_still_ours()
        except BaseException:
            self._delete(written)
            raise
        manifest = Manifest(self._manifest.generation + 1, self._start, fragments)
        try:
            self._store.write(MANIFEST, manifest.encoded())
        except BaseException:
            # The swap may have happened all the same (a lost answer of an object store): its fragments stay until the
            # next commit, whose manifest does not name them.
            self._litter += written
            raise
        self._manifest = manifest
        self._rows = {}
        litter, self._litter = [*self._litter, *replaced], []
        self._delete(litter)
        return manifest.generation

    def _claimed(self) -> Manifest:
        """The manifest under our start: from here on an older driver that still lives cannot commit."""
        before = read_manifest(self._store)
        if before is None and any(self._fragment_names(table) for table in TABLES):
            place = self._store.place(MANIFEST)
            raise RunError(f"{place}: missing, but there are fragments, and nothing else says which of them hold")
        before = before or Manifest()
        assert self._start > before.start, f"start {self._start} has been used: the tables are at {before.start}"
        claimed = replace(before, start=self._start, schema_version=SCHEMA_VERSION)
        self._store.write(MANIFEST, claimed.encoded())
        return claimed

    def _fragment_names(self, table: str) -> list[str]:
        return [name for name in self._store.names(f"tables/{table}") if name.startswith("part-")]

    def _arrow(self, table: str, rows: list[dict[str, Any]]) -> pa.Table:
        known = self._columns[table]
        metrics = sorted({name for row in rows for name in row if name not in known})
        columns = (*known.values(), *(metric_column(name) for name in metrics))
        return pa.Table.from_pylist(rows, schema=arrow_schema(table, columns))

    def _write(self, table: str, rows: pa.Table, level: int, written: list[str]) -> Fragment:
        self._sequence += 1
        data = encode(rows)
        name = f"part-{self._start:04d}-{self._sequence:06d}-l{level}.arrow"
        written.append(fragment_path(table, name))
        self._store.write(written[-1], data)
        return Fragment(name, rows.num_rows, level, zlib.crc32(data))

    def _merged(
        self, table: str, fragments: tuple[Fragment, ...], written: list[str], replaced: list[str]
    ) -> tuple[Fragment, ...]:
        while len(tail := fragments[-MERGE:]) == MERGE and len({fragment.level for fragment in tail}) == 1:
            level = tail[0].level + 1
            parts: list[pa.Table] = []
            kept: list[Fragment] = []
            for fragment in tail:
                try:
                    parts.append(read_fragment(self._store, table, fragment))
                    replaced.append(fragment_path(table, fragment.name))
                except (DamagedError, MissingError):
                    # It stays listed, a level up: every reader names it, and no merge meets it again soon.
                    kept.append(replace(fragment, level=level))
            if parts:
                kept.append(self._write(table, unite(table, parts), level, written))
            fragments = (*fragments[:-MERGE], *kept)
        return fragments

    def _check_still_ours(self) -> None:
        """A driver that was taken over, but lives, must not swap its old view in."""
        now = read_manifest(self._store)
        if now is not None and now.start > self._start:
            place = self._store.place("tables")
            raise StoreError(
                place, f"driver start {now.start} has taken over; start {self._start} may not write any more"
            )

    def _sweep(self) -> None:
        """Remove what a killed driver left: fragments in no manifest, and half-written objects."""
        for table in TABLES:
            live = {fragment.name for fragment in self._manifest.fragments.get(table, ())}
            names = self._store.names(f"tables/{table}")
            self._delete(
                [fragment_path(table, name) for name in names if name.startswith("part-") and name not in live]
            )
        if self._store.is_local:
            self._store.delete_folder(ASIDE)

    def _delete(self, paths: Iterable[str]) -> None:
        for path in paths:
            try:
                self._store.delete(path)
            except StoreError:
                self._litter.append(path)  # unlisted files harm nobody; the next commit or start tries again


def _is_open(table: str, name: str) -> bool:
    return TABLES[table].prefix == METRIC_PREFIX and name.startswith(METRIC_PREFIX)


def _check_value(place: str, column: Column | None, value: Any) -> None:
    """The Python type that a column takes; an open column takes numbers."""
    if value is None:
        return
    wanted = pa.float64() if column is None else column.type
    types = next(types for of_type, types in _PYTHON_TYPES if of_type(wanted))
    right = isinstance(value, types) and (bool in types or not isinstance(value, bool))
    assert right, f"{place} takes {wanted}, not {value!r}"
    if isinstance(value, datetime):
        assert value.utcoffset() == timedelta(0), f"{place} takes UTC, not {value!r}"
