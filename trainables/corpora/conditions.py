"""What may befall a corpus on its way to us, and what of it befalls an utterance: the telephone, a room, noise,
a second voice, wrong labels. The defaults of `telephone` are a guess at the call-centre speech of paper A's student.

What befalls an utterance is drawn from (seed, the utterance's key) alone, by a counter-based generator, so that any
subset alone has the samples it has in the whole.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, fields, replace
from urllib.parse import parse_qsl

import numpy as np

from trainables.corpora.corpus import CorpusError, nearest
from trainables.corpora.rooms import DIRECT_DB, T60_S, Range, Room

OFF = "off"
CIRCUMSTANCES, ROOM, NOISE, SECOND, LABELS = range(5)  # streams of a key


@dataclass(frozen=True)
class Condition:
    """What may befall a corpus: shares of utterances (of speakers, for `wrong`) and ranges in dB and seconds."""

    name: str
    room: float = 0.0
    t60: Range = T60_S
    direct: Range = DIRECT_DB  # dB, direct sound over the room's
    noise: Range | None = None  # dB, what is said over pink noise, both in the band
    second: float = 0.0
    second_db: Range = (3.0, 12.0)  # dB, what is said over the second voice
    wrong: float = 0.0
    seed: int = 0

    @property
    def text(self) -> str:
        """Return the condition as it may be written, every option said."""
        return f"{self.name}?" + "&".join(
            f"{field.name}={_written(getattr(self, field.name))}" for field in fields(self) if field.name != "name"
        )

    @property
    def is_heard(self) -> bool:
        """Whether samples change, and not labels alone."""
        return self.name == "telephone" or self.room > 0 or self.noise is not None or self.second > 0


CLEAN = Condition(name="clean")
TELEPHONE = Condition(name="telephone", room=0.5, noise=(5.0, 20.0), second=0.15)
CONDITIONS = {condition.name: condition for condition in (CLEAN, TELEPHONE)}
SHARES = ("room", "second", "wrong")
LIMITS = {"t60": (0.05, 5.0), "direct": (-20.0, 60.0), "noise": (-20.0, 80.0), "second_db": (-20.0, 80.0)}
MOST_SEED = (1 << 31) - 1


@dataclass(frozen=True)
class Circumstances:
    """What befalls one utterance. Levels are in dB below what is said; None where there is none.

    `start` is the fraction of the second voice at which it sets in; `words` seed the room's echo and the noise.
    """

    telephone: bool
    room: Room | None
    noise_db: float | None
    second_db: float | None
    start: float
    words: tuple[int, int]


def parse_condition(text: str) -> Condition:
    """Return the condition of a text such as `telephone?room=0.5&noise=5..20&second=0.15&wrong=0.02`.

    Options may be parted by commas too, for use inside another source's options. Raises CorpusError with every mistake.
    """
    name, _, query = text.partition("?")
    if name not in CONDITIONS:
        raise CorpusError(
            f"{text}: no condition '{name}'; conditions: {', '.join(CONDITIONS)}{nearest(name, CONDITIONS)}"
        )
    given = parse_qsl(query.replace(",", "&"), keep_blank_values=True)
    known = [field.name for field in fields(Condition) if field.name != "name"]
    values: dict[str, float | int | Range | None] = {}
    problems = [
        f"option '{option}' is there {count} times"
        for option, count in Counter(n for n, _ in given).items()
        if count > 1
    ]
    for option, written in given:
        if option not in known:
            problems.append(f"no option '{option}'; options: {', '.join(known)}{nearest(option, known)}")
            continue
        try:
            values[option] = _read_option(option, written)
        except ValueError as error:
            problems.append(f"{option}: {error}, but got '{written}'")
    if problems:
        raise CorpusError(*(f"{text}: {problem}" for problem in problems))
    return replace(CONDITIONS[name], **values)  # type: ignore[arg-type]  # _read_option follows each field's type


def circumstances_of(condition: Condition, *, key: str) -> Circumstances:
    """Return what befalls the utterance of a key.

    Everything is drawn whether it is needed or not: an utterance that has a room at a share of 0.3 has the same at 0.5,
    and no option moves what the others draw.
    """
    words = words_of(condition.seed, key)
    in_room, t60, direct, noise, is_second, second, start = generator(words, CIRCUMSTANCES).random(7).tolist()
    room = Room(t60_s=_between(condition.t60, t60), direct_db=_between(condition.direct, direct))
    return Circumstances(
        telephone=condition.name == "telephone",
        room=room if in_room < condition.room else None,
        noise_db=_between(condition.noise, noise) if condition.noise is not None else None,
        second_db=_between(condition.second_db, second) if is_second < condition.second else None,
        start=start,
        words=words,
    )


def generator(words: tuple[int, int], stream: int) -> np.random.Generator:
    """Return the generator of one of a key's streams; streams are far apart in the counter."""
    return np.random.Generator(np.random.Philox(key=list(words), counter=[0, 0, 0, stream]))


def words_of(seed: int, key: str) -> tuple[int, int]:
    """Return the two words of a key for counter-based generators."""
    return seed, int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")


def _between(ends: Range, share: float) -> float:
    return ends[0] + share * (ends[1] - ends[0])


def _written(value: object) -> str:
    if value is None:
        return OFF
    return "..".join(f"{end:g}" for end in value) if isinstance(value, tuple) else f"{value:g}"


def _read_option(option: str, written: str) -> float | int | Range | None:
    """Return an option's value; raises ValueError with the rule."""
    if option == "seed":
        if not written.isdecimal() or int(written) > MOST_SEED:
            raise ValueError(f"a whole number from 0 to {MOST_SEED}")
        return int(written)
    if option in SHARES:
        return _number(written, 0.0, 1.0, rule="a share from 0 to 1")
    if option == "noise" and written == OFF:
        return None
    lowest, highest = LIMITS[option]
    rule = f"a number or a range low..high from {lowest:g} to {highest:g}" + (
        f", or {OFF}" if option == "noise" else ""
    )
    low, dots, high = written.partition("..")
    ends = (_number(low, lowest, highest, rule=rule), _number(high if dots else low, lowest, highest, rule=rule))
    if ends[0] > ends[1]:
        raise ValueError(rule)
    return ends


def _number(written: str, lowest: float, highest: float, *, rule: str) -> float:
    try:
        value = float(written)
    except ValueError:
        raise ValueError(rule) from None
    if not lowest <= value <= highest:
        raise ValueError(rule)
    return value
