"""AI-Hub's free conversations of adults (FCVG, 자유대화 음성 일반남녀) and of the elderly (FCVE, 노인남녀).

A JSON file an utterance, of the stem of its wav; the two lie in separate trees of folders whose names vary by release.

Checked against: the keys of the JSON files and the match by stem against some ten public programs that read these sets.
No excerpt of the corpus itself was at hand. Guesses: that a recorderId alone may be two people, so that a speaker is
gender, age and recorderId (as one public program has it); that 스튜디오 in a folder's name, or in recrdEnvrn, marks the
studio part.
"""

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trainables.corpora.ages import read_age, with_age
from trainables.corpora.cells import GENDERS
from trainables.corpora.corpus import CorpusError
from trainables.corpora.found import Age, Faulty, Finding, Found, Kind, Note
from trainables.corpora.kinds.folders import checked, existing_folder, is_audio, relative, stem_of, walk
from trainables.corpora.kinds.json_labels import below, partition_of, read_labels, text_of
from trainables.corpora.kinds.likeness import not_of_kind

NAME = "aihub-free"
OPTIONS = {"part": ("all", "studio"), "partition": ("none", "official")}
SETS = {"일반남녀": "FCVG", "일반남여": "FCVG", "노인남녀": "FCVE", "노인남여": "FCVE"}
STUDIO = ("스튜디오", "studio")
PART = re.compile(r"\[(?:라벨|원천)\]\s*(?:\d+\s*\.)?\s*(.+?)(?:_\d+)?")

NO_JSON = "no JSON for this wav"
NO_WAV = "no wav for this JSON"
NO_SPEAKER = "no recorderId"
NO_GENDER = "gender not understood"
SAME_STEM = "several JSON files of this stem"
SAME_WAV = "another wav has the same JSON"
OTHER_NAME = "fileNm is another file"
OTHER_JSON = "JSON of another sort"


class Labels:
    """The JSON files of a tree by the stem of their names; of each only the number of its folder is kept."""

    def __init__(self) -> None:
        self.folders: list[str] = []
        self._number_of: dict[str, int] = {}  # the complement ~number when a wav has taken it
        self._doubles: dict[str, list[int]] = {}
        self._names: dict[tuple[int, str], str] = {}  # of files whose names are not the stem and ".json"

    def add(self, folder: str, names: list[str]) -> None:
        """Add the JSON files of a folder."""
        number = len(self.folders)
        self.folders.append(folder)
        for name in names:
            stem = stem_of(name)
            if f"{stem}.json" != name:
                self._names[number, stem] = name
            if stem in self._doubles:
                self._doubles[stem].append(number)
            elif (first := self._number_of.setdefault(stem, number)) != number:
                self._doubles[stem] = [first, number]

    def take(self, stem: str, folder: str) -> str | Faulty:
        """Return the JSON file of a wav in a folder, or the fault: beside the wav before elsewhere."""
        if stem in self._doubles:
            return self._take_double(stem, folder)
        number = self._number_of.get(stem)
        if number is None:
            return Faulty("", NO_JSON)
        if number < 0:
            return Faulty("", f"{SAME_WAV}: {self._path(~number, stem)}")
        self._number_of[stem] = ~number
        return self._path(number, stem)

    def _take_double(self, stem: str, folder: str) -> str | Faulty:
        numbers = self._doubles[stem]
        beside = next((number for number in numbers if self.folders[number] == folder), None)
        if beside is None:
            return Faulty("", f"{SAME_STEM}: in {', '.join(self.folders[number] for number in numbers)}")
        return self._path(beside, stem)

    def left(self) -> Iterator[str]:
        """Yield the JSON files that no wav took; doubles are told with their wavs."""
        for stem, number in self._number_of.items():
            if number >= 0 and stem not in self._doubles:
                yield self._path(number, stem)

    def __len__(self) -> int:
        return len(self._number_of)

    def _path(self, number: int, stem: str) -> str:
        return os.path.join(self.folders[number], self._names.get((number, stem), f"{stem}.json"))


