"""How trial pairs of dev and test are made where no list is given: `pairs`, or `pairs?balance=gender&most=5000`."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

from trainables.corpora.corpus import CorpusError, nearest

BALANCE, MOST = "balance", "most"
OPTIONS = (BALANCE, MOST)
BALANCES = ("gender",)
LEAST = 10  # pairs: fewer would leave a gender without one of a kind


@dataclass(frozen=True)
class PairOptions:
    """What pairs are balanced over ("gender"), and how many there are at most; None where the text does not say."""

    balance: str | None = None
    most: int | None = None


def read_pair_options(text: str) -> PairOptions:
    """Return the options of a text that asks for pairs; raises CorpusError with every mistake."""
    given = parse_qsl(text.partition("?")[2], keep_blank_values=True)
    names = [name for name, _ in given]
    problems = [
        f"{text}: no option '{name}'; options: {', '.join(OPTIONS)}{nearest(name, OPTIONS)}"
        for name in names
        if name not in OPTIONS
    ]
    for name, value in given:
        if name == BALANCE and value not in BALANCES:
            known = f"is one of {', '.join(BALANCES)}"
            problems.append(f"{text}: {BALANCE} {known}, but got '{value}'{nearest(value, BALANCES)}")
        if name == MOST and not (value.isdecimal() and value.isascii() and int(value) >= LEAST):
            problems.append(f"{text}: {MOST} is a whole number of at least {LEAST}, but got '{value}'")
    problems += [
        f"{text}: option '{name}' is there {names.count(name)} times" for name in OPTIONS if names.count(name) > 1
    ]
    if problems:
        raise CorpusError(*problems)
    values = dict(given)
    return PairOptions(balance=values.get(BALANCE), most=int(values[MOST]) if MOST in values else None)
