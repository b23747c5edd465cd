"""Packing a corpus: its utterances decoded once, into Arrow files that every trial on a machine then maps.

The sorted listing is cut into pieces, a shard each, that processes pack in any order. What is done stays: after a kill
the same command packs the other pieces, and a finished corpus is left alone. The result, to the last bit, depends
neither on the number of processes nor on interruptions.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from trainables.corpora.ages import UNDER_20
from trainables.corpora.audio import needs_ffmpeg
from trainables.corpora.corpus import CorpusError
from trainables.corpora.crew import Crew
from trainables.corpora.finishing import finish
from trainables.corpora.forecast import FileState, cut, file_states, forecast, size_of
from trainables.corpora.found import Faulty, Finding, Found, Note
from trainables.corpora.pieces import PIECES, Hear, Packed, Recipe, files_of, hear_found, is_done, numbered, relative
from trainables.corpora.reimport import (
    ELSEWHERE,
    Plan,
    make_plan,
    other_contents,
    other_options,
    read_plan,
)
from trainables.corpora.shards import (
    FACTS,
    LOCK,
    PLAN,
    UTTERANCES,
    PackedFacts,
    damages,
    hold,
    map_table,
    read_facts,
    write_whole,
)
from trainables.corpora.trial_lists import find_trial_list

AT_ONCE = 64  # utterances compared together
SPARE_BYTES = 64 << 20  # a disk is not filled to the last byte

Progress = Callable[[int, int, float], None]  # utterances looked at, in all, seconds of audio kept
Tell = Callable[[str], None]


def _quiet(*_: object) -> None:
    return None


@dataclass(frozen=True)
class _Import:
    """What is to be packed, and how."""

    out: Path
    folder: Path
    recipe: Recipe
    hear: Hear
    workers: int
    progress: Progress
    tell: Tell
    trial_lists: Mapping[str, Path]
    is_bad_allowed: bool
    found: list[Found] = field(default_factory=list)
    faulty: list[Faulty] = field(default_factory=list)
    notes: tuple[str, ...] = ()


def pack(
    found: Iterable[Finding],
    out: str | Path,
    *,
    kind: str,
    folder: Path,
    sample_rate: int = 16000,
    shortest_s: float | None = None,
    longest_s: float | None = None,
    options: Mapping[str, str] | None = None,
    workers: int = 1,
    progress: Progress = _quiet,
    tell: Tell = _quiet,
    trial_lists: Mapping[str, Path] | None = None,
    is_bad_allowed: bool = False,
    hear: Hear = hear_found,
) -> PackedFacts:
    """Pack what was found in a folder and return what corpus.json says.

    `options` are those of the kind; `hear` gives an utterance's samples; `tell` gets a forecast before the work begins
    and a line a note. An existing corpus of the same options and contents is returned as it is.

    Raises CorpusError if `out` holds anything else, the disk is too small, a name is used twice by two speakers' files,
    or, after the work, more than a tenth of the files are bad and that is not allowed.
    """
    if "://" in str(out):
        raise CorpusError(f"{out}: a corpus is imported into a folder; copy the folder to the object store afterwards")
    place = Path(out).expanduser().absolute()
    job = _gathered(
        found,
        _Import(
            out=place,
            folder=folder.expanduser().absolute(),
            recipe=Recipe(sample_rate, shortest_s, longest_s),
            hear=hear,
            workers=max(1, workers),
            progress=progress,
            tell=tell,
            trial_lists=trial_lists or {},
            is_bad_allowed=is_bad_allowed,
        ),
    )
    asked = {
        "kind": kind,
        "sample_rate": sample_rate,
        "shortest_s": shortest_s,
        "longest_s": longest_s,
        **{f"option {name}": value for name, value in sorted((options or {}).items())},
    }
    try:
        _check_place(place)
        place.mkdir(parents=True, exist_ok=True)
        with hold(place / LOCK, is_waiting=False) as is_held:
            if not is_held:
                raise CorpusError(f"{place}: another import is writing there; wait for it, or end it")
            return _pack(job, asked)
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"{place}: cannot be written: {error}; the same command goes on from here") from error


def _check_place(place: Path) -> None:
    """Refuse a folder that holds other things, before anything is written into it."""
    if place.is_file():
        raise CorpusError(f"{place}: is a file; a packed corpus is a folder")
    ours = (FACTS, PLAN, LOCK)
    if place.is_dir() and any(place.iterdir()) and not any((place / name).exists() for name in ours):
        raise CorpusError(f"{place}: is neither empty nor a packed corpus; give another folder")


def _gathered(findings: Iterable[Finding], job: _Import) -> _Import:
    """Return the job with what was found: sorted, names unique, the rest faulty."""
    found: list[Found] = []
    faulty: list[Faulty] = []
    noted: dict[str, list[Note]] = {}
    for finding in findings:
        if isinstance(finding, Note):
            noted.setdefault(finding.sort, []).append(finding)
        elif isinstance(finding, Faulty):
            faulty.append(finding)
        elif fault := _unwritable(finding):
            faulty.append(Faulty(finding.path, fault))
        else:
            found.append(finding)
    found.sort(key=lambda one: (one.utterance, one.path))
    unique: list[Found] = []
    for one in found:
        if unique and unique[-1].utterance == one.utterance:
            first = relative(unique[-1].path, job.folder)
            faulty.append(Faulty(one.path, f"its name is taken: '{one.utterance}' is {first}"))
        else:
            unique.append(one)
    if not unique:
        reasons = Counter(one.sort for one in faulty)
        why = "; ".join(f"{count} x {sort}" for sort, count in reasons.most_common(5))
        raise CorpusError(f"{job.folder}: no utterance was found{f': {why}' if why else ''}")
    notes = tuple(
        f"{sort}: {len(some)} x, the first {relative(some[0].path, job.folder)}"
        + (f" ({particulars})" if (particulars := some[0].text.partition(":")[2].strip()) else "")
        for sort, some in sorted(noted.items())
    )
    return replace(job, found=unique, faulty=faulty, notes=notes)


def _unwritable(found: Found) -> str:
    """Return why Arrow cannot hold an utterance's names, or nothing."""
    try:
        for text in (found.utterance, found.path, found.speaker, found.recording or ""):
            text.encode()
    except UnicodeEncodeError:
        return "its name is no UTF-8: rename it"
    return ""


