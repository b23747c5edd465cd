"""Any source under a condition: the same utterances, each as it is heard after what befell it.

Shapes: N rows, T samples.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainables.corpora import transmission
from trainables.corpora.conditions import CLEAN, SECOND, Condition, circumstances_of, generator, parse_condition
from trainables.corpora.corpus import CorpusError, Heard, Int16s, Listing, Row, Source
from trainables.corpora.splits import split_of
from trainables.corpora.transmission import transmit
from trainables.corpora.where import Where
from trainables.corpora.wrong_labels import with_wrong_labels

OPTION = "condition"
TRIES = 8  # second voices that are tried when one cannot be read

Ints = npt.NDArray[np.int64]


def take_condition(text: str) -> tuple[str, Condition]:
    """Return a source's text without its option `condition=…`, and the condition; clean where there is none.

    `synthetic?speakers=9&condition=telephone?room=0.3,wrong=0.02` names the voices `synthetic?speakers=9`. Raises
    CorpusError if the condition is not sound.
    """
    name, mark, query = text.partition("?")
    options = query.split("&") if mark else []
    given = [option for option in options if option.partition("=")[0] == OPTION]
    if not given:
        return text, CLEAN
    if len(given) > 1:
        raise CorpusError(f"{text}: option '{OPTION}' is there {len(given)} times")
    others = "&".join(option for option in options if option not in given)
    try:
        return name + (f"?{others}" if others else ""), parse_condition(given[0].partition("=")[2])
    except CorpusError as error:
        raise CorpusError(*(f"{text}: {OPTION}: {problem}" for problem in error.problems)) from None


@dataclass(frozen=True)
class ConditionedSource:
    """A source under a condition. An utterance's key is its path, or its index where it has none.

    A second voice is another utterance of the whole inner source, whatever the filters: of another speaker of the same
    partition, so that no voice of the test set is heard in training.
    """

    text: str
    inner: Source
    condition: Condition

    def listing(self, *, number: int, sample_rate: int, wheres: Sequence[Where] = ()) -> Listing:
        """Return the inner source's rows, their labels wrong at the condition's rate; filters see the right ones.

        Raises CorpusError as the inner source does, and if there is nobody to be a second voice.
        """
        listing = self.inner.listing(number=number, sample_rate=sample_rate, wheres=wheres)
        if self.condition.second > 0 and self._crowd(sample_rate).num_speakers < 2:
            raise CorpusError(f"{self.text}: a second voice needs 2 speakers, but there is one; write second=0")
        table, notes = with_wrong_labels(listing.table, self.condition)
        if self.condition.is_heard:
            table = self._with_contents(table, sample_rate)
        return replace(
            listing,
            table=table,
            rejected=tuple(replace(bad, source=self.text) for bad in listing.rejected),
            notes=(*listing.notes, *(f"{self.text}: {note}" for note in notes)),
            fingerprint=None if listing.fingerprint is None else self._digest(listing.fingerprint, sample_rate),
        )

    def examine(self, row: Row, *, sample_rate: int, min_s: float) -> Heard | str:
        """Return what the inner source finds, the content marked by the condition."""
        found = self.inner.examine(row, sample_rate=sample_rate, min_s=min_s)
        if isinstance(found, str) or not self.condition.is_heard:
            return found
        return replace(found, content=self._digest(found.content, sample_rate))

    def waveform(self, *, path: str | None, index: int, sample_rate: int) -> Int16s:
        """Return a row's samples as they are heard, int16 (T,); raises CorpusError."""
        samples_T = self.inner.waveform(path=path, index=index, sample_rate=sample_rate)
        if not self.condition.is_heard:
            return samples_T
        here = circumstances_of(self.condition, key=path if path is not None else str(index))
        second_T = None
        if here.second_db is not None:
            second_T = self._second(index, rng=generator(here.words, SECOND), sample_rate=sample_rate)
        return transmit(samples_T, here, sample_rate=sample_rate, second_T=second_T)

    def _second(self, index: int, *, rng: np.random.Generator, sample_rate: int) -> Int16s:
        """Return the second voice of a row; raises CorpusError if none of several can be read."""
        fault = CorpusError(f"{self.text}: no second voice for the row of index {index}")
        for path, other in self._crowd(sample_rate).others(index, rng):
            try:
                return self.inner.waveform(path=path, index=other, sample_rate=sample_rate)
            except CorpusError as error:
                fault = error  # a file that opening the corpus rejected and told of, or that a filter keeps out
        raise fault

    def _with_contents(self, table: pa.Table, sample_rate: int) -> pa.Table:
        """Return the rows, the contents that are known already marked by the condition."""
        column = table["content"].combine_chunks().dictionary_encode()
        marked = [content and self._digest(content, sample_rate) for content in column.dictionary.to_pylist()]
        place = table.schema.get_field_index("content")
        contents = pa.array(marked, pa.string()).take(column.indices)
        return table.set_column(place, table.schema.field(place), contents)

    def _digest(self, content: str, sample_rate: int) -> str:
        """Return the mark of what is heard: the content, the condition, and who may be a second voice."""
        crowd = self._crowd(sample_rate).fingerprint if self.condition.second > 0 else ""
        heard = f"{content} {transmission.RECIPE} {self.condition.text} {crowd}"
        return hashlib.sha256(heard.encode()).hexdigest()

    def _crowd(self, sample_rate: int) -> "_Crowd":
        if sample_rate not in self._crowds:
            listing = self.inner.listing(number=0, sample_rate=sample_rate)
            self._crowds[sample_rate] = _Crowd.of(listing.table)
        return self._crowds[sample_rate]

    @cached_property
    def _crowds(self) -> "dict[int, _Crowd]":
        """What was listed, by rate: kept, and sent to the workers with the source."""
        return {}


