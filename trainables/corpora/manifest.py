"""A manifest: a CSV or Parquet table with a row an utterance.

Columns: path, speaker; optional gender, age, recording, split, duration_s; any other column is left alone.
"""

import csv
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from trainables.corpora.audio import AudioFaultError, decode_file, examine_file, num_samples_at
from trainables.corpora.corpus import CorpusError, Heard, Int16s, Listing, Rejected, Row, nearest

REQUIRED = ("path", "speaker")
OPTIONAL = ("gender", "age", "recording", "split", "duration_s")
GENDERS = {
    **dict.fromkeys(("f", "female", "woman", "여", "여성", "여자"), "F"),
    **dict.fromkeys(("m", "male", "man", "남", "남성", "남자"), "M"),
}
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "development", "val", "valid", "validation"), "dev"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}


@dataclass(frozen=True)
class ManifestSource:
    """A manifest on this machine; its relative paths start at its own folder."""

    text: str
    file: str  # absolute

    def listing(self, *, number: int, sample_rate: int) -> Listing:
        """Return the manifest's rows and the rows that say too little; raises CorpusError."""
        columns, records = _read_parquet(self) if self.file.lower().endswith(".parquet") else _read_csv(self)
        has_split = "split" in columns and any(isinstance(record, dict) and record["split"] for _, record in records)
        rows: list[Row] = []
        rejected: list[Rejected] = []
        first_of: dict[str, int] = {}
        unread: dict[str, list[str]] = {"gender": [], "age": []}
        for number_of_row, record in records:
            made = _row_of(record, number, number_of_row, has_split, unread)
            if isinstance(made, Row):
                place = self.locate(made.path or "")
                first = first_of.setdefault(place, number_of_row)
                if first == number_of_row:
                    rows.append(made)
                    continue
                made = f"the same path as row {first}"
            path = record.get("path", "") if isinstance(record, dict) else ""
            rejected.append(Rejected(source=self.text, row=number_of_row, path=path, reason=made))
        if not records:
            raise CorpusError(f"{self.text}: a manifest needs rows, but it holds its header alone")
        notes = [
            f"{self.text}: {name} not understood and left empty in {len(values)} of its rows, the first '{values[0]}'"
            for name, values in unread.items()
            if values
        ]
        return Listing(rows=tuple(rows), rejected=tuple(rejected), notes=tuple(notes))

    def locate(self, path: str) -> str:
        """Return the absolute path of a file as the manifest writes it."""
        return os.path.normpath(os.path.join(os.path.dirname(self.file), os.path.expanduser(path)))

    def examine(self, row: Row, *, sample_rate: int, min_s: float) -> Heard | str:
        """Decode the row's file and return its facts, or the reason to leave it out."""
        try:
            facts = examine_file(self.locate(row.path or ""))
        except AudioFaultError as fault:
            return str(fault)
        seconds = facts.num_frames / facts.sample_rate
        if seconds < min_s:
            return f"too short: {facts.num_frames} samples ({seconds:.4g} s), at least {min_s:g} s are needed"
        # A tenth and half a second leave room for rounded durations.
        if row.duration_s is not None and seconds < row.duration_s - max(0.5, 0.1 * row.duration_s):
            return f"cut short: duration_s says {row.duration_s:g} s, the file holds {seconds:.4g} s"
        remarks = []
        if facts.channels > 1:
            remarks.append(f"{facts.channels} channels, averaged")
        if facts.sample_rate != sample_rate:
            remarks.append(f"{facts.sample_rate} Hz, resampled to {sample_rate} Hz")
        if facts.peak > 1.001:
            remarks.append("samples beyond full scale, clipped")
        return Heard(
            num_samples=num_samples_at(facts.num_frames, facts.sample_rate, sample_rate),
            content=facts.content,
            remarks=tuple(remarks),
        )

    def waveform(self, *, path: str | None, index: int, sample_rate: int) -> Int16s:
        """Return a file's samples, int16 (T,); raises CorpusError naming the file."""
        place = self.locate(path or "")
        try:
            return decode_file(place, sample_rate=sample_rate)
        except AudioFaultError as fault:
            reason = str(fault) if os.path.exists(place) else "no such file any more"
            raise CorpusError(
                f"{self.text}: row {index + 1}: {place}: {reason}; it was sound when the corpus was opened"
            ) from None


