"""The same speaker says the same words again, and one thing is another: the channel, the noise, the age, the gender.

Everything that an intervention does not act on comes from the draws of the original, so that two recordings differ by
its effect alone. What acts on what:

- channel: the colour of another utterance's session (the F0 and the room's noise of that session stay behind);
- noise: the level of the room's noise;
- age: every effect of age on the voice. A slower voice needs longer for the same words, and a faster one less;
- gender: F0, vowels, length of the tract, source. The speaker's own deviations from the mean are kept.

Every recording has the level of all synthetic utterances (rms 0.06): more noise leaves less for the voice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from trainables.corpora.corpus import CorpusError, Int16s
from trainables.corpora.speech import Change, Session, session_of
from trainables.corpora.synthetic import SyntheticSource
from trainables.corpora.voices import F0_HZ, HIGHEST_AGE, LOWEST_AGE, SAMPLE_RATE

LOWEST_NOISE_DB, HIGHEST_NOISE_DB = -90.0, 20.0
TABLE_DECIMALS = 2  # of the ages that the source lists


@dataclass(frozen=True)
class Pair:
    """An utterance as the corpus has it, and as the intervention makes it: int16 (T,), not always of one length."""

    index: int
    original: Int16s
    changed: Int16s


def intervene(
    source: SyntheticSource,
    index: int,
    *,
    channel: int | None = None,
    noise: float | None = None,
    age: float | None = None,
    gender: str | None = None,
    sample_rate: int = SAMPLE_RATE,
) -> Int16s:
    """Return the utterance `index` (as in the corpus's table) said again, int16 (T,).

    `channel` is the index of the utterance whose channel is taken; `noise` the level of the room's noise beside the
    glottal source in dB (about -35 in the corpus); `age` in years, 20 to 70; `gender` "F" or "M". None leaves a thing
    as it was, and so does its own value: `index` itself, `session(source, index).room_db`, the table's age and gender.

    Raises CorpusError with every value out of its range.
    """
    _require(channel=channel, noise=noise, age=age, gender=gender)
    own = source.voice(index)
    if age is not None and age == round(own.age, TABLE_DECIMALS):
        age = None
    voice = None if age is None and gender in (None, own.gender) else source.voice(index, gender=gender, age=age)
    change = Change(
        voice=voice,
        room_db=noise,
        channel_db=None if channel is None else session(source, channel).channel_db,
    )
    return source.said(index, sample_rate=sample_rate, change=change)


def intervene_all(
    source: SyntheticSource,
    indices: Sequence[int],
    *,
    channel: int | None = None,
    noise: float | None = None,
    age: float | None = None,
    gender: str | None = None,
    sample_rate: int = SAMPLE_RATE,
) -> list[Pair]:
    """Return every utterance as it is and as `intervene` makes it, in the order of the indices."""
    return [
        Pair(
            index=index,
            original=source.said(index, sample_rate=sample_rate),
            changed=intervene(
                source, index, channel=channel, noise=noise, age=age, gender=gender, sample_rate=sample_rate
            ),
        )
        for index in indices
    ]


def session(source: SyntheticSource, index: int) -> Session:
    """Return the session of an utterance: F0 shift, room noise, channel."""
    return session_of(key=index, seed=source.options.seed, session=source.options.session)


def _require(*, channel: int | None, noise: float | None, age: float | None, gender: str | None) -> None:
    problems = []
    if channel is not None and channel < 0:
        problems.append(f"channel: the index of an utterance, but got {channel}")
    if noise is not None and not LOWEST_NOISE_DB <= noise <= HIGHEST_NOISE_DB:
        problems.append(f"noise: {LOWEST_NOISE_DB:g} to {HIGHEST_NOISE_DB:g} dB, but got {noise:g}")
    if age is not None and not LOWEST_AGE <= age <= HIGHEST_AGE:
        problems.append(f"age: {LOWEST_AGE:g} to {HIGHEST_AGE:g} years, but got {age:g}")
    if gender is not None and gender not in F0_HZ:
        problems.append(f"gender: {' or '.join(sorted(F0_HZ))}, but got '{gender}'")
    if problems:
        raise CorpusError(*problems)
