"""What a corpus holds: counts and tables of all of it, levels and F0 of a sample that is heard.

Shapes: N rows (utterances), S speakers, L labels.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainables.corpora.ages import read_age
from trainables.corpora.corpus import Corpus, build_corpus, kept
from trainables.corpora.examination import Progress, examine
from trainables.corpora.hearing import GENDERS, UNKNOWN, Sound, Spread, listen, spread_of
from trainables.corpora.sources import parse_source

SAMPLE = 1000  # utterances that are heard
MOST_OF_A_SPEAKER = 5
PARTITIONS = ("train", "dev", "test")

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """How much a group of utterances is."""

    name: str
    speakers: int
    utterances: int
    hours: float


@dataclass(frozen=True)
class Description:
    """A corpus in figures. A speaker with several labels is counted under the most frequent one."""

    sample_rate: int
    total: Part
    partitions: tuple[Part, ...]
    genders: tuple[Part, ...]
    ages: tuple[tuple[str, tuple[int, ...]], ...]  # decade: speakers of each of GENDERS
    years: Spread | None  # of the speakers whose age is known in years
    utterances_a_speaker: Spread | None
    durations_s: Spread | None
    recordings: int  # 0: not told
    torn: tuple[str, ...]  # speakers with more than one gender
    sound: Sound
    rejected: int = 0
    notes: tuple[str, ...] = field(default=())


def open_whole(text: str, *, sample_rate: int, min_s: float = 0.0, progress: Progress | None = None) -> Corpus:
    """Open a source as one corpus, all its partitions together; raises CorpusError."""
    source = parse_source(text)
    listing = source.listing(number=0, sample_rate=sample_rate)
    heard, is_sound_N, silent, remarks = examine(
        listing.table, sources=(source,), sample_rate=sample_rate, min_s=min_s, progress=progress
    )
    return build_corpus(
        kept(heard, is_sound_N),
        sources=(source,),
        sample_rate=sample_rate,
        rejected=(*listing.rejected, *silent),
        notes=(*listing.notes, *remarks),
        fingerprints={} if listing.fingerprint is None else {0: listing.fingerprint},
    )


def describe(corpus: Corpus, *, sample: int = SAMPLE, seed: int = 0, progress: Progress | None = None) -> Description:
    """Describe a corpus: a role of a study, or a whole source. About `sample` utterances are heard, of all speakers
    alike; a corpus of more speakers is sampled by speaker.
    """
    table = corpus.table
    speaker_N, names = _codes(table["speaker"])
    gender_N, genders = _codes(table["gender"])
    decade_N, decades = _codes(_decades(table))
    split_N, splits = _codes(table["split"])
    hours_N = table["num_samples"].to_numpy() / corpus.sample_rate / 3600
    gender_S = _label_of_speakers(speaker_N, gender_N, genders)
    ages = Counter(zip(decades[_label_of_speakers(speaker_N, decade_N, decades)], genders[gender_S], strict=True))
    count_S = np.bincount(speaker_N)
    return Description(
        sample_rate=corpus.sample_rate,
        total=_parts(speaker_N, np.zeros_like(speaker_N), hours_N, names=["all"], order=["all"])[0],
        partitions=(
            _parts(speaker_N, split_N, hours_N, names=splits.tolist(), order=PARTITIONS)
            if set(splits) - {UNKNOWN}
            else ()
        ),
        genders=_parts(speaker_N, gender_S[speaker_N], hours_N, names=genders.tolist(), order=GENDERS),
        ages=tuple(
            (decade, tuple(ages[decade, gender] for gender in GENDERS))
            for decade in sorted({decade for decade, _ in ages}, key=lambda name: (name == UNKNOWN, name))
        ),
        years=spread_of(_years(table["age"], speaker_N)),
        utterances_a_speaker=spread_of(count_S),
        durations_s=spread_of(hours_N * 3600),
        recordings=_num_recordings(table["recording"], speaker_N),
        torn=tuple(sorted(names[_are_torn(speaker_N, gender_N, genders)].tolist())),
        sound=listen(
            corpus.select(choose_rows(speaker_N, sample=sample, seed=seed)),
            dict(zip(names.tolist(), genders[gender_S].tolist(), strict=True)),
            progress,
        ),
        rejected=len(corpus.rejected),
        notes=corpus.notes,
    )


def _codes(column: pa.ChunkedArray) -> tuple[Int64s, npt.NDArray[Any]]:
    """Return a number for each row (N,), and the text of each number; what is null is UNKNOWN."""
    encoded = column.cast(pa.string()).fill_null(UNKNOWN).combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), np.asarray(encoded.dictionary.to_pylist(), dtype=object)


def _decades(table: pa.Table) -> pa.ChunkedArray:
    """Return the decade of each row: its label, else that of its years."""
    years = pc.floor(table["age"]).combine_chunks().dictionary_encode()
    labels = pa.array([read_age(year).age.agesub for year in years.dictionary.to_pylist()], pa.string())
    return pc.coalesce(table["agesub"], labels.take(years.indices))


def _label_of_speakers(speaker_N: Int64s, label_N: Int64s, labels: npt.NDArray[Any]) -> Int64s:
    """Return the most frequent label of each speaker (S,), an unknown one only where there is no other."""
    counts_SL = _counts(speaker_N, label_N, len(labels)) * 2
    counts_SL[:, labels == UNKNOWN] = np.minimum(counts_SL[:, labels == UNKNOWN], 1)
    return counts_SL.argmax(axis=1) if len(labels) else np.zeros(0, dtype=np.int64)


def _are_torn(speaker_N: Int64s, gender_N: Int64s, genders: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which speakers (S,) have more than one known gender."""
    known_SL = _counts(speaker_N, gender_N, len(genders))[:, genders != UNKNOWN] > 0
    are_torn: npt.NDArray[np.bool_] = known_SL.sum(axis=1) > 1
    return are_torn