Records = list[tuple[int, dict[str, str] | str]]  # (row number, its cells, or why they cannot be told apart)


def _row_of(
    record: dict[str, str] | str, source: int, number: int, has_split: bool, unread: dict[str, list[str]]
) -> Row | str:
    """Return the row of a record, or the reason to leave it out; what could not be read is added to `unread`."""
    if isinstance(record, str):
        return record
    if missing := [name for name in REQUIRED if not record[name]]:
        return f"no {' and no '.join(missing)}"
    gender = GENDERS.get(record.get("gender", "").casefold())
    age = _number(record.get("age", ""))
    if record.get("gender") and gender is None:
        unread["gender"].append(record["gender"])
    if record.get("age") and age is None:
        unread["age"].append(record["age"])
    split = SPLITS.get(record.get("split", "").casefold())
    if has_split and split is None:
        written = record["split"]
        return f"split '{written}' is none of train, dev, test" if written else "no split, where other rows have one"
    return Row(
        source=source,
        index=number - 1,
        utterance=record["path"],
        speaker=record["speaker"],
        gender=gender,
        age=age,
        recording=record.get("recording") or None,
        split=split,
        path=record["path"],
        duration_s=_number(record.get("duration_s", "")),
    )


def _number(text: str) -> float | None:
    """Return a finite number of at least 0, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _read_csv(source: ManifestSource) -> tuple[list[str], Records]:
    """Return the column names and the records of a CSV file; cells are stripped."""
    try:
        with open(source.file, encoding="utf-8-sig", newline="") as file:
            lines: Iterator[list[str]] = csv.reader(file)
            names = [name.strip() for name in next(lines, [])]
            _check_columns(source, names)
            records: Records = []
            for number, cells in enumerate(lines, start=1):
                if not cells:
                    continue  # a blank line: it counts, so that row numbers lead to the right line
                if len(cells) > len(names):
                    records.append((number, f"{len(cells)} cells, but the header names {len(names)} columns"))
                    continue
                cells += [""] * (len(names) - len(cells))
                records.append((number, {name: cell.strip() for name, cell in zip(names, cells, strict=True)}))
    except OSError as error:
        raise CorpusError(f"{source.text}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{source.text}: a .csv manifest is UTF-8 text with commas, but {error}") from None
    return names, records


def _read_parquet(source: ManifestSource) -> tuple[list[str], Records]:
    """Return the column names and the records of a Parquet file, every cell as text."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        names = [str(name) for name in parquet.read_schema(source.file).names]
        _check_columns(source, names)
        wanted = [name for name in (*REQUIRED, *OPTIONAL) if name in names]
        table: Any = parquet.read_table(source.file, columns=wanted)
    except OSError as error:
        raise CorpusError(f"{source.text}: cannot be read: {error}") from None
    except pa.ArrowException as error:
        raise CorpusError(f"{source.text}: not readable as Parquet: {error}") from None
    records: Records = [
        (number, {name: "" if cell is None else str(cell).strip() for name, cell in record.items()})
        for number, record in enumerate(table.to_pylist(), start=1)
    ]
    return names, records


def _check_columns(source: ManifestSource, names: Sequence[str]) -> None:
    """Raise CorpusError unless the required columns are there and no known column is there twice."""
    problems = []
    for name in REQUIRED:
        if name not in names:
            columns = ", ".join(f"'{column}'" for column in names) or "none"
            problems.append(f"{source.text}: no column '{name}'; columns: {columns}{nearest(name, names)}")
    problems += [
        f"{source.text}: column '{name}' is there {list(names).count(name)} times"
        for name in (*REQUIRED, *OPTIONAL)
        if list(names).count(name) > 1
    ]
    if problems:
        raise CorpusError(*problems)
