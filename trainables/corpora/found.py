"""What a reader finds in a folder before any audio is decoded: utterances with their labels, and what is left out."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Age:
    """An age: `years` if they are known, and the classes that they or a decade give.

    `agesup` is "20-30", "40-50" or "60", `agesub` "20s" to "60s"; None where the label is unknown.
    """

    years: float | None = None
    agesup: str | None = None
    agesub: str | None = None


UNKNOWN_AGE = Age()


@dataclass(frozen=True, slots=True)
class Found:
    """One utterance as the folder's names and labels have it.

    `utterance` is unique in its folder: the name the official lists use, else the relative path without its ending.
    `path` is absolute. `gender` is "F", "M" or None; `split` is the official partition: "train", "dev", "test" or None;
    `source` is the corpus, or the part of it, that the utterance comes from.
    """

    utterance: str
    path: str
    speaker: str
    recording: str | None = None
    gender: str | None = None
    age: Age = UNKNOWN_AGE
    source: str = ""
    split: str | None = None


@dataclass(frozen=True, slots=True)
class Faulty:
    """A file, or a line of a list, that gives no utterance: `path` is absolute, `reason` begins with what to count.

    Faults of one sort share the text before the first ":", so that they can be counted by it.
    """

    path: str
    reason: str

    @property
    def sort(self) -> str:
        """Return the reason without its particulars."""
        return self.reason.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Note:
    """Something odd that costs no utterance (its label is left empty, say); `path` is absolute, `text` as a reason."""

    path: str
    text: str

    @property
    def sort(self) -> str:
        """Return the text without its particulars."""
        return self.text.partition(":")[0]


Finding = Found | Faulty | Note


@dataclass
class Tally:
    """Counts findings as they pass, so that an import can tell afterwards what it left out and why."""

    num_found: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)  # the first path of each sort

    def watch(self, findings: Iterable[Finding]) -> Iterator[Found | Faulty]:
        """Yield the utterances and what is left out; notes are counted and go no further."""
        for finding in findings:
            if isinstance(finding, Found):
                self.num_found += 1
                yield finding
                continue
            self.first.setdefault(finding.sort, finding.path)
            if isinstance(finding, Faulty):
                self.left_out[finding.sort] += 1
                yield finding
            else:
                self.noted[finding.sort] += 1

    def lines(self) -> list[str]:
        """Return a line a sort, as "under 20: 12 left out, the first …", the frequent ones first."""
        counts = [(sort, f"{count} left out", count) for sort, count in self.left_out.items()]
        counts += [(sort, f"{count} noted", count) for sort, count in self.noted.items()]
        counts.sort(key=lambda line: (-line[2], line[0]))
        return [f"{sort}: {told}, the first {self.first[sort]}" for sort, told, _ in counts]


class Read(Protocol):
    """A kind's reader: the findings of a folder, in one order whatever the file system's; no audio is decoded.

    Raises CorpusError if the folder is not of that kind or an option is unknown, and never for one bad file.
    """

    def __call__(self, folder: Path, *, options: Mapping[str, str]) -> Iterator[Finding]:
        """Yield what the folder holds."""
        ...


def no_trial_lists(_folder: Path) -> Mapping[str, Path]:
    """Return nothing: a kind without official lists of trials."""
    return {}


@dataclass(frozen=True)
class Kind:
    """A sort of corpus that can be imported.

    `options` are the choices of each option; the first is what holds when it is not given.
    `notes` tell the user what the reader had to assume. `trial_lists` are the official lists found, by name.
    """

    name: str
    read: Read
    summary: str
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    trial_lists: Callable[[Path], Mapping[str, Path]] = no_trial_lists
