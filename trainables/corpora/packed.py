"""A packed corpus as a source: its table and its samples are mapped, not loaded, so that memory stays flat.

Shapes: N rows (utterances), T samples.
"""

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from trainables.corpora.corpus import CorpusError, Heard, Int16s, Listing, Row, listed_table, nearest
from trainables.corpora.node_cache import RemoteFolder, is_uri, told
from trainables.corpora.shards import (
    FACTS,
    REJECTED,
    UTTERANCES,
    UTTERANCES_SCHEMA,
    File,
    PackedFacts,
    damages,
    map_samples,
    map_table,
    read_facts,
    shard_name,
)
from trainables.corpora.where import Sieve, Where

NOT_LISTED = ("shard", "offset")  # columns of the packed form alone
MOST_MAPS = 256  # an open map holds a file open; a view keeps its own map alive


@dataclass(frozen=True)
class PackedSource:
    """A packed corpus in a folder of this machine, or at a URI whose files are copied to this machine as needed.

    `text` is what the user wrote; `place` is the absolute path or the URI; `fingerprint` is of what was opened, so that
    a worker which finds another corpus there says so.
    """

    text: str
    place: str
    fingerprint: str

    @property
    def facts(self) -> PackedFacts:
        """What corpus.json says."""
        return self._opened.facts

    @property
    def table(self) -> Any:
        """The table of the utterances, mapped."""
        return self._opened.table

    def listing(self, *, number: int, sample_rate: int, wheres: Sequence[Where] = ()) -> Listing:
        """Return the chosen rows, already checked; raises CorpusError, also if another rate is asked for."""
        facts, table = self.facts, self.table
        self._check_rate(sample_rate)
        sieve = Sieve(self.text, wheres=wheres, columns=[n for n in UTTERANCES_SCHEMA.names if n not in NOT_LISTED])
        index_N = np.arange(len(table), dtype=np.int64)
        if any(wheres):
            index_N = np.flatnonzero(sieve.chooses(table))
            table = table.take(pa.array(index_N))
        # Contents are in the fingerprint that the listing gives; paths led to what is no longer read, and official
        # lists of trials name utterances.
        names = [name for name in UTTERANCES_SCHEMA.names if name not in (*NOT_LISTED, "content", "path")]
        columns: dict[str, Any] = {name: table[name] for name in names}
        columns |= {"source": np.full(len(table), number, dtype=np.int8), "index": index_N}
        notes = sieve.notes()
        if facts.num_rejected:
            notes.append(f"{self.text}: {facts.num_rejected} files were left out by its import, see its {REJECTED}")
        return Listing(table=listed_table(len(table), columns), notes=tuple(notes), fingerprint=facts.fingerprint)

    def examine(self, row: Row, *, sample_rate: int, min_s: float) -> Heard | str:
        """Return the row's facts, as listed."""
        return Heard(num_samples=row.num_samples or 0, content=row.content or "")

    def waveform(self, *, path: str | None, index: int, sample_rate: int) -> Int16s:
        """Return an utterance, int16 (T,), a read-only view of the mapped shard; raises CorpusError."""
        opened = self._opened
        if sample_rate != opened.facts.sample_rate:
            self._check_rate(sample_rate)
        start = int(opened.offset_N[index])
        view: Int16s = self._shard(int(opened.shard_N[index]))[start : start + int(opened.num_samples_N[index])]
        return view

    def _shard(self, number: int) -> Int16s:
        name = shard_name(number)
        try:
            return _samples(self.place, name, self._opened.facts.files[name])
        except KeyError:
            raise CorpusError(f"{self.text}: {FACTS} does not name {name}; import it again") from None
        except (OSError, pa.ArrowException) as error:
            raise CorpusError(f"{self.text}: {name}: cannot be read: {error}; import it again") from None

    def _check_rate(self, sample_rate: int) -> None:
        packed = self.facts.sample_rate
        if packed != sample_rate:
            raise CorpusError(
                f"{self.text}: was packed at {packed} Hz, but {sample_rate} Hz are asked for; "
                f"import it again with --rate {sample_rate}, into another folder"
            )

    @property
    def _opened(self) -> "_Opened":
        opened = _open(self.place, self.text)
        if opened.facts.fingerprint != self.fingerprint:
            raise CorpusError(f"{self.text}: another corpus than when it was opened; a packed corpus is not replaced")
        return opened


