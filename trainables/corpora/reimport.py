"""Whether a folder's packed corpus, whole or half done, is what an import is asked to make: if not, what differs."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trainables.corpora.corpus import CorpusError
from trainables.corpora.forecast import FileState
from trainables.corpora.found import Faulty, Found
from trainables.corpora.pieces import labels_of, relative
from trainables.corpora.shards import FORMAT, PLAN, REJECTED, UTTERANCES, map_table, write_whole

LABELS = ("speaker", "recording", "gender", "age", "agesup", "agesub", "source", "split")
ELSEWHERE = "import into another folder, or delete this one first"


@dataclass(frozen=True)
class Plan:
    """What is asked for: the options by their names, and hashes of the listing and of the files' times.

    `borders` cut the utterances into pieces; empty until they are known.
    """

    options: Mapping[str, Any]
    listing: str
    times: str
    borders: tuple[int, ...] = ()
    format: int = FORMAT

    def write(self, out: Path) -> None:
        """Put the plan into the folder, where the same command finds it again."""
        data = json.dumps(asdict(self), indent=1).encode()
        write_whole(out / PLAN, lambda aside: aside.write_bytes(data))


def make_plan(
    found: Sequence[Found],
    faulty: Sequence[Faulty],
    states: Sequence[FileState],
    *,
    folder: Path,
    options: Mapping[str, Any],
    trial_lists: Mapping[str, Path],
) -> Plan:
    """Return the plan of an import; raises CorpusError if a list of trials cannot be read."""
    facts = [
        repr((*labels_of(one, folder).values(), state.num_bytes)) for one, state in zip(found, states, strict=True)
    ]
    facts += sorted(repr((relative(one.path, folder), one.reason)) for one in faulty)
    try:
        facts += [
            f"{name} {hashlib.sha256(trial_lists[name].read_bytes()).hexdigest()}" for name in sorted(trial_lists)
        ]
    except OSError as error:
        raise CorpusError(f"{error.filename}: cannot be read: {error.strerror}") from None
    return Plan(options=options, listing=_digest(facts), times=_digest(str(state.changed_ns) for state in states))


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode("utf-8", "backslashreplace")).hexdigest()


def read_plan(out: Path) -> Plan | None:
    """Return the plan of an unfinished import, None if there is none; raises CorpusError if it is no plan of ours."""
    try:
        written = json.loads((out / PLAN).read_bytes())
        return replace(Plan(**written), borders=tuple(written["borders"]))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise CorpusError(f"{out / PLAN}: not what an import writes ({error}); {ELSEWHERE}") from None


def other_options(there: Mapping[str, Any], asked: Mapping[str, Any], *, out: Path) -> list[str]:
    """Return a problem for each option that differs."""
    return [
        f"{out}: was imported with {name} = {_shown(there.get(name))}, but {_shown(asked.get(name))} is asked for; "
        f"{ELSEWHERE}"
        for name in dict.fromkeys([*there, *asked])
        if there.get(name) != asked.get(name)
    ]


def _shown(value: object) -> str:
    return "none" if value is None else f"'{value}'" if isinstance(value, str) else f"{value}"


def other_contents(found: Sequence[Found], *, folder: Path, out: Path) -> CorpusError:
    """Return in words how the listing differs from that of a finished import."""
    kept, rejected = map_table(out / UTTERANCES), map_table(out / REJECTED)
    packed = {row["utterance"]: row for row in kept.select(["utterance", *LABELS]).to_pylist()}
    known = {*packed, *rejected["utterance"].drop_null().to_pylist()}
    now = {one.utterance: one for one in found}
    problems = []
    for names, words in (([n for n in now if n not in known], "new"), ([n for n in known if n not in now], "gone")):
        if names:
            problems.append(f"{len(names)} of its utterances are {words}, the first '{min(names)}'")
    for label in LABELS:
        changed = [n for n in packed if n in now and packed[n][label] != labels_of(now[n], folder)[label]]
        if changed:
            first = changed[0]
            values = f"{_shown(packed[first][label])} then, {_shown(labels_of(now[first], folder)[label])} now"
            problems.append(f"the {label} of {len(changed)} utterances changed, the first '{first}': {values}")
    if not problems:
        problems.append("the size of a file, a rejected file or a list of trials changed")
    return CorpusError(*(f"{out}: was imported from other contents: {problem}; {ELSEWHERE}" for problem in problems))
