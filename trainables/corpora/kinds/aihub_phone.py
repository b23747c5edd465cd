"""AI-Hub's low-quality telephone network set (LTV, 저음질 전화망): a JSON file a call, a wav a dialog turn.

`…/{라벨링데이터,원천데이터}/D03/J91/S001342/{S001342.json,0001.wav,0001.txt}`; the two trees may be one.

Checked against: the keys of the JSON and the match of `audioPath` by call and file name against four public programs,
of which two name this set. No excerpt of the corpus itself was at hand. Guesses: the spelling "20대" of ages (the
programs keep its digits; "20" is read as a decade too), and that a speaker's id is the same person in all calls (one
author says so); `speaker=call` takes speakers of different calls for different people.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainables.corpora.ages import AgeReading, read_age, with_age
from trainables.corpora.cells import GENDERS
from trainables.corpora.found import Faulty, Finding, Found, Kind, Note
from trainables.corpora.kinds.folders import checked, existing_folder, is_audio, look_into, relative, stem_of, walk
from trainables.corpora.kinds.json_labels import below, partition_of, read_labels, text_of
from trainables.corpora.kinds.likeness import not_of_kind

NAME = "aihub-phone"
SOURCE = "LTV"
OPTIONS = {"speaker": ("id", "call"), "partition": ("none", "official")}

NO_JSON = "no JSON names this wav"
NO_WAV = "no wav for this dialog"
NO_PATH = "dialog without audioPath"
NO_SPEAKER = "speaker of a dialog not among the call's"
NO_GENDER = "gender not understood"
NO_FOLDER = "no wavs of this call"
SAME_CALL = "several folders hold wavs of this call"
SAME_WAV = "two dialogs name this wav"
OTHER_JSON = "JSON of another sort"
CHANGED = "speaker has other labels in another call"


@dataclass(frozen=True)
class Person:
    """A speaker as a call's JSON has him."""

    gender: str | None
    reading: AgeReading


@dataclass
class Calls:
    """A tree's folders of wavs by their own names, and its JSON files."""

    folders_of: dict[str, list[str]] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    faults: list[Faulty | Note] = field(default_factory=list)
    heard: set[str] = field(default_factory=set)  # the folders that a JSON named
    people: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)  # the labels of each id at first