def _pack(job: _Import, asked: Mapping[str, Any]) -> PackedFacts:
    states = file_states(job.found)
    plan = make_plan(job.found, job.faulty, states, folder=job.folder, options=asked, trial_lists=job.trial_lists)
    if (job.out / FACTS).exists():
        facts = _unchanged(job, plan)
        _tidy(job.out)
        return facts
    _check_tools(job.found)
    plan, pieces_done = _continued(job, plan, states)
    pieces = numbered(job.found, plan.borders, out=job.out, folder=job.folder)
    done = {piece.number: packed for piece in pieces if pieces_done and (packed := is_done(piece))}
    if done:
        job.tell(f"going on: {len(done)} of {len(pieces)} pieces are there already")
    looked_at = sum(packed.num_utterances for packed in done.values())
    samples = sum(packed.num_samples for packed in done.values())

    def told(packed: Packed) -> None:
        nonlocal looked_at, samples
        looked_at += packed.num_utterances
        samples += packed.num_samples
        job.progress(looked_at, len(job.found), samples / job.recipe.sample_rate)

    with Crew(job.workers, job.recipe, job.hear) as crew:
        crew.pack([piece for piece in pieces if piece.number not in done], told)
    facts = finish(
        pieces,
        [(relative(one.path, job.folder), one.reason, one.sort != UNDER_20) for one in job.faulty],
        plan,
        out=job.out,
        notes=job.notes,
        trial_lists=job.trial_lists,
        is_bad_allowed=job.is_bad_allowed,
    )
    _tidy(job.out)
    for note in facts.notes:
        job.tell(note)
    return facts


