"""A corpus after its sources were listed and checked, and the audio behind it.

Shapes: N rows (utterances), T samples.
"""

import dataclasses
import difflib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainables.corpora.fingerprints import fingerprint_of

Int16s = npt.NDArray[np.int16]

# What a source lists. `index` is the source's own number of the row; what is not known is null: `num_samples` (at the
# corpus's rate) until the audio was looked at.
LISTED_SCHEMA: Any = pa.schema(
    [
        ("source", pa.int8()),
        ("index", pa.int64()),
        ("utterance", pa.string()),
        ("speaker", pa.string()),
        ("gender", pa.string()),
        ("age", pa.float64()),
        ("agesup", pa.string()),
        ("agesub", pa.string()),
        ("recording", pa.string()),
        ("split", pa.string()),
        ("path", pa.string()),
        ("duration_s", pa.float64()),
        ("num_samples", pa.int64()),
        ("content", pa.string()),
    ]
)
# What a corpus keeps of it.
TABLE_SCHEMA: Any = pa.schema([field for field in LISTED_SCHEMA if field.name not in ("duration_s", "content")])


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
    """One row of a listing, for a look at its audio; see LISTED_SCHEMA."""

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
    content: str | None = ""
    agesup: str | None = None
    agesub: str | None = None


def listed_table(num_rows: int, columns: Mapping[str, Any]) -> pa.Table:
    """Return a table of LISTED_SCHEMA: of the columns (Arrow or numpy arrays, or lists), null where there is none."""
    return pa.table(
        {
            field.name: columns[field.name] if field.name in columns else pa.nulls(num_rows, field.type)
            for field in LISTED_SCHEMA
        },
        schema=LISTED_SCHEMA,
    )


def table_of(rows: Iterable[Row]) -> pa.Table:
    """Return rows as a table of LISTED_SCHEMA."""
    return pa.Table.from_pylist([dataclasses.asdict(row) for row in rows], schema=LISTED_SCHEMA)


def kept(table: pa.Table, is_kept_N: npt.NDArray[np.bool_]) -> pa.Table:
    """Return some of the rows; without a copy where it is all of them."""
    return table if is_kept_N.all() else table.filter(pa.array(is_kept_N))


def rows_of(table: pa.Table) -> list[Row]:
    """Return the rows of a small piece of a listing."""
    return [Row(**cells) for cells in table.to_pylist()]


@dataclass(frozen=True)
class Listing:
    """What a source says it holds, before any audio is read; `table` has the columns of LISTED_SCHEMA.

    A source that knows a fingerprint of all its contents and labels gives it: its rows then count by fingerprint and
    `index`, and none of their labels is hashed again.
    """

    table: pa.Table
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()
    fingerprint: str | None = None


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
        """Return a row's samples (T,) at the rate, read-only if they are a view of a file; raises CorpusError."""
        ...