def read(folder: Path, *, options: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the dialog turns of a tree, call by call; raises CorpusError if no JSON of this set is in it.

    The recording is the call. `speaker=call` puts the call before each speaker's id. `partition=official` takes
    Training as train and Validation as dev; they may share speakers.
    """
    chosen = checked(options, OPTIONS, NAME)
    place = existing_folder(folder)
    calls = Calls()
    for inside in walk(place):
        calls.faults += inside.faults
        calls.labels += [os.path.join(inside.path, name) for name in inside.files if name.lower().endswith(".json")]
        if any(is_audio(name) for name in inside.files):
            calls.folders_of.setdefault(stem_of(f"{os.path.basename(inside.path)}."), []).append(inside.path)
    if not _is_of_kind(calls.labels):
        raise not_of_kind(place, NAME, "a JSON file a call, with dataSet.typeInfo.speakers and dataSet.dialogs")
    return _findings(place, calls, **chosen)


def _is_of_kind(labels: list[str]) -> bool:
    """Whether one of the first JSON files is of this set, or all are too broken to tell."""
    contents = [read_labels(path)[0] for path in labels[:100]]
    return bool(labels) and (any("dataSet" in content for content in contents) or not any(contents))


def _findings(place: Path, calls: Calls, *, speaker: str, partition: str) -> Iterator[Finding]:
    yield from calls.faults
    for label in calls.labels:
        content, faults = read_labels(label)
        yield from faults
        if not content:
            continue
        dialogs, speakers = below(content, "dataSet", "dialogs"), _speakers_of(content)
        if not isinstance(dialogs, list) or speakers is None:
            yield Faulty(label, f"{OTHER_JSON}: no dataSet.dialogs or no dataSet.typeInfo.speakers")
            continue
        yield from _changed(label, speakers, calls)
        yield from _of_call(label, dialogs, speakers, calls, place, by_call=speaker == "call", partition=partition)
    for folder in sorted(path for paths in calls.folders_of.values() for path in paths if path not in calls.heard):
        for name in filter(is_audio, look_into(folder).files):
            yield Faulty(os.path.join(folder, name), NO_JSON)


def _speakers_of(content: dict[str, Any]) -> dict[str, Person] | None:
    # In sibling sets typeInfo is a list of one.
    info = below(content, "dataSet", "typeInfo")
    speakers = below(info[0] if isinstance(info, list) and info else info, "speakers")
    if not isinstance(speakers, list):
        return None
    return {
        text_of(each.get("id")): Person(
            gender=GENDERS.get(text_of(each.get("gender")).casefold()),
            reading=read_age(each.get("age"), by_decade=True),
        )
        for each in speakers
        if isinstance(each, dict) and text_of(each.get("id"))
    }


def _changed(label: str, speakers: dict[str, Person], calls: Calls) -> Iterator[Note]:
    for name, person in speakers.items():
        told = (person.gender, person.reading.age.agesub)
        if person.gender is None:
            yield Note(label, f"{NO_GENDER}: speaker {name}")
        if calls.people.setdefault(name, told) != told:
            yield Note(label, f"{CHANGED}: {name}; if ids are not unique, import with speaker=call")


def _of_call(
    label: str,
    dialogs: list[Any],
    speakers: dict[str, Person],
    calls: Calls,
    place: Path,
    *,
    by_call: bool,
    partition: str,
) -> Iterator[Finding]:
    there: dict[str, set[str]] = {}  # the wavs of each folder that the call names
    taken: set[str] = set()
    for number, dialog in enumerate(dialogs, start=1):
        written = text_of(below(dialog, "audioPath")).replace("\\", "/")
        if not written:
            yield Faulty(label, f"{NO_PATH}: dialog {number}")
            continue
        folder = _folder_of(written, label, calls)
        if isinstance(folder, Faulty):
            yield folder
            continue
        if folder not in there:
            there[folder] = set(filter(is_audio, look_into(folder).files))
            calls.heard.add(folder)
        name = os.path.basename(written)
        path = os.path.join(folder, name)
        person = speakers.get(text_of(below(dialog, "speaker")))
        if path in taken:
            yield Faulty(path, f"{SAME_WAV}: dialog {number} of {label}")
        elif name not in there[folder]:
            yield Faulty(path, f"{NO_WAV}: dialog {number} of {label}")
        elif person is None:
            yield Faulty(path, f"{NO_SPEAKER}: '{text_of(below(dialog, 'speaker'))}' in {label}")
        else:
            call = os.path.dirname(written) or stem_of(os.path.basename(label))
            found = Found(
                utterance=os.path.splitext(relative(path, place))[0],
                path=path,
                speaker=f"{call}/{text_of(dialog['speaker'])}" if by_call else text_of(dialog["speaker"]),
                recording=call,
                gender=person.gender,
                source=SOURCE,
                split=partition_of(f"{place.name}/{relative(label, place)}") if partition == "official" else None,
            )
            yield from with_age(found, person.reading)
        taken.add(path)
    for folder, names in there.items():
        yield from (
            Faulty(path, f"{NO_JSON}: {label} has no dialog of it")
            for name in sorted(names)
            if (path := os.path.join(folder, name)) not in taken
        )


def _folder_of(written: str, label: str, calls: Calls) -> str | Faulty:
    """Return the folder of a wav: that of the JSON, or the one whose last folders agree most with `audioPath`."""
    parts = written.split("/")[:-1] or [stem_of(os.path.basename(label))]
    folders = calls.folders_of.get(parts[-1], [])
    if os.path.dirname(label) in folders:
        return os.path.dirname(label)
    if not folders:
        return Faulty(label, f"{NO_FOLDER}: {written}")
    # Training and Validation may number their calls alike: the label's own partition is nearer.
    agreeing = [(_agreement(folder, parts), _common(folder, label), folder) for folder in folders]
    best = max(agreement[:2] for agreement in agreeing)
    nearest = [folder for *agreement, folder in agreeing if tuple(agreement) == best]
    return nearest[0] if len(nearest) == 1 else Faulty(label, f"{SAME_CALL}: {', '.join(nearest)}")


def _agreement(folder: str, parts: list[str]) -> int:
    count = 0
    for mine, asked in zip(reversed(folder.split(os.sep)), reversed(parts), strict=False):
        if mine != asked:
            break
        count += 1
    return count


def _common(folder: str, label: str) -> int:
    return len(os.path.commonpath((folder, label)))


AIHUB_PHONE = Kind(
    name=NAME,
    read=read,
    summary="AI-Hub low-quality telephone conversations (LTV): a JSON file a call, a wav a turn",
    options=OPTIONS,
    notes=(
        "telephone speech, 8 kHz: ages are decades",
        "a speaker's id is taken for one person in all calls; speaker=call takes each call's for itself",
        "Training and Validation may share speakers: partitions are drawn by speaker unless partition=official",
    ),
)
