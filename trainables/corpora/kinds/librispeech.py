"""LibriSpeech: `train-clean-360/14/208/14-208-0000.flac`, with genders in SPEAKERS.TXT. No ages.

Checked against: SPEAKERS.TXT (`;` comments, `14   | F | train-clean-360  | 25.03 | Kristin LeMoine`) and the paths
against its public description and public code; the utterances' ids against a re-cut
excerpt of train-clean-100.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from trainables.corpora.cells import GENDERS
from trainables.corpora.found import Faulty, Finding, Found, Kind, Note
from trainables.corpora.kinds.folders import checked, existing_folder, is_audio, lines_of, walk
from trainables.corpora.kinds.likeness import not_of_kind

NAME = "librispeech"
SPEAKERS = "SPEAKERS.TXT"
FILE = re.compile(r"(\d+)-(\d+)-\d+")
SUBSET = re.compile(r"(train|dev|test)-[a-z0-9-]+")
OPTIONS = {"partition": ("official", "none")}

ELSEWHERE = "audio not at speaker/chapter/speaker-chapter-utterance"
NOT_LISTED = f"speaker not in {SPEAKERS}"
NO_SUBSET = "no folder of a subset above"
SAME_NAME = "utterance is there twice"


def read(folder: Path, *, options: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the utterances of a tree, or of one subset; raises CorpusError if none is in it.

    Utterances are named as the files, "14-208-0000"; the recording is the chapter.
    """
    chosen = checked(options, OPTIONS, NAME)
    place = existing_folder(folder)
    findings = _findings(place, with_partition=chosen["partition"] == "official")
    waiting: list[Finding] = []
    for finding in findings:
        waiting.append(finding)
        if isinstance(finding, Found):
            return _resumed(waiting, findings)
    raise not_of_kind(place, NAME, "files as train-clean-100/103/1240/103-1240-0000.flac")


def _resumed(first: list[Finding], rest: Iterator[Finding]) -> Iterator[Finding]:
    yield from first
    yield from rest


def _findings(place: Path, *, with_partition: bool) -> Iterator[Finding]:
    genders: dict[str, str | None] | None = None
    # Beside the subsets, or above when the folder is one of them.
    places = (place, *_children(place), place.parent)
    if lists := [str(at / SPEAKERS) for at in places if (at / SPEAKERS).is_file()]:
        genders, notes = _genders(lists[0])
        yield from notes
    else:
        yield Note(str(place), f"no {SPEAKERS}: no gender is known")
    seen: dict[str, str] = {}
    missed: set[str] = set()
    for inside in walk(place):
        yield from inside.faults
        *above, speaker, chapter = ["", "", *Path(inside.path).parts]
        subset = next((part for part in reversed(above) if SUBSET.fullmatch(part)), None)
        for name in filter(is_audio, inside.files):
            path, stem = os.path.join(inside.path, name), os.path.splitext(name)[0]
            match = FILE.fullmatch(stem)
            if match is None or match.groups() != (speaker, chapter):
                yield Faulty(path, ELSEWHERE)
                continue
            if stem in seen:
                yield Faulty(path, f"{SAME_NAME}: {seen[stem]} is read")
                continue
            seen[stem] = inside.path
            if genders is not None and speaker not in genders and speaker not in missed:
                missed.add(speaker)
                yield Note(path, f"{NOT_LISTED}: {speaker}")
            if subset is None:
                yield Note(path, NO_SUBSET)
            yield Found(
                utterance=stem,
                path=path,
                speaker=speaker,
                recording=f"{speaker}-{chapter}",
                gender=(genders or {}).get(speaker),
                source=subset or NAME,
                split=subset.partition("-")[0] if subset and with_partition else None,
            )


def _children(place: Path) -> list[Path]:
    with os.scandir(place) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.is_dir())


def _genders(path: str) -> tuple[dict[str, str | None], list[Note]]:
    """Return the speakers' genders, and what is odd about the list."""
    lines, notes = lines_of(path)
    genders: dict[str, str | None] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith(";"):
            continue
        cells = [cell.strip() for cell in line.split("|", 4)]
        if len(cells) < 3 or not cells[0].isdigit():
            notes.append(Note(path, f"line not understood: line {number}"))
            continue
        gender = GENDERS.get(cells[1].casefold())
        if gender is None:
            notes.append(Note(path, f"gender not understood: '{cells[1]}' of {cells[0]}"))
        if genders.setdefault(cells[0], gender) != gender:
            notes.append(Note(path, f"speaker has two lines that differ: {cells[0]}, the first is taken"))
    return genders, notes


LIBRISPEECH = Kind(
    name=NAME,
    read=read,
    summary=f"LibriSpeech: subset/speaker/chapter/file.flac, with {SPEAKERS}",
    options=OPTIONS,
    notes=("there are no ages",),
)
