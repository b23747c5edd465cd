"""A list of trials as it is given: its pairs are scored in its order and number, doubles included.

A text has a trial a line, VoxCeleb's `1 left right` or `0 left right`, or Kaldi's `left right target` or
`left right nontarget`; a table (.csv, .parquet, .arrow) has the columns label, left and right. Utterances go by their
paths, as the manifest's column `path` has them, or by their names.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from trainables.corpora.cells import TABLES, CellTable, existing_file
from trainables.corpora.corpus import Corpus, CorpusError, nearest
from trainables.corpora.node_cache import is_uri, told
from trainables.corpora.packed import fetch_trials
from trainables.corpora.trial_pairs import TrialPairs

COLUMNS = ("label", "left", "right")
WORDS = {"target": True, "nontarget": False}
DIGITS = {"1": True, "0": False}
LABELS = WORDS | DIGITS | {"true": True, "false": False}
FORMS = "`1 left right`, `0 left right`, `left right target` or `left right nontarget`"
NAMED = 5  # lines named in a message

Trial = tuple[bool, str, str]  # the same speaker, left, right


@dataclass(frozen=True)
class TrialList:
    """A list on this machine; `text` is what the user wrote."""

    text: str
    file: str

    def without_test(self) -> str:
        """Say that there is no test set whose pairs the list could be."""
        return f"{self.text}: a list of trials needs a test set; give a test corpus (test = …)"

    def pairs(self, corpus: Corpus, *, elsewhere: Sequence[tuple[str, Corpus]] = ()) -> TrialPairs:
        """Return the list's trials as pairs of rows of the corpus, all of them, in the list's order.

        Raises CorpusError, with lines, if one cannot be read or names an utterance that the corpus does not have (or
        has twice, or that was rejected, or that is `elsewhere`, in a corpus of that name), or if all labels are alike.
        """
        row_of: dict[str, int] = {}
        doubled: set[str] = set()
        for name, row in _names(corpus):
            if row_of.setdefault(name, row) != row:
                doubled.add(name)
        left, right, label = array("i"), array("i"), array("b")
        unreadable, unknown = _Faults(), _Faults()
        num_trials = 0
        for place, trial in self._trials():
            num_trials += 1
            if isinstance(trial, str):
                unreadable.add(f"{place}: {trial}")
                continue
            is_target, *sides = trial
            missing = [name for name in sides if name not in row_of or name in doubled]
            if missing:
                unknown.add(f"{place} '{missing[0]}'", missing[0])
            else:
                label.append(is_target)
                left.append(row_of[sides[0]])
                right.append(row_of[sides[1]])
        problems = []
        if unreadable.count:
            problems.append(f"{unreadable.count} of {num_trials} trials cannot be read: {unreadable}")
        if unknown.count:
            reasons = {known: f"is in {name}" for name, other in elsewhere for known, _ in _names(other)}
            reasons |= dict.fromkeys(doubled, "is the name of two utterances")
            reasons |= {bad.path: f"was left out: {bad.reason}" for bad in corpus.rejected}
            problems.append(
                f"{unknown.count} of {num_trials} trials name an utterance that is not in the test set: "
                f"{unknown.with_reasons(reasons, list(row_of))}"
            )
        targets = sum(label)
        if not problems and not 0 < targets < len(label):
            problems.append(
                "there must be trials of the same speaker and trials of different speakers, "
                f"but it has {targets} of the same and {len(label) - targets} of different speakers"
            )
        if problems:
            raise CorpusError(*(f"{self.text}: {problem}" for problem in problems))
        return TrialPairs(
            left=np.asarray(left, dtype=np.int32),
            right=np.asarray(right, dtype=np.int32),
            label=np.asarray(label, dtype=np.bool_),
        )

    def read(self) -> tuple[list[bool], list[str], list[str]]:
        """Return the labels, left and right names of all trials; raises CorpusError if one cannot be read."""
        trials: list[Trial] = []
        unreadable = _Faults()
        for place, trial in self._trials():
            if isinstance(trial, str):
                unreadable.add(f"{place}: {trial}")
            else:
                trials.append(trial)
        if unreadable.count:
            raise CorpusError(f"{self.text}: {unreadable.count} trials cannot be read: {unreadable}")
        label, left, right = zip(*trials, strict=True) if trials else ((), (), ())
        return list(label), list(left), list(right)

    def _trials(self) -> Iterator[tuple[str, Trial | str]]:
        """Yield each trial's place in the list, and the trial or why it cannot be read."""
        return self._of_table() if self.file.lower().endswith(TABLES) else self._of_lines()

    def _of_lines(self) -> Iterator[tuple[str, Trial | str]]:
        try:
            with open(self.file, encoding="utf-8-sig") as file:
                for number, line in enumerate(file, start=1):
                    if fields := line.split():
                        yield f"line {number}", _of_fields(fields)
        except OSError as error:
            raise CorpusError(f"{self.text}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise CorpusError(f"{self.text}: a list of trials is UTF-8 text, but {error}") from None

    def _of_table(self) -> Iterator[tuple[str, Trial | str]]:
        table = CellTable(text=self.text, file=self.file, what="list of trials")
        table.columns(required=COLUMNS, once=COLUMNS)
        for number, record in table.records(COLUMNS):
            place = f"row {number}"
            if isinstance(record, str):
                yield place, record
            elif (is_target := LABELS.get(record["label"].casefold())) is None:
                yield place, f"label '{record['label']}' is none of {', '.join(LABELS)}"
            elif not record["left"] or not record["right"]:
                yield place, "a trial needs left and right"
            else:
                yield place, (is_target, record["left"], record["right"])


def find_trial_list(text: str) -> TrialList:
    """Return the list that a text names; raises CorpusError if there is no such file."""
    if is_uri(text):
        return TrialList(text=told(text), file=str(fetch_trials(text)))
    return TrialList(text=text, file=existing_file(text))


@dataclass
class _Faults:
    """Counts faults and keeps the first few, since a list may hold millions of trials."""

    count: int = 0
    first: list[tuple[str, str]] = field(default_factory=list)

    def add(self, words: str, name: str = "") -> None:
        self.count += 1
        if len(self.first) < NAMED:
            self.first.append((words, name))

    def with_reasons(self, reasons: Mapping[str, str], names: Sequence[str]) -> str:
        """Return the faults in words, each with its reason, the first one without a reason with the nearest name."""
        words, is_guessed = [], False
        for text, name in self.first:
            if reason := reasons.get(name):
                words.append(f"{text} {reason}")
            else:
                words.append(text if is_guessed else text + _nearest_name(name, names))
                is_guessed = True
        return "; ".join(words) + self._more()

    def __str__(self) -> str:
        return "; ".join(words for words, _ in self.first) + self._more()

    def _more(self) -> str:
        return f"; and {self.count - NAMED} more" if self.count > NAMED else ""


def _names(corpus: Corpus) -> Iterator[tuple[str, int]]:
    """Yield what an utterance may be called, its path or its name, and its row."""
    for column in ("path", "utterance"):
        for row, name in enumerate(corpus.table[column].to_pylist()):
            if name is not None:
                yield name, row


def _of_fields(fields: Sequence[str]) -> Trial | str:
    if len(fields) != 3:
        return f"a trial is {FORMS}, but it has {len(fields)} field{'s' if len(fields) > 1 else ''}"
    first, second, third = fields
    if (is_target := WORDS.get(third)) is not None:
        return is_target, first, second
    if (is_target := DIGITS.get(first)) is not None:
        return is_target, second, third
    return f"a trial is {FORMS}, but it is '{' '.join(fields)}'"


def _nearest_name(name: str, names: Sequence[str]) -> str:
    # Names in other folders first: most often the folder in front is what differs, and comparing all names takes long.
    last = name.rpartition("/")[2]
    near = nearest(name, [other for other in names if other.rpartition("/")[2] == last] or names)
    return f" ({near.removeprefix('; ')})" if near else ""
