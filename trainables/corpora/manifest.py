"""A manifest: a CSV or Parquet table with a row an utterance.

Columns: path, speaker; optional gender, age, recording, split, duration_s. Any other column is there for filters.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainables.corpora.audio import AudioFaultError, decode_file, examine_file, num_samples_at, remarks_of
from trainables.corpora.cells import GENDERS, SPLITS, CellTable, number_of
from trainables.corpora.corpus import CorpusError, Heard, Int16s, Listing, Rejected, Row, kept, listed_table
from trainables.corpora.where import Sieve, Where

REQUIRED = ("path", "speaker")
# Absolute or a user's folder, or with a part that is empty, one dot or two.
ODD_PATH = r"^[/~]|(?:^|/)\.{0,2}(?:/|$)"
OPTIONAL = ("gender", "age", "recording", "split", "duration_s")


@dataclass(frozen=True)
class ManifestSource:
    """A manifest on this machine; its relative paths start at its own folder."""

    text: str
    file: str  # absolute

    def listing(self, *, number: int, sample_rate: int, wheres: Sequence[Where] = ()) -> Listing:
        """Return the chosen rows of the manifest and those that say too little; raises CorpusError."""
        chosen = self._chosen(wheres)
        path, speaker = (chosen.cells[name].combine_chunks() for name in REQUIRED)
        faults = _Faults(len(path))
        for i in np.flatnonzero(_is_empty(path) | _is_empty(speaker)).tolist():
            missing = [name for name in REQUIRED if not chosen.cells[name][i].as_py()]
            faults.add(i, f"no {' and no '.join(missing)}")
        gender, unread_gender = _read(chosen.cells, "gender", lambda text: GENDERS.get(text.casefold()), pa.string())
        age, unread_age = _read(chosen.cells, "age", _number, pa.float64())
        unread = {"gender": unread_gender & ~faults.is_bad_N, "age": unread_age & ~faults.is_bad_N}
        split = _read_splits(chosen.cells, faults)
        self._find_doubles(chosen, faults)
        table = listed_table(
            len(path),
            {
                "source": np.full(len(path), number, dtype=np.int8),
                "index": chosen.number_N - 1,
                "utterance": path,
                "speaker": speaker,
                "gender": gender,
                "age": age,
                "recording": _read(chosen.cells, "recording", lambda text: text, pa.string())[0],
                "split": split,
                "path": path,
                "duration_s": _read(chosen.cells, "duration_s", _number, pa.float64())[0],
                "content": [""] * len(path),
            },
        )
        rejected = [
            Rejected(source=self.text, row=int(chosen.number_N[i]), path=path[i].as_py(), reason=reason)
            for i, reason in faults.reasons.items()
        ]
        rejected += [Rejected(source=self.text, row=row, path="", reason=reason) for row, reason in chosen.faults]
        told = [
            f"{self.text}: {name} not understood and left empty in {is_unread_N.sum()} of its rows, "
            f"the first '{chosen.cells[name][int(is_unread_N.argmax())]}'"
            for name, is_unread_N in unread.items()
            if is_unread_N.any()
        ]
        return Listing(
            table=kept(table, ~faults.is_bad_N),
            rejected=tuple(sorted(rejected, key=lambda bad: bad.row)),
            notes=(*chosen.notes, *told),
        )

    def _chosen(self, wheres: Sequence[Where]) -> "_Chosen":
        """Return the rows that a filter chooses, with the known cells alone, and what was chosen."""
        table = CellTable(text=self.text, file=self.file, what="manifest")
        known = (*REQUIRED, *OPTIONAL)
        wanted = {*known, *(column for where in wheres for column in where)}
        columns = table.columns(required=REQUIRED, once=wanted)
        sieve = Sieve(self.text, wheres=wheres, columns=columns)
        meant = [name for name in known if name in columns]
        numbers, cells = [np.zeros(0, dtype=np.int64)], []
        faults: list[tuple[int, str]] = []
        for some in table.rows(wanted):
            is_chosen_N = sieve.chooses(some.cells)
            numbers.append(some.number_N[is_chosen_N])
            cells.append(kept(some.cells.select(meant), is_chosen_N))
            faults += some.faults  # whether they are meant cannot be told
        if not faults and not sieve.num_seen:
            raise CorpusError(f"{self.text}: a manifest needs rows, but it holds its header alone")
        return _Chosen(np.concatenate(numbers), pa.concat_tables(cells), tuple(faults), tuple(sieve.notes()))

    def _find_doubles(self, chosen: "_Chosen", faults: "_Faults") -> None:
        """Reject the rows whose file a sound row before them has."""
        sound_S = np.flatnonzero(~faults.is_bad_N)
        places = self._places(chosen.cells["path"].take(pa.array(sound_S)).combine_chunks())
        place_S = places.dictionary_encode().indices.to_numpy()
        first_P = np.unique(place_S, return_index=True)[1]
        for s in np.flatnonzero(first_P[place_S] != np.arange(len(sound_S))).tolist():
            faults.add(int(sound_S[s]), f"the same path as row {chosen.number_N[sound_S[first_P[place_S[s]]]]}")

    def _places(self, paths: pa.Array) -> pa.Array:
        """Return what `locate` says of each path: most are written as they are found, and only joined to the folder."""
        places = pc.binary_join_element_wise(os.path.join(os.path.dirname(self.file), ""), paths, "")
        is_odd = pc.match_substring_regex(paths, ODD_PATH)
        odd = pa.array([self.locate(path) for path in paths.filter(is_odd).to_pylist()], pa.string())
        return pc.replace_with_mask(places, is_odd, odd)

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
        return Heard(
            num_samples=num_samples_at(facts.num_frames, facts.sample_rate, sample_rate),
            content=facts.content,
            remarks=remarks_of(facts, sample_rate=sample_rate),
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


@dataclass(frozen=True)
class _Chosen:
    """Rows of a manifest: their numbers from 1 and known cells, rows that cannot be read, and what to tell."""

    number_N: npt.NDArray[np.int64]
    cells: pa.Table
    faults: tuple[tuple[int, str], ...]
    notes: tuple[str, ...]


@dataclass
class _Faults:
    """Which of N rows are bad, and why."""

    num_rows: int
    reasons: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.is_bad_N = np.zeros(self.num_rows, dtype=np.bool_)

    def add(self, i: int, reason: str) -> None:
        self.is_bad_N[i] = True
        self.reasons[i] = reason


def _is_empty(cells: pa.Array) -> npt.NDArray[np.bool_]:
    is_empty_N: npt.NDArray[np.bool_] = pc.equal(cells, "").to_numpy(zero_copy_only=False)
    return is_empty_N


def _read(
    cells: pa.Table, name: str, read: Callable[[str], object], kind: pa.DataType
) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Return what a column's cells mean (null where empty or not understood), and which are not understood (N,)."""
    if name not in cells.column_names:
        return pa.nulls(len(cells), kind), np.zeros(len(cells), dtype=np.bool_)
    encoded = cells[name].combine_chunks().dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    meant = [read(text) if text else None for text in texts]
    is_unread = np.array([bool(text) and value is None for text, value in zip(texts, meant, strict=True)], np.bool_)
    return pa.array(meant, kind).take(encoded.indices), is_unread[encoded.indices.to_numpy()]


def _read_splits(cells: pa.Table, faults: _Faults) -> pa.Array:
    """Return the official splits; where any row has one, rows without one, or with an unknown one, are bad."""
    split, is_unread_N = _read(cells, "split", lambda text: SPLITS.get(text.casefold()), pa.string())
    is_written_N = is_unread_N | split.is_valid().to_numpy(zero_copy_only=False)
    if is_written_N.any():
        for i in np.flatnonzero((is_unread_N | ~is_written_N) & ~faults.is_bad_N).tolist():
            written = cells["split"][i].as_py()
            unknown = f"split '{written}' is none of train, dev, test"
            faults.add(i, unknown if written else "no split, where other rows have one")
    return split


def _number(text: str) -> float | None:
    """Return a finite number of at least 0, or None."""
    value = number_of(text)
    return value if value is not None and value >= 0 else None
