"""A corpus after its sources were listed and checked, and the audio behind it.

Shapes: N rows (utterances), T samples.
"""

import difflib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Int16s = npt.NDArray[np.int16]

TABLE_SCHEMA: Any = pa.schema(
    [
        ("source", pa.int8()),
        ("utterance", pa.string()),
        ("speaker", pa.string()),
        ("gender", pa.string()),
        ("age", pa.float64()),
        ("recording", pa.string()),
        ("split", pa.string()),
        ("num_samples", pa.int64()),
        ("path", pa.string()),
        ("index", pa.int64()),
    ]
)


class CorpusError(ValueError):
    """What is wrong with a corpus, every problem at once; for the user to mend."""

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(self.problems)


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the choice nearest to the name, or nothing when none is near."""
    by_fold = {choice.casefold(): choice for choice in choices}
    found = difflib.get_close_matches(name.casefold(), by_fold, n=1, cutoff=0.6)
    return f"; did you mean '{by_fold[found[0]]}'?" if found else ""


@dataclass(frozen=True)
class Rejected:
    """A row that was left out. `row` is the 1-based data row: in a CSV file without blank lines it is line row + 1."""

    source: str
    row: int
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.source}: row {self.row} ({self.path or 'no path'}): {self.reason}"


@dataclass(frozen=True, slots=True)
class Row:
    """One utterance as its source lists it; `num_samples` (at the corpus's rate) is None until its audio is checked."""

    source: int
    index: int
    utterance: str
    speaker: str
    gender: str | None = None
    age: float | None = None
    recording: str | None = None
    split: str | None = None
    path: str | None = None
    duration_s: float | None = None
    num_samples: int | None = None
    content: str = ""


@dataclass(frozen=True)
class Listing:
    """What a source says it holds, before any audio is read."""

    rows: tuple[Row, ...]
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """What a look at a row's audio found: `remarks` are counted and told, they do not reject the row."""

    num_samples: int
    content: str
    remarks: tuple[str, ...] = ()


class Source(Protocol):
    """A place that utterances come from: a manifest, the synthetic voices."""

    @property
    def text(self) -> str:
        """Return the source as the user wrote it."""
        ...

    def listing(self, *, number: int, sample_rate: int, wheres: Sequence[Mapping[str, Any]] = ()) -> Listing:
        """Return the rows, numbered as source `number`, that any of the filters chooses; raises CorpusError."""
        ...

    def examine(self, row: Row, *, sample_rate: int, min_s: float) -> Heard | str:
        """Return what the row's audio is, or why it is rejected."""
        ...

    def waveform(self, *, path: str | None, index: int, sample_rate: int) -> Int16s:
        """Return a row's samples (T,) at the rate; raises CorpusError."""
        ...


@dataclass(frozen=True)
class Corpus:
    """What a role is: one or several sources, checked. Rows are in the order of their utterance names.

    `table` has the columns of TABLE_SCHEMA.
    The fingerprint changes with what is heard and who speaks, not with the place of the files or the order of rows.
    """

    table: Any
    sources: tuple[Source, ...]
    sample_rate: int
    fingerprint: str
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def num_speakers(self) -> int:
        """Return the number of different speakers."""
        return len(set(self.table["speaker"].to_pylist()))

    @property
    def hours(self) -> float:
        """Return the hours of audio."""
        return float(sum(self.table["num_samples"].to_pylist())) / self.sample_rate / 3600

    def select(self, rows: npt.ArrayLike) -> "Corpus":
        """Return the corpus of these rows (a boolean mask (N,), or row numbers), in this order."""
        rows_N = np.asarray(rows)
        if rows_N.dtype == np.bool_:
            if len(rows_N) != len(self):
                raise ValueError(f"a mask needs one value a row, but got {len(rows_N)} for {len(self)} rows")
            rows_N = np.flatnonzero(rows_N)
        rows_N = rows_N.astype(np.int64)
        table = self.table.take(pa.array(rows_N)).combine_chunks()
        digest = hashlib.sha256(self.fingerprint.encode() + rows_N.tobytes()).hexdigest()
        return replace(self, table=table, fingerprint=digest)


def build_corpus(
    rows: Sequence[Row],
    *,
    sources: tuple[Source, ...],
    sample_rate: int,
    rejected: tuple[Rejected, ...] = (),
    notes: tuple[str, ...] = (),
) -> Corpus:
    """Return the corpus of the checked rows: names made unique, rows sorted by name, fingerprint taken."""
    owners: dict[str, set[int]] = {}
    for row in rows:
        owners.setdefault(row.utterance, set()).add(row.source)
    # Two sources may use one name for two files; inside a source names are unique already.
    named = [
        replace(row, utterance=f"{row.source}:{row.utterance}") if len(owners[row.utterance]) > 1 else row
        for row in rows
    ]
    named.sort(key=lambda row: row.utterance)
    table = pa.table(
        {name: [getattr(row, name) for row in named] for name in TABLE_SCHEMA.names},
        schema=TABLE_SCHEMA,
    )
    # Age and recording belong to the fingerprint too: labels and trial pairs follow from them.
    facts = [
        repr((row.utterance, row.speaker, row.gender, row.age, row.recording, row.split, row.content)) for row in named
    ]
    digest = hashlib.sha256("\n".join([str(sample_rate), *facts]).encode()).hexdigest()
    return Corpus(
        table=table, sources=sources, sample_rate=sample_rate, fingerprint=digest, rejected=rejected, notes=notes
    )


class AudioCache:
    """Waveforms of a corpus, decoded or synthesised on first need and kept while they fit.

    A full cache keeps what it has: epochs visit every utterance alike, so throwing one out for another gains nothing.
    """

    def __init__(self, corpus: Corpus, max_bytes: int = 2 << 30) -> None:
        self.corpus = corpus
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self._kept: dict[int, Int16s] = {}
        self._source: list[int] = corpus.table["source"].to_pylist()
        self._path: list[str | None] = corpus.table["path"].to_pylist()
        self._index: list[int] = corpus.table["index"].to_pylist()
        self._num_samples: list[int] = corpus.table["num_samples"].to_pylist()

    def waveform(self, i: int) -> Int16s:
        """Return the whole utterance of row i, int16 (T,), read-only; raises CorpusError if its file changed."""
        kept = self._kept.get(i)
        if kept is not None:
            return kept
        source = self.corpus.sources[self._source[i]]
        waveform = source.waveform(path=self._path[i], index=self._index[i], sample_rate=self.corpus.sample_rate)
        expected = self._num_samples[i]
        if len(waveform) != expected:
            raise CorpusError(
                f"{source.text}: {self._path[i]}: changed since the corpus was opened: "
                f"{len(waveform)} samples, {expected} then"
            )
        waveform.flags.writeable = False
        if self.used_bytes + waveform.nbytes <= self.max_bytes:
            self._kept[i] = waveform
            self.used_bytes += waveform.nbytes
        return waveform


def crop(waveform: Int16s, start_fraction: float, num_samples: int) -> Int16s:
    """Return `num_samples` samples of a waveform (T,), the start at a fraction of the room there is.

    0 is the first possible start, 1 the last. A shorter waveform is repeated from its beginning
    (as voxceleb_trainer does).
    """
    if len(waveform) < num_samples:
        return np.resize(waveform, num_samples)
    start = int(start_fraction * (len(waveform) - num_samples))
    return waveform[start : start + num_samples]