def read(folder: Path, *, options: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the utterances of a tree; raises CorpusError if no JSON of these sets is in it.

    `part=studio` takes the studio part alone. `partition=official` takes Training as train and Validation as dev; they
    may share speakers. The source is the set and the part, "FCVE/스튜디오".
    """
    chosen = checked(options, OPTIONS, NAME)
    place = existing_folder(folder)
    labels = Labels()
    for inside in walk(place):
        if names := [name for name in inside.files if name.lower().endswith(".json")]:
            labels.add(inside.path, names)
    if not len(labels) or not _is_of_kind(labels):
        raise not_of_kind(place, NAME, "a JSON file an utterance, with 발화정보 and 녹음자정보")
    return _findings(place, labels, **chosen)


def _is_of_kind(labels: Labels) -> bool:
    """Whether one of the first JSON files is of these sets, or all are too broken to tell."""
    readable = 0
    for number, path in enumerate(labels.left()):
        found, _ = read_labels(path)
        if "녹음자정보" in found:
            return True
        readable += bool(found)
        if number == 100:
            break
    return readable == 0


def _findings(place: Path, labels: Labels, *, part: str, partition: str) -> Iterator[Finding]:
    num_studio = 0
    for inside in walk(place):
        yield from inside.faults
        for name in filter(is_audio, inside.files):
            path = os.path.join(inside.path, name)
            label = labels.take(stem_of(name), inside.path)
            if isinstance(label, Faulty):
                yield Faulty(path, label.reason)
                continue
            content, faults = read_labels(label)
            yield from faults
            if not content:
                continue
            if part == "studio" and not _is_studio(path, label, content, place):
                continue
            num_studio += 1
            yield from _of_utterance(path, label, content, place, partition)
    yield from (Faulty(path, NO_WAV) for path in sorted(labels.left()))
    if part == "studio" and not num_studio:
        raise CorpusError(f"{place}: part=studio leaves nothing: no folder and no recrdEnvrn says 스튜디오 or studio")


def _of_utterance(path: str, label: str, content: dict[str, Any], place: Path, partition: str) -> Iterator[Finding]:
    recorder = below(content, "녹음자정보")
    if not isinstance(recorder, dict):
        yield Faulty(label, f"{OTHER_JSON}: no 녹음자정보")
        return
    name = text_of(recorder.get("recorderId"))
    if not name:
        yield Faulty(label, NO_SPEAKER)
        return
    gender = GENDERS.get(text_of(recorder.get("gender")).casefold())
    if gender is None:
        yield Note(label, f"{NO_GENDER}: '{text_of(recorder.get('gender'))}'")
    named = unicodedata.normalize("NFC", text_of(below(content, "발화정보", "fileNm")))
    if named and stem_of(os.path.basename(named)) != stem_of(os.path.basename(path)):
        yield Note(label, f"{OTHER_NAME}: '{named}'")
    reading = read_age(recorder.get("age"), recorded=below(content, "발화정보", "recrdDt"))
    found = Found(
        utterance=os.path.splitext(relative(path, place))[0],
        path=path,
        speaker=f"{gender or '?'}-{_age_in_name(reading.age)}-{name}",
        gender=gender,
        source=_source_of(label, path, place),
        split=_partition_of(path, label, place) if partition == "official" else None,
    )
    yield from with_age(found, reading)


def _partition_of(path: str, label: str, place: Path) -> str | None:
    return partition_of(f"{place.name}/{relative(path, place)}") or partition_of(relative(label, place))


def _age_in_name(age: Age) -> str:
    return f"{age.years:g}" if age.years is not None else age.agesub or "?"


def _source_of(label: str, path: str, place: Path) -> str:
    """Return the set and its part as the folders name them."""
    folders = [place.name, *relative(path, place).split("/")[:-1], *relative(label, place).split("/")[:-1]]
    name = next((short for folder in folders for word, short in SETS.items() if word in folder), NAME)
    parts = [match[1] for folder in folders if (match := PART.fullmatch(folder))]
    return f"{name}/{parts[0]}" if parts else name


def _is_studio(path: str, label: str, content: dict[str, Any], place: Path) -> bool:
    places = (os.path.dirname(relative(path, place)), os.path.dirname(relative(label, place)))
    said = [*places, text_of(below(content, "대화정보", "recrdEnvrn"))]
    return any(word in text.casefold() for text in said for word in STUDIO)


AIHUB_FREE = Kind(
    name=NAME,
    read=read,
    summary="AI-Hub free conversations, adults (FCVG) and elderly (FCVE): a JSON file an utterance",
    options=OPTIONS,
    notes=(
        "a speaker is gender, age and recorderId together",
        "Training and Validation may share speakers: partitions are drawn by speaker unless partition=official",
        "no recording is named: utterances of one session cannot be told from others",
    ),
)