@dataclass(frozen=True)
class Corpus:
    """What a role is: one or several sources, checked. Rows are in the order of their utterance names.

    `table` has the columns of TABLE_SCHEMA.
    The fingerprint changes with what is heard and who speaks, not with the place of the files or the order of rows.
    `balance` is what generated trial pairs are balanced over: "gender" or nothing; `most_pairs` is how many there are
    at most, where the study says it.
    """

    table: Any
    sources: tuple[Source, ...]
    sample_rate: int
    fingerprint: str
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()
    balance: str | None = None
    most_pairs: int | None = None

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def num_speakers(self) -> int:
        """Return the number of different speakers."""
        return int(pc.count_distinct(self.table["speaker"]).as_py())

    @property
    def hours(self) -> float:
        """Return the hours of audio."""
        return float(pc.sum(self.table["num_samples"], min_count=0).as_py()) / self.sample_rate / 3600

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
    table: pa.Table,
    *,
    sources: tuple[Source, ...],
    sample_rate: int,
    rejected: tuple[Rejected, ...] = (),
    notes: tuple[str, ...] = (),
    fingerprints: Mapping[int, str] | None = None,
    balance: str | None = None,
    most_pairs: int | None = None,
) -> Corpus:
    """Return the corpus of the checked rows of listings: names made unique, sorted by name, fingerprint taken.

    `fingerprints` are those of the sources that have one, by their number; `balance` and `most_pairs` are what trial
    pairs are balanced over and how many there are at most.
    """
    column = table.schema.get_field_index("utterance")
    table = _sorted_by_name(table.set_column(column, "utterance", _unique_names(table)))
    fingerprint = fingerprint_of(table, sample_rate=sample_rate, of_sources=fingerprints or {})
    if balance is not None:  # what is compared is another thing then
        fingerprint = hashlib.sha256(f"{fingerprint} pairs balanced over {balance}".encode()).hexdigest()
    if most_pairs is not None:
        fingerprint = hashlib.sha256(f"{fingerprint} at most {most_pairs} pairs".encode()).hexdigest()
    return Corpus(
        table=table.select(TABLE_SCHEMA.names).combine_chunks(),
        sources=sources,
        sample_rate=sample_rate,
        fingerprint=fingerprint,
        rejected=rejected,
        notes=notes,
        balance=balance,
        most_pairs=most_pairs,
    )


def _unique_names(table: pa.Table) -> pa.ChunkedArray:
    """Return the utterances' names; one that several sources use has the number of its source before it.

    Inside a source names are unique already.
    """
    names, source_N = table["utterance"], table["source"].to_numpy()
    if not len(source_N) or (source_N == source_N[0]).all():
        return names
    encoded = names.combine_chunks().dictionary_encode()
    name_N = encoded.indices.to_numpy()
    owner = np.zeros(len(encoded.dictionary), dtype=source_N.dtype)
    owner[name_N] = source_N
    is_shared = np.zeros(len(owner), dtype=np.bool_)
    is_shared[name_N[owner[name_N] != source_N]] = True
    if not is_shared.any():
        return names
    numbered = pc.binary_join_element_wise(table["source"].cast(pa.string()), names, ":")
    return pc.if_else(pa.array(is_shared[name_N]), numbered, names)


def _sorted_by_name(table: pa.Table) -> pa.Table:
    names = table["utterance"].combine_chunks()
    if len(names) < 2 or pc.all(pc.less_equal(names[:-1], names[1:])).as_py():
        return table
    return table.take(pc.sort_indices(names))


class AudioCache:
    """Waveforms of a corpus, decoded or synthesised on first need and kept while they fit.

    A full cache keeps what it has: epochs visit every utterance alike, so throwing one out for another gains nothing.
    """

    def __init__(self, corpus: Corpus, max_bytes: int = 2 << 30) -> None:
        self.corpus = corpus
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self._kept: dict[int, Int16s] = {}
        # Views of the table: nothing is copied for each of a million rows.
        self._source_N, self._index_N, self._num_samples_N = (
            corpus.table[name].combine_chunks().to_numpy() for name in ("source", "index", "num_samples")
        )
        self._path = corpus.table["path"].combine_chunks()

    def waveform(self, i: int) -> Int16s:
        """Return the whole utterance of row i, int16 (T,), read-only; raises CorpusError if its file changed."""
        kept = self._kept.get(i)
        if kept is not None:
            return kept
        source, path, expected = self.corpus.sources[self._source_N[i]], self._path[i].as_py(), self._num_samples_N[i]
        waveform: Int16s = source.waveform(path=path, index=int(self._index_N[i]), sample_rate=self.corpus.sample_rate)
        if len(waveform) != expected:
            raise CorpusError(
                f"{source.text}: {path}: changed since the corpus was opened: {len(waveform)} samples, {expected} then"
            )
        if not waveform.flags.writeable:
            return waveform  # a view of what its source maps: it costs no memory, and is as quick the next time
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
