"""How trial pairs of dev and test are made where no list is given: `pairs`, or `pairs?balance=gender`."""

from urllib.parse import parse_qsl

from trainables.corpora.corpus import CorpusError, nearest

OPTION = "balance"
BALANCES = ("gender",)


def read_balance(text: str) -> str | None:
    """Return what the pairs are to be balanced over, None for nothing; raises CorpusError with every mistake."""
    given = parse_qsl(text.partition("?")[2], keep_blank_values=True)
    problems = [
        f"{text}: no option '{name}'; options: {OPTION}{nearest(name, [OPTION])}" for name, _ in given if name != OPTION
    ]
    values = [value for name, value in given if name == OPTION]
    problems += [
        f"{text}: {OPTION} is one of {', '.join(BALANCES)}, but got '{value}'{nearest(value, BALANCES)}"
        for value in values
        if value not in BALANCES
    ]
    if len(values) > 1:
        problems.append(f"{text}: option '{OPTION}' is there {len(values)} times")
    if problems:
        raise CorpusError(*problems)
    return values[0] if values else None
