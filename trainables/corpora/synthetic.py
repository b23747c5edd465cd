"""The synthetic voices as a source: `synthetic`, or with options `synthetic?speakers=200&seed=1`.

Nothing is synthesised when the corpus is opened: names, lengths and the fingerprint follow from the options alone, and
every utterance has its own counter-based generator, so that any subset has the samples it has in the whole.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from urllib.parse import parse_qsl

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainables.corpora.audio import resample, to_int16
from trainables.corpora.corpus import CorpusError, Heard, Int16s, Listing, Row, kept, listed_table, nearest
from trainables.corpora.speech import AS_IT_WAS, Change, speak
from trainables.corpora.voices import HIGHEST_AGE, LOWEST_AGE, SAMPLE_RATE, Voice, gender_of, voice_of
from trainables.corpora.where import Sieve, Where

NAME = "synthetic"
RECIPE = 1  # to be raised with every change of what is heard: it is part of the fingerprint
PARTITIONS = ("train", "dev", "test")
COLUMNS = ("speaker", "gender", "age", "recording")  # what filters may ask for
# A number holds partition, speaker and utterance, so that more speakers in one partition leave the others as they are.
MOST_SPEAKERS = 1_000_000
MOST_UTTERANCES = 1_000
VOICE_KEYS = 1 << 62  # voices draw from keys that no utterance has
MOST = {
    "speakers": MOST_SPEAKERS,
    "utterances": MOST_UTTERANCES,
    "seed": (1 << 31) - 1,
    "session": 10,
    "idio": 3,
    "sep": 5,
    "seconds": 60,
}
SPLITMIX_STEP = 0x9E3779B97F4A7C15
SPLITMIX_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
MASK = (1 << 64) - 1

Range = tuple[int, int]


@dataclass(frozen=True)
class Options:
    """What may follow `synthetic?`. A range is written `2..4`: each speaker gets a number in it."""

    speakers: int = 300
    dev_speakers: int = 40
    test_speakers: int = 40
    utterances: Range = (2, 4)
    dev_utterances: Range = (6, 6)
    test_utterances: Range = (6, 6)
    seed: int = 0
    session: float = 2.0  # scales what differs between a speaker's utterances
    idio: float = 0.7  # scales what differs between speakers
    sep: float = 1.0  # scales the effects of age
    seconds: tuple[float, float] = (2.0, 6.0)

    def partition(self, name: str) -> tuple[int, Range]:
        """Return the speakers and the utterances a speaker of train, dev or test."""
        return {
            "train": (self.speakers, self.utterances),
            "dev": (self.dev_speakers, self.dev_utterances),
            "test": (self.test_speakers, self.test_utterances),
        }[name]


@dataclass(frozen=True)
class SyntheticSource:
    """Voices by recipe; every speaker and utterance follows from the options."""

    text: str
    options: Options

    def listing(self, *, number: int, sample_rate: int, wheres: Sequence[Where] = ()) -> Listing:
        """Return the chosen rows, already checked: their audio cannot be broken."""
        sieve = Sieve(self.text, wheres=wheres, columns=COLUMNS)
        parts = []
        for partition in PARTITIONS:
            rows = self._rows(partition, number, sample_rate)
            parts.append(kept(rows, sieve.chooses(rows)))
        return Listing(table=pa.concat_tables(parts), notes=tuple(sieve.notes()))

    def _rows(self, partition: str, number: int, sample_rate: int) -> pa.Table:
        """Return all rows of train, dev or test."""
        options = self.options
        facts = (RECIPE, options.seed, options.session, options.idio, options.sep, options.seconds)
        content = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
        speakers, (fewest, most) = options.partition(partition)
        speaker_S = PARTITIONS.index(partition) * MOST_SPEAKERS + np.arange(speakers)
        count_S = fewest + (uniform(options.seed, 1, speaker_S) * (most - fewest + 1)).astype(np.int64)
        names = [f"{NAME}{options.seed}-{partition}-{place:04d}" for place in range(speakers)]
        ages = [round(age, 2) for age in self._ages(speaker_S).tolist()]
        which_N = np.repeat(np.arange(speakers), count_S)
        utterance_N = np.arange(len(which_N)) - np.repeat(np.cumsum(count_S) - count_S, count_S)
        index_N = speaker_S[which_N] * MOST_UTTERANCES + utterance_N
        speaker = pa.array(names, pa.string()).take(pa.array(which_N))
        endings = pa.array([f"{utterance:02d}" for utterance in range(most)], pa.string())
        utterance = pc.binary_join_element_wise(speaker, endings.take(pa.array(utterance_N)), "-")
        genders = pa.array([gender_of(speaker) for speaker in speaker_S.tolist()], pa.string())
        return listed_table(
            len(which_N),
            {
                "source": np.full(len(which_N), number, dtype=np.int8),
                "index": index_N,
                "utterance": utterance,
                "speaker": speaker,
                "gender": genders.take(pa.array(which_N)),
                "age": pa.array(ages, pa.float64()).take(pa.array(which_N)),
                "recording": utterance,  # each has a session of its own
                "split": pa.repeat(partition, len(which_N)),
                "num_samples": -(-self._lengths(index_N) * sample_rate // SAMPLE_RATE),  # as `num_samples_at` says
                "content": pa.repeat(content, len(which_N)),
            },
        )

    def examine(self, row: Row, *, sample_rate: int, min_s: float) -> Heard | str:
        """Return the row's facts, as listed."""
        return Heard(num_samples=row.num_samples or 0, content=row.content or "")

    def waveform(self, *, path: str | None, index: int, sample_rate: int) -> Int16s:
        """Synthesise an utterance, int16 (T,)."""
        return self.said(index, sample_rate=sample_rate)

    def said(self, index: int, *, sample_rate: int = SAMPLE_RATE, change: Change = AS_IT_WAS) -> Int16s:
        """Synthesise an utterance, int16 (T,), or what becomes of it with a change."""
        options = self.options
        samples = speak(
            self.voice(index),
            key=index,
            seed=options.seed,
            session=options.session,
            num_samples=int(self._lengths(np.asarray([index]))[0]),
            change=change,
        )
        if sample_rate == SAMPLE_RATE:
            return samples
        scaled = samples.astype(np.float32) / np.float32(32768.0)
        return to_int16(resample(scaled, from_rate=SAMPLE_RATE, to_rate=sample_rate))

    def voice(self, index: int, *, gender: str | None = None, age: float | None = None) -> Voice:
        """Return the voice of an utterance's speaker, or the one that he would have with another gender or age."""
        speaker = index // MOST_UTTERANCES
        return voice_of(
            key=VOICE_KEYS + speaker,
            seed=self.options.seed,
            gender=gender or gender_of(speaker),
            age=float(self._ages(np.asarray([speaker]))[0]) if age is None else age,
            idio=self.options.idio,
            sep=self.options.sep,
        )

    def _ages(self, speakers: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        return LOWEST_AGE + (HIGHEST_AGE - LOWEST_AGE) * uniform(self.options.seed, 2, speakers)

    def _lengths(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        shortest, longest = self.options.seconds
        seconds = shortest + (longest - shortest) * uniform(self.options.seed, 3, indices)
        return np.rint(seconds * SAMPLE_RATE).astype(np.int64)


def uniform(seed: int, stream: int, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return a number in [0, 1) for each number, hashed (splitmix64) from (seed, stream, number), all at once."""
    start = np.uint64(((seed << 3 | stream) * SPLITMIX_MIX[0]) & MASK)
    mixed = _splitmix(_splitmix(np.full(1, start)) + numbers.astype(np.uint64) * np.uint64(SPLITMIX_STEP))
    return (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def _splitmix(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    mixed = state + np.uint64(SPLITMIX_STEP)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(SPLITMIX_MIX[0])
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(SPLITMIX_MIX[1])
    return mixed ^ (mixed >> np.uint64(31))


def read_options(text: str) -> Options:
    """Return the options of a source's text; raises CorpusError with every mistake."""
    known = {field.name: field for field in fields(Options)}
    values: dict[str, int | float | tuple[float, float]] = {}
    problems: list[str] = []
    given = parse_qsl(text.partition("?")[2], keep_blank_values=True)
    for name, written in given:
        if name not in known:
            problems.append(f"no option '{name}'; options: {', '.join(known)}{nearest(name, known)}")
            continue
        try:
            values[name] = _read_option(known[name].default, written)
        except ValueError as error:
            problems.append(f"{name}: {error}, but got '{written}'")
    problems += [
        f"option '{name}' is there {count} times" for name, count in Counter(n for n, _ in given).items() if count > 1
    ]
    for name, value in values.items():
        most = MOST[name.rpartition("_")[2]]
        highest = value[1] if isinstance(value, tuple) else value
        if highest > most:
            problems.append(f"{name}: at most {most}, but got {highest:g}")
    if isinstance(seconds := values.get("seconds"), tuple) and seconds[0] < 0.5:
        problems.append(f"seconds: at least 0.5, but got {seconds[0]:g}")
    if problems:
        raise CorpusError(*(f"{text}: {problem}" for problem in problems))
    return Options(**values)  # type: ignore[arg-type]  # _read_option follows each default's type


def _read_option(default: object, written: str) -> int | float | tuple[float, float]:
    """Return an option's value in the form of its default; raises ValueError with the rule."""
    if isinstance(default, tuple):
        kind = type(default[0])
        low, dots, high = written.partition("..")
        rule = "a number or a range low..high"
        try:
            pair = (kind(low), kind(high) if dots else kind(low))
        except ValueError:
            raise ValueError(rule) from None
        if not 0 <= pair[0] <= pair[1] < float("inf"):
            raise ValueError(rule)
        return pair
    whole = isinstance(default, int)
    try:
        value = int(written) if whole else float(written)
    except ValueError:
        raise ValueError("a whole number" if whole else "a number") from None
    if not 0 <= value < float("inf"):
        raise ValueError("at least 0 and finite")
    return value
