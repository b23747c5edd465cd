"""Tables as people write them: CSV or Parquet files whose cells are read as text, and the spellings of some cells."""

import csv
import difflib
import math
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from trainables.corpora.corpus import CorpusError, nearest

TABLES = (".csv", ".parquet")
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


@dataclass(frozen=True)
class CellTable:
    """A CSV or Parquet file on this machine; `text` is what the user wrote, `what` he means by it ("manifest")."""

    text: str
    file: str
    what: str

    def columns(self, *, required: Sequence[str], once: Collection[str]) -> list[str]:
        """Return the names of the columns.

        Raises CorpusError if the file cannot be read, a required column is missing, or one of `once` is there twice.
        """
        names = self._parquet_columns() if self._is_parquet else self._csv_columns()
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
        return self._parquet_records(wanted) if self._is_parquet else self._csv_records(wanted)

    @property
    def _is_parquet(self) -> bool:
        return self.file.lower().endswith(".parquet")

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

    def _csv_records(self, wanted: Collection[str]) -> Iterator[tuple[int, Cells | str]]:
        lines = self._csv_lines()
        names = [name.strip() for name in next(lines, [])]
        places = [(name, place) for place, name in enumerate(names) if name in wanted]
        for number, cells in enumerate(lines, start=1):
            if not cells:
                continue
            if len(cells) > len(names):
                yield number, f"{len(cells)} cells, but the header names {len(names)} columns"
                continue
            yield number, {name: cells[place].strip() if place < len(cells) else "" for name, place in places}

    def _parquet_columns(self) -> list[str]:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        try:
            return [str(name) for name in parquet.read_schema(self.file).names]
        except (OSError, pa.ArrowException) as error:
            raise self._unreadable_parquet(error) from None

    def _parquet_records(self, wanted: Collection[str]) -> Iterator[tuple[int, Cells | str]]:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        number = 0
        names = [name for name in self._parquet_columns() if name in wanted]
        try:
            with parquet.ParquetFile(self.file) as file:
                for batch in file.iter_batches(columns=names):
                    for record in batch.to_pylist():
                        number += 1
                        yield number, {name: _as_text(cell) for name, cell in record.items()}
        except (OSError, pa.ArrowException) as error:
            raise self._unreadable_parquet(error) from None

    def _unreadable_parquet(self, error: Exception) -> CorpusError:
        why = "cannot be read" if isinstance(error, OSError) else "not readable as Parquet"
        return CorpusError(f"{self.text}: {why}: {error}")


def _as_text(cell: Any) -> str:
    return "" if cell is None else str(cell).strip()