@dataclass(frozen=True)
class _Crowd:
    """The rows of a source ordered by (partition, speaker, index): whose voice may be heard over whose."""

    index_N: Ints
    path_N: pa.Array
    part_N: Ints
    speaker_N: Ints
    place_N: Ints  # where the rows, in the order of their indices, stand here
    num_speakers: int
    fingerprint: str

    @classmethod
    def of(cls, table: pa.Table) -> "_Crowd":
        speakers = table["speaker"].combine_chunks().dictionary_encode()
        names = speakers.dictionary.to_pylist()
        # Codes follow the names, not the order of the rows.
        rank_S = np.argsort(np.argsort(np.array(names, dtype=object)))
        code_N = speakers.indices.to_numpy()
        speaker_N = rank_S[code_N].astype(np.int64)
        # A corpus without partitions, or without a dev set, is split by the hash of its speakers' names.
        hashed_S = np.array([("train", "dev", "test").index(split_of(name)) for name in names], dtype=np.int64)
        official_N = pc.index_in(table["split"], pa.array(["dev", "test"])).fill_null(-1).to_numpy()
        part_N = np.where(official_N < 0, hashed_S[code_N], 3 + official_N)
        index_N = table["index"].to_numpy()
        order_N = np.lexsort((index_N, speaker_N, part_N))
        path = table["path"].combine_chunks().take(pa.array(order_N))
        facts = [index_N[order_N].tobytes(), part_N[order_N].tobytes(), speaker_N[order_N].tobytes()]
        facts += [repr(some).encode() for some in (sorted(names), path.drop_null().to_pylist())]
        return cls(
            index_N=index_N[order_N],
            path_N=path,
            part_N=part_N[order_N],
            speaker_N=speaker_N[order_N],
            place_N=np.argsort(index_N[order_N]),
            num_speakers=len(names),
            fingerprint=hashlib.sha256(b"\n".join(facts)).hexdigest(),
        )

    def others(self, index: int, rng: np.random.Generator) -> Iterator[tuple[str | None, int]]:
        """Yield (path, index) of drawn rows of other speakers, of the row's partition if it has any."""
        me = int(self.place_N[np.searchsorted(self.index_N, index, sorter=self.place_N)])
        first, last = np.searchsorted(self.part_N, self.part_N[me] + np.arange(2)).tolist()
        own = first + np.searchsorted(self.speaker_N[first:last], self.speaker_N[me] + np.arange(2))
        if last - first == own[1] - own[0]:
            first, last = 0, len(self.index_N)
        num_others = (last - first) - int(own[1] - own[0])
        for draw in rng.random(TRIES).tolist():
            place = first + int(draw * num_others)
            if place >= own[0]:
                place += int(own[1] - own[0])  # his own rows stand together and are stepped over
            yield self.path_N[place].as_py(), int(self.index_N[place])
