"""Which rows of a source a role takes: `where` holds conditions on the source's columns, all of which must be met.

A condition is a value (the cell equals it), a list (the cell is one of them) or { min, max } (the cell is a number
between them, both ends included). Numbers are compared as numbers, texts without regard to case; genders and splits by
what they mean, however they are spelt.
"""

import datetime
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from trainables.corpora.cells import GENDERS, SPLITS, as_text, number_of
from trainables.corpora.corpus import CorpusError, nearest

SPELLINGS: Mapping[str, Mapping[str, str]] = {"gender": GENDERS, "split": SPLITS}
ENDS = ("min", "max")
RULE = "a condition is a value, a list of values, or { min, max }"
MOST_SHOWN = 5  # values of a list in a note

Where = Mapping[str, Any]
Test = Callable[[str], bool]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Filter:
    """One `where`: the test that each column's cell must pass."""

    written: str
    tests: Mapping[str, Test]

    def chooses(self, table: pa.Table) -> Bools:
        """Return which rows are chosen (N,); each different value of a column is tested once."""
        is_chosen_N = np.ones(len(table), dtype=np.bool_)
        for column, test in self.tests.items():
            cells = as_text(table[column]).dictionary_encode()
            passes = np.array([test(text) for text in cells.dictionary.to_pylist()], dtype=np.bool_)
            is_chosen_N &= passes[cells.indices.to_numpy()]
        return is_chosen_N


class Sieve:
    """The filters of one source: a row that any of them chooses is taken, each row once. Without filters, all are."""

    def __init__(self, text: str, *, wheres: Sequence[Where], columns: Sequence[str]) -> None:
        """Raise CorpusError with every mistake of the filters of the source that the user wrote as `text`."""
        problems = [f"{text}: {problem}" for where in wheres for problem in _problems(where, columns)]
        if problems:
            raise CorpusError(*dict.fromkeys(problems))
        self._text = text
        self._filters = [
            Filter(_written(where), {name: _test(name, where[name]) for name in where}) for where in wheres
        ]
        self._num_chosen = [0] * len(self._filters)
        self.num_seen = 0

    def chooses(self, table: pa.Table) -> Bools:
        """Return which rows are chosen (N,), of some rows with all columns; every row is to be asked for once.

        Columns that hold no text are compared as they are written.
        """
        self.num_seen += len(table)
        chosen = [each.chooses(table) for each in self._filters]
        self._num_chosen = [count + int(some.sum()) for count, some in zip(self._num_chosen, chosen, strict=True)]
        is_chosen_N: Bools = np.logical_or.reduce(chosen) if chosen else np.ones(len(table), dtype=np.bool_)
        return is_chosen_N

    def notes(self) -> list[str]:
        """Return how many rows each filter chose; raises CorpusError if one chose none."""
        told = [(each, count) for each, count in zip(self._filters, self._num_chosen, strict=True) if each.tests]
        if problems := [
            f"{self._text}: where {each.written} leaves none of its {self.num_seen} rows"
            for each, count in told
            if not count
        ]:
            raise CorpusError(*problems)
        return [f"{self._text}: where {each.written} chooses {count} of {self.num_seen} rows" for each, count in told]


def _problems(where: Where, columns: Sequence[str]) -> Iterable[str]:
    shown = ", ".join(f"'{column}'" for column in columns)
    for column, condition in where.items():
        if column not in columns:
            yield f"where: no column '{column}'; columns: {shown}{nearest(column, columns)}"
        elif isinstance(condition, Mapping):
            yield from (f"where.{column}: {problem}" for problem in _range_problems(condition))
        elif isinstance(condition, list | tuple):
            if not condition:
                yield f"where.{column}: a list needs at least one value"
            yield from (f"where.{column}: {RULE}, but got {v!r} in a list" for v in condition if not _is_value(v))
        elif not _is_value(condition):
            yield f"where.{column}: {RULE}, but got {condition!r}"


def _range_problems(ends: Mapping[str, Any]) -> list[str]:
    problems = [f"no '{name}' in a range, it has min and max{nearest(name, ENDS)}" for name in ends if name not in ENDS]
    problems += [
        f"{name}: a number, but got {ends[name]!r}" for name in ENDS if name in ends and not _is_number(ends[name])
    ]
    if not ends:
        problems.append("a range needs min, max, or both")
    elif not problems and ends.get("min", -math.inf) > ends.get("max", math.inf):
        problems.append(f"`min <= max` must hold, but got min={ends['min']}, max={ends['max']}")
    return problems


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_value(value: object) -> bool:
    return _is_number(value) or isinstance(value, str | bool | datetime.date | datetime.time)


def _test(column: str, condition: Any) -> Test:
    """Return the test of a column's cell; the condition is a sound one."""
    if isinstance(condition, Mapping):
        low, high = condition.get("min", -math.inf), condition.get("max", math.inf)
        return lambda cell: (number := number_of(cell)) is not None and low <= number <= high
    values = condition if isinstance(condition, list | tuple) else [condition]
    numbers = {value for value in values if _is_number(value)}
    texts = {_folded(column, str(value)) for value in values if not _is_number(value)}
    # A set each, and not a test a value: a list may name thousands of speakers.
    return lambda cell: _folded(column, cell) in texts or (bool(numbers) and number_of(cell) in numbers)


def _folded(column: str, text: str) -> str:
    folded = text.strip().casefold()
    return SPELLINGS.get(column, {}).get(folded, folded)


def _written(condition: Any) -> str:
    """Return a condition as a study file writes it, a long list shortened."""
    if isinstance(condition, Mapping):
        return "{ " + ", ".join(f"{name} = {_written(value)}" for name, value in condition.items()) + " }"
    if isinstance(condition, list | tuple):
        shown = [_written(value) for value in condition[:MOST_SHOWN]]
        more = [f"… {len(condition) - MOST_SHOWN} more"] if len(condition) > MOST_SHOWN else []
        return "[" + ", ".join([*shown, *more]) + "]"
    return (
        str(condition)
        if isinstance(condition, datetime.date | datetime.time)
        else json.dumps(condition, ensure_ascii=False)
    )