def _check_tools(found: Sequence[Found]) -> None:
    """Refuse files that are read through ffmpeg where there is none, before the work."""
    if shutil.which("ffmpeg"):
        return
    needing = [one.path for one in found if os.path.isabs(one.path) and needs_ffmpeg(one.path)]
    if needing:
        raise CorpusError(
            f"{needing[0]}: needs ffmpeg, as {files_of(len(needing))} of {len(found)} do, and it is not installed; "
            "install it, or convert them to WAV"
        )


def _continued(job: _Import, plan: Plan, states: Sequence[FileState]) -> tuple[Plan, bool]:
    """Return the plan with its borders, and whether pieces of it may be there; begins a new import if there is none."""
    begun = read_plan(job.out)
    if begun is not None:
        if problems := other_options(begun.options, plan.options, out=job.out):
            raise CorpusError(*problems)
        if begun.listing != plan.listing:
            raise CorpusError(
                f"{job.out}: an unfinished import of other contents: files, their labels or their sizes changed since; "
                f"{ELSEWHERE}"
            )
        if begun.times == plan.times:
            return replace(plan, borders=begun.borders), True
        job.tell("files were written to since the import began: it begins anew")
        _tidy(job.out)
    for path in job.trial_lists.values():
        find_trial_list(str(path)).read()  # a fault in it is told before the work, not after it
    coming = forecast(job.found, states, recipe=job.recipe, hear=job.hear)
    job.tell(coming.line(job.workers))
    free = shutil.disk_usage(job.out).free
    if coming.num_bytes + SPARE_BYTES > free:
        raise CorpusError(
            f"{job.out}: needs about {size_of(coming.num_bytes)}, but {size_of(free)} are free on its disk"
        )
    plan = replace(plan, borders=tuple(cut(coming.bytes_of)))
    plan.write(job.out)
    return plan, False


def _unchanged(job: _Import, plan: Plan) -> PackedFacts:
    """Return the facts of the finished corpus if it is what is asked for, else raise CorpusError."""
    path = job.out / FACTS
    facts = read_facts(path.read_bytes(), place=str(job.out))
    if problems := other_options(facts.options, plan.options, out=job.out):
        raise CorpusError(*problems)
    if problems := damages(job.out, facts):
        raise CorpusError(*(f"{job.out}: {problem}; delete the folder and import again" for problem in problems))
    if facts.listing != plan.listing:
        raise other_contents(job.found, folder=job.folder, out=job.out)
    if facts.times == plan.times:
        job.tell("nothing to do: it was imported already")
        return facts
    job.tell("files were written to since the import: they are compared")
    table = map_table(job.out / UTTERANCES)
    packed = dict(zip(table["utterance"].to_pylist(), table["content"].to_pylist(), strict=True))
    changed: list[str] = []
    with Crew(job.workers, job.recipe, job.hear) as crew:
        parts = [job.found[start : start + AT_ONCE] for start in range(0, len(job.found), AT_ONCE)]
        for n, (part, contents) in enumerate(zip(parts, crew.contents(parts), strict=True)):
            changed += [
                one.utterance
                for one, content in zip(part, contents, strict=True)
                if packed.get(one.utterance) != content
            ]
            job.progress(min((n + 1) * AT_ONCE, len(job.found)), len(job.found), 0.0)
    if changed:
        raise CorpusError(
            f"{job.out}: was imported from other contents: {len(changed)} utterances sound different now, the first "
            f"'{changed[0]}'; {ELSEWHERE}"
        )
    facts = replace(facts, times=plan.times)
    write_whole(path, lambda aside: aside.write_bytes(facts.to_json()))
    job.tell("nothing to do: the contents are the same")
    return facts


def _tidy(out: Path) -> None:
    """Remove what only an unfinished import needs, and what a killed one left; a finished corpus stays."""
    if not (out / FACTS).exists():
        shutil.rmtree(out / "audio", ignore_errors=True)
    shutil.rmtree(out / PIECES, ignore_errors=True)
    (out / PLAN).unlink(missing_ok=True)
    for left in out.rglob("*.part"):
        left.unlink(missing_ok=True)


def number_of_cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0))