@dataclass(frozen=True)
class _Opened:
    """A packed corpus's facts and table, and where each utterance's samples lie."""

    facts: PackedFacts
    table: Any
    shard_N: npt.NDArray[np.int32]
    offset_N: npt.NDArray[np.int64]
    num_samples_N: npt.NDArray[np.int64]


def is_packed(text: str) -> bool:
    """Whether a text names a packed corpus: a folder with a corpus.json, or any URI."""
    return is_uri(text) or os.path.isfile(os.path.join(os.path.expanduser(text), FACTS))


def open_packed(text: str) -> PackedSource:
    """Return the packed corpus that a text names; raises CorpusError if it is damaged or of another format."""
    place = text.rstrip("/") if is_uri(text) else os.path.abspath(os.path.expanduser(text))
    _open.cache_clear()  # what stands there now counts, not what this process has seen there before
    fingerprint = _open(place, text).facts.fingerprint
    return PackedSource(text=told(text) if is_uri(text) else text, place=place, fingerprint=fingerprint)


def fetch_trials(uri: str) -> Path:
    """Return the copy on this machine of a list of trials, a packed corpus's at a URI; raises CorpusError."""
    parts = urlsplit(uri)
    folder, _, name = parts.path.rpartition("/trials/")
    if not folder or not name.endswith(".arrow"):
        raise CorpusError(
            f"{told(uri)}: a list of trials on an object store is that of a packed corpus, …/trials/NAME.arrow; "
            "copy any other to a folder of this machine"
        )
    source = open_packed(urlunsplit(parts._replace(path=folder)))
    files = {of: file for of, file in source.facts.files.items() if of.startswith("trials/")}
    if f"trials/{name}" not in files:
        there = ", ".join(files) or "none"
        raise CorpusError(f"{told(uri)}: no such list; the corpus has {there}{nearest(f'trials/{name}', files)}")
    return RemoteFolder(source.place).fetch(f"trials/{name}", files[f"trials/{name}"])


@functools.lru_cache(maxsize=16)
def _open(place: str, text: str) -> _Opened:
    """Kept by a process, not by the source, which travels to workers."""
    shown = told(text) if is_uri(text) else text
    try:
        data = RemoteFolder(place).read(FACTS) if is_uri(place) else (Path(place) / FACTS).read_bytes()
        facts = read_facts(data, place=shown)
        if not is_uri(place) and (problems := damages(Path(place), facts)):
            raise CorpusError(*(f"{shown}: {problem}; import it again" for problem in problems))
        table = map_table(_local(place, UTTERANCES, facts.files[UTTERANCES]))
    except KeyError as error:
        raise CorpusError(f"{shown}: {FACTS} does not name {error}; import it again") from None
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"{shown}: cannot be read: {error}; import it again") from None
    if table.schema != UTTERANCES_SCHEMA or len(table) != facts.num_utterances:
        raise CorpusError(f"{shown}: {UTTERANCES} is not what {FACTS} says; import it again")
    return _Opened(
        facts=facts,
        table=table,
        shard_N=table["shard"].to_numpy(),
        offset_N=table["offset"].to_numpy(),
        num_samples_N=table["num_samples"].to_numpy(),
    )


@functools.lru_cache(maxsize=MOST_MAPS)
def _samples(place: str, name: str, file: File) -> Int16s:
    """Return a shard's samples, mapped; kept by the checksum too: another import into the same place is another.

    Raises CorpusError if the folder holds another corpus by now.
    """
    samples_T = map_samples(_local(place, name, file))
    # Only after the mapping, so that no shard slips in between. Copies from a URI are checked by their checksums.
    if not is_uri(place):
        facts = read_facts((Path(place) / FACTS).read_bytes(), place=place)
        if facts.files.get(name) != file:
            raise CorpusError(f"{place}: {name}: changed since the corpus was opened; start again")
    return samples_T


def _local(place: str, name: str, file: File) -> Path:
    return RemoteFolder(place).fetch(name, file) if is_uri(place) else Path(place) / name
