"""Tables as people write them: CSV, Parquet or Arrow files whose cells are read as text, and how some are spelt."""

import csv
import difflib
import math
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as parquet

from trainables.corpora.corpus import CorpusError, nearest

TABLES = (".csv", ".parquet", ".arrow")
ROWS_AT_ONCE = 1 << 13
GENDERS = {
    **dict.fromkeys(("f", "female", "woman", "여", "여성", "여자"), "F"),
    **dict.fromkeys(("m", "male", "man", "남", "남성", "남자"), "M"),
}
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "development", "val", "valid", "validation"), "dev"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}

Cells = dict[str, str]  # a row's cells by their columns, stripped; empty where there is none


def number_of(text: str) -> float | None:
    """Return the finite number that a cell writes, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    # Python reads 10_01 as a number; in a table it is a name.
    return value if math.isfinite(value) and "_" not in text else None


def existing_file(text: str, *, endings: tuple[str, ...] = ("",)) -> str:
    """Return the absolute path of a file that the user names; raises CorpusError with the nearest there is."""
    file = os.path.abspath(os.path.expanduser(text))
    if os.path.isfile(file):
        return file
    folder = os.path.dirname(file)
    if not os.path.isdir(folder):
        raise CorpusError(f"{text}: no such file: there is no folder '{folder}'")
    others = [name for name in os.listdir(folder) if name.lower().endswith(endings)]
    near = difflib.get_close_matches(os.path.basename(file), others, n=1)
    raise CorpusError(f"{text}: no such file" + (f"; did you mean '{near[0]}'?" if near else ""))


def as_text(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column's cells as text, stripped; empty where there is none."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_nested(whole.type) or pa.types.is_null(whole.type):
        return pa.array([_as_text(cell) for cell in whole.to_pylist()], pa.string())
    encoded = whole.dictionary_encode()  # each different value is written once
    texts = pa.array([_as_text(cell) for cell in encoded.dictionary.to_pylist()], pa.string())
    return texts.take(encoded.indices).fill_null("")


@dataclass(frozen=True)
class CellRows:
    """Some rows of a table: their numbers (N,) from 1 and their cells as text, and rows whose cells cannot be told."""

    number_N: npt.NDArray[np.int64]
    cells: pa.Table
    faults: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class CellTable:
    """A CSV, Parquet or Arrow file on this machine; `text` is what the user wrote, `what` what it is ("manifest")."""

    text: str
    file: str
    what: str

    def columns(self, *, required: Sequence[str], once: Collection[str]) -> list[str]:
        """Return the names of the columns.

        Raises CorpusError if the file cannot be read, a required column is missing, or one of `once` is there twice.
        """
        names = self._csv_columns() if self._is_csv else self._arrow_columns()
        shown = ", ".join(f"'{name}'" for name in names) or "none"
        problems = [
            f"{self.text}: no column '{name}'; columns: {shown}{nearest(name, names)}"
            for name in required
            if name not in names
        ]
        problems += [
            f"{self.text}: column '{name}' is there {names.count(name)} times"
            for name in dict.fromkeys(names)
            if name in once and names.count(name) > 1
        ]
        if problems:
            raise CorpusError(*problems)
        return names

    def records(self, wanted: Collection[str]) -> Iterator[tuple[int, Cells | str]]:
        """Yield (number of the row from 1, its wanted cells, or why they cannot be told apart) one at a time.

        Blank lines of a CSV file count, so that numbers lead to the right line.
        """
        for some in self.rows(wanted):
            records: dict[int, Cells | str] = dict(zip(some.number_N.tolist(), some.cells.to_pylist(), strict=True))
            yield from sorted([*records.items(), *some.faults], key=lambda each: each[0])

    def rows(self, wanted: Collection[str]) -> Iterator[CellRows]:
        """Yield what `records` yields as columns, many rows at a time."""
        return self._csv_rows(wanted) if self._is_csv else self._arrow_rows(wanted)

    @property
    def _is_csv(self) -> bool:
        return self.file.lower().endswith(".csv")

    def _csv_columns(self) -> list[str]:
        return [name.strip() for name in next(self._csv_lines(), [])]

    def _csv_lines(self) -> Iterator[list[str]]:
        try:
            with open(self.file, encoding="utf-8-sig", newline="") as file:
                yield from csv.reader(file)
        except OSError as error:
            raise CorpusError(f"{self.text}: cannot be read: {error.strerror}") from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise CorpusError(f"{self.text}: a .csv {self.what} is UTF-8 text with commas, but {error}") from None

    def _csv_rows(self, wanted: Collection[str]) -> Iterator[CellRows]:
        lines = self._csv_lines()
        names = [name.strip() for name in next(lines, [])]
        places = {name: place for place, name in enumerate(names) if name in wanted}
        first = 1
        while lines_of_some := list(islice(lines, ROWS_AT_ONCE)):
            numbers: Sequence[int] = range(first, first + len(lines_of_some))
            first += len(lines_of_some)
            faults: list[tuple[int, str]] = []
            if any(len(cells) != len(names) for cells in lines_of_some):
                numbers, lines_of_some, faults = _evened(numbers, lines_of_some, len(names))
            columns = list(zip(*lines_of_some, strict=True)) or [()] * len(names)
            yield CellRows(
                number_N=np.array(numbers, dtype=np.int64),
                cells=pa.table(
                    {name: pa.array([c.strip() for c in columns[p]], pa.string()) for name, p in places.items()}
                ),
                faults=tuple(faults),
            )

    def _arrow_columns(self) -> list[str]:
        try:
            if self.file.lower().endswith(".parquet"):
                return [str(name) for name in parquet.read_schema(self.file).names]
            with pa.OSFile(self.file) as file:
                return [str(name) for name in pa.ipc.open_file(file).schema.names]
        except (OSError, pa.ArrowException) as error:
            raise self._unreadable(error) from None

    def _arrow_rows(self, wanted: Collection[str]) -> Iterator[CellRows]:
        number = 0
        names = [name for name in self._arrow_columns() if name in wanted]
        try:
            for batch in self._arrow_batches(names):
                yield CellRows(
                    number_N=np.arange(number, number + len(batch), dtype=np.int64) + 1,
                    cells=pa.table({name: as_text(batch[name]) for name in names}),
                )
                number += len(batch)
        except (OSError, pa.ArrowException) as error:
            raise self._unreadable(error) from None

    def _arrow_batches(self, names: list[str]) -> Iterator[pa.RecordBatch]:
        if self.file.lower().endswith(".parquet"):
            with parquet.ParquetFile(self.file) as file:
                yield from file.iter_batches(columns=names, batch_size=ROWS_AT_ONCE)
            return
        with pa.OSFile(self.file) as source:
            reader = pa.ipc.open_file(source)
            for place in range(reader.num_record_batches):
                yield reader.get_batch(place).select(names)

    def _unreadable(self, error: Exception) -> CorpusError:
        kind = "Parquet" if self.file.lower().endswith(".parquet") else "Arrow"
        why = "cannot be read" if isinstance(error, OSError) else f"not readable as {kind}"
        return CorpusError(f"{self.text}: {why}: {error}")


def _evened(
    numbers: Sequence[int], lines: Sequence[list[str]], width: int
) -> tuple[list[int], list[list[str]], list[tuple[int, str]]]:
    """Return the rows without blank lines, short ones filled up, and those with too many cells as faults."""
    numbered = list(zip(numbers, lines, strict=True))
    whole = [(number, cells + [""] * (width - len(cells))) for number, cells in numbered if 0 < len(cells) <= width]
    faults = [
        (number, f"{len(cells)} cells, but the header names {width} columns")
        for number, cells in numbered
        if len(cells) > width
    ]
    return [number for number, _ in whole], [cells for _, cells in whole], faults


def _as_text(cell: Any) -> str:
    return "" if cell is None else str(cell).strip()