def _counts(speaker_N: Int64s, label_N: Int64s, num_labels: int) -> Int64s:
    num_speakers = int(speaker_N.max(initial=-1)) + 1
    counts = np.bincount(speaker_N * num_labels + label_N, minlength=num_speakers * num_labels)
    return counts.reshape(num_speakers, num_labels)


def _years(ages: pa.ChunkedArray, speaker_N: Int64s) -> npt.NDArray[np.float64]:
    """Return the first known age of each speaker who has one."""
    known_N = np.flatnonzero(ages.is_valid().to_numpy())
    first = np.unique(speaker_N[known_N], return_index=True)[1]
    years: npt.NDArray[np.float64] = ages.take(pa.array(known_N[first])).to_numpy()
    return years


def _num_recordings(recordings: pa.ChunkedArray, speaker_N: Int64s) -> int:
    is_told_N = recordings.is_valid().to_numpy()
    recording_N, names = _codes(recordings)
    return len(np.unique((speaker_N * len(names) + recording_N)[is_told_N]))


def _parts(
    speaker_N: Int64s,
    group_N: Int64s,
    hours_N: npt.NDArray[np.float64],
    *,
    names: Sequence[str],
    order: Sequence[str],
) -> tuple[Part, ...]:
    """Return the parts that there are, in this order, others after them."""
    utterances = np.bincount(group_N, minlength=len(names))
    hours = np.bincount(group_N, weights=hours_N, minlength=len(names))
    speakers = np.bincount(np.unique(speaker_N * len(names) + group_N) % max(len(names), 1), minlength=len(names))
    parts = {
        name: Part(name=name, speakers=int(speakers[k]), utterances=int(utterances[k]), hours=float(hours[k]))
        for k, name in enumerate(names)
    }
    return tuple(parts[name] for name in [*order, *sorted(set(parts) - set(order))] if name in parts)


def choose_rows(speaker_N: Int64s, *, sample: int, seed: int) -> Int64s:
    """Return which rows are heard: as many of each speaker, about `sample` in all; of some speakers if they are more.

    At most MOST_OF_A_SPEAKER of one speaker. Speakers are numbered from 0.
    """
    rng = np.random.default_rng(seed)
    row_N = np.argsort(speaker_N, kind="stable")
    ends_S = np.cumsum(np.bincount(speaker_N))
    chosen = np.sort(rng.permutation(len(ends_S))[:sample])
    most = max(1, min(MOST_OF_A_SPEAKER, sample // max(len(chosen), 1)))
    rows = [rng.permutation(row_N[ends_S[k - 1] if k else 0 : ends_S[k]])[:most] for k in chosen]
    return np.sort(np.concatenate([np.zeros(0, dtype=np.int64), *rows]))
