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
NUM_HASHED = 3  # partitions by the hash of a speaker's name, before the official dev and test

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
    """A source under a condition. What befalls an utterance follows from its name.

    A second voice is another of the utterances that were listed last (of all, where none were): of another speaker of
    the same partition, so that no voice of the test set is heard in training, however roles share a source. A filter
    thus changes second voices, and nothing else. An utterance of the only speaker of a partition has none.
    """

    text: str
    inner: Source
    condition: Condition

    def listing(self, *, number: int, sample_rate: int, wheres: Sequence[Where] = ()) -> Listing:
        """Return the inner source's rows, their labels wrong at the condition's rate; filters see the right ones.

        Raises CorpusError as the inner source does, and if there is nobody to be a second voice.
        """
        listing = self.inner.listing(number=number, sample_rate=sample_rate, wheres=wheres)
        if self.condition.is_heard:
            self._crowds[sample_rate] = _Crowd.of(listing.table)
        if self.condition.second > 0 and len(listing.table) and self._crowd(sample_rate).most_speakers < 2:
            raise CorpusError(
                f"{self.text}: a second voice needs 2 speakers of one partition, but there is one; write second=0"
            )
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
        """Return a row's samples as they are heard, int16 (T,); raises CorpusError, also if it was not listed last."""
        samples_T = self.inner.waveform(path=path, index=index, sample_rate=sample_rate)
        if not self.condition.is_heard:
            return samples_T
        crowd = self._crowd(sample_rate)
        me = crowd.place_of(index)
        if me is None:
            raise CorpusError(f"{self.text}: the row of index {index} is not among those that were listed last")
        here = circumstances_of(self.condition, key=crowd.utterance_N[me].as_py())
        second_T = None
        if here.second_db is not None:
            second_T = self._second(me, rng=generator(here.words, SECOND), sample_rate=sample_rate)
        return transmit(samples_T, here, sample_rate=sample_rate, second_T=second_T)

    def _second(self, me: int, *, rng: np.random.Generator, sample_rate: int) -> Int16s | None:
        """Return the second voice of a row, None if nobody may be it; raises CorpusError if none can be read."""
        fault: CorpusError | None = None
        for path, other in self._crowd(sample_rate).others(me, rng):
            try:
                return self.inner.waveform(path=path, index=other, sample_rate=sample_rate)
            except CorpusError as error:
                fault = error  # a file that opening the corpus rejected and told of
        if fault is not None:
            raise fault
        return None

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
        """What was listed last, by rate: kept, and sent to the workers with the source."""
        return {}


@dataclass(frozen=True)
class _Crowd:
    """The rows of a source ordered by (partition, speaker, name): whose voice may be heard over whose."""

    index_N: Ints
    path_N: pa.Array
    utterance_N: pa.Array
    part_N: Ints
    speaker_N: Ints
    place_N: Ints  # where the rows, in the order of their indices, stand here
    most_speakers: int  # of one official partition
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
        part_N = np.where(official_N < 0, hashed_S[code_N], NUM_HASHED + official_N)
        index_N = table["index"].to_numpy()
        # By name: a manifest and its packed copy number their rows differently.
        rank_N = np.argsort(pc.sort_indices(table["utterance"]).to_numpy())
        order_N = np.lexsort((rank_N, speaker_N, part_N))
        path, utterance = (table[name].combine_chunks().take(pa.array(order_N)) for name in ("path", "utterance"))
        facts = [part_N[order_N].tobytes(), speaker_N[order_N].tobytes()]
        facts += [repr(some).encode() for some in (sorted(names), utterance.to_pylist())]
        return cls(
            index_N=index_N[order_N],
            path_N=path,
            utterance_N=utterance,
            part_N=part_N[order_N],
            speaker_N=speaker_N[order_N],
            place_N=np.argsort(index_N[order_N]),
            most_speakers=max((len(np.unique(code_N[official_N == part])) for part in (-1, 0, 1)), default=0),
            fingerprint=hashlib.sha256(b"\n".join(facts)).hexdigest(),
        )

    def place_of(self, index: int) -> int | None:
        """Return where the row of an index stands here, None if it was not listed."""
        place = int(np.searchsorted(self.index_N, index, sorter=self.place_N))
        if place == len(self.place_N) or self.index_N[self.place_N[place]] != index:
            return None
        return int(self.place_N[place])

    def others(self, me: int, rng: np.random.Generator) -> Iterator[tuple[str | None, int]]:
        """Yield (path, index) of drawn rows of other speakers than the row's at place `me`.

        They are of its partition, or, where its hashed one has no other speaker, of all rows that are split by the
        hash; none if there is nobody.
        """
        first, last = np.searchsorted(self.part_N, self.part_N[me] + np.arange(2)).tolist()
        own = first + np.searchsorted(self.speaker_N[first:last], self.speaker_N[me] + np.arange(2))
        if last - first == own[1] - own[0] and self.part_N[me] < NUM_HASHED:
            first, last = 0, int(np.searchsorted(self.part_N, NUM_HASHED))
        num_others = (last - first) - int(own[1] - own[0])
        for draw in rng.random(TRIES if num_others else 0).tolist():
            place = first + int(draw * num_others)
            if place >= own[0]:
                place += int(own[1] - own[0])  # his own rows stand together and are stepped over
            yield self.path_N[place].as_py(), int(self.index_N[place])
