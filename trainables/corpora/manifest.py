"""A manifest: a CSV or Parquet table with a row an utterance.

Columns: path, speaker; optional gender, age, recording, split, duration_s. Any other column is there for filters.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from trainables.corpora.audio import AudioFaultError, decode_file, examine_file, num_samples_at
from trainables.corpora.cells import GENDERS, SPLITS, Cells, CellTable, number_of
from trainables.corpora.corpus import CorpusError, Heard, Int16s, Listing, Rejected, Row
from trainables.corpora.where import Sieve, Where

REQUIRED = ("path", "speaker")
OPTIONAL = ("gender", "age", "recording", "split", "duration_s")


@dataclass(frozen=True)
class ManifestSource:
    """A manifest on this machine; its relative paths start at its own folder."""

    text: str
    file: str  # absolute

    def listing(self, *, number: int, sample_rate: int, wheres: Sequence[Where] = ()) -> Listing:
        """Return the chosen rows of the manifest and those that say too little; raises CorpusError."""
        records, notes = self._chosen(wheres)
        has_split = any(isinstance(record, dict) and record.get("split") for _, record in records)
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
        notes += [
            f"{self.text}: {name} not understood and left empty in {len(values)} of its rows, the first '{values[0]}'"
            for name, values in unread.items()
            if values
        ]
        return Listing(rows=tuple(rows), rejected=tuple(rejected), notes=tuple(notes))

    def _chosen(self, wheres: Sequence[Where]) -> tuple[list[tuple[int, Cells | str]], list[str]]:
        """Return the rows that a filter chooses, by number, with the known cells alone, and what was chosen."""
        table = CellTable(text=self.text, file=self.file, what="manifest")
        known = (*REQUIRED, *OPTIONAL)
        wanted = {*known, *(column for where in wheres for column in where)}
        sieve = Sieve(self.text, wheres=wheres, columns=table.columns(required=REQUIRED, once=wanted))
        chosen: list[tuple[int, Cells | str]] = []
        for number, record in table.records(wanted):
            if isinstance(record, str):
                chosen.append((number, record))  # whether it is meant cannot be told
            elif sieve.passes(record):
                # Only what a row is made of is kept: a manifest may have millions of rows and many columns.
                chosen.append((number, {name: record[name] for name in known if name in record}))
        if not chosen and not sieve.num_seen:
            raise CorpusError(f"{self.text}: a manifest needs rows, but it holds its header alone")
        return chosen, sieve.notes()

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


def _row_of(record: Cells | str, source: int, number: int, has_split: bool, unread: dict[str, list[str]]) -> Row | str:
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
    value = number_of(text)
    return value if value is not None and value >= 0 else None
