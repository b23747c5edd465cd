"""Packing what a source makes rather than reads: the synthetic voices, under a condition or not.

Shapes: T samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trainables.corpora.ages import read_age
from trainables.corpora.audio import AudioFaultError
from trainables.corpora.corpus import CorpusError, Int16s, Source
from trainables.corpora.found import Found
from trainables.corpora.pieces import Remarks


@dataclass(frozen=True)
class HearSource:
    """Gives the samples of what `found_in` a source."""

    source: Source

    def __call__(self, found: Found, sample_rate: int) -> tuple[Int16s, Remarks]:
        """Return an utterance's samples (T,) at the rate; raises AudioFaultError."""
        try:
            return self.source.waveform(path=None, index=int(found.path), sample_rate=sample_rate), ()
        except CorpusError as error:
            raise AudioFaultError(str(error)) from None


def found_in(source: Source, *, sample_rate: int, is_split: bool) -> Iterator[Found]:
    """Yield the utterances of a source without files, their number in place of a path.

    `is_split` is whether its partitions are kept. Raises CorpusError.
    """
    table: Any = source.listing(number=0, sample_rate=sample_rate).table
    for batch in table.to_batches():
        for row in batch.to_pylist():
            yield Found(
                utterance=row["utterance"],
                path=str(row["index"]),
                speaker=row["speaker"],
                recording=row["recording"],
                gender=row["gender"],
                age=read_age(row["age"]).age,
                source="synthetic",
                split=row["split"] if is_split else None,
            )
