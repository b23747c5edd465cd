"""How trial pairs of dev and test are made where no list is given: `pairs`, or `pairs?balance=gender&most=5000`."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

from search_spaces.corpus_checks import BALANCE, MOST, pair_option_problems
from trainables.corpora.corpus import CorpusError


@dataclass(frozen=True)
class PairOptions:
    """What pairs are balanced over ("gender"), and how many there are at most; None where the text does not say."""

    balance: str | None = None
    most: int | None = None


def read_pair_options(text: str) -> PairOptions:
    """Return the options of a text that asks for pairs; raises CorpusError with every mistake."""
    if problems := pair_option_problems(text):
        raise CorpusError(*(f"{text}: {problem}" for problem in problems))
    values = dict(parse_qsl(text.partition("?")[2], keep_blank_values=True))
    return PairOptions(balance=values.get(BALANCE), most=int(values[MOST]) if MOST in values else None)
