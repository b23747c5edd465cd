"""VoxCeleb1 and VoxCeleb2: `…/id10270/5r0dWxy17C8/00001.wav` (or .m4a), with speakers in a meta file. No ages.

Checked against: the paths, the trial lists and vox1_meta.csv (tabs in spite of its name) against public training code
(voxceleb_trainer, SpeechBrain, PaddleSpeech); vox2_meta.csv (commas, cells padded with blanks) against public code that
reads its column "VoxCeleb2 ID " with the blank. No excerpt of the corpora themselves was at hand. That VoxCeleb1's
speakers are id10001 and up and VoxCeleb2's below is from memory.
iden_split.txt, the split for identification, is not read: it shares out the utterances of all speakers.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from trainables.corpora.cells import GENDERS
from trainables.corpora.found import Faulty, Finding, Found, Kind, Note
from trainables.corpora.kinds.folders import checked, existing_folder, is_audio, lines_of, look_into, relative
from trainables.corpora.kinds.likeness import SPEAKER1, SPEAKER2, not_of_kind

LISTS = (
    *("veri_test", "veri_test2", "list_test_all", "list_test_all2", "list_test_hard", "list_test_hard2"),
    *("voxsrc2020_val", "voxsrc2021_val", "voxsrc2022_val"),
)
META = {"voxceleb1": "vox1_meta.csv", "voxceleb2": "vox2_meta.csv"}
SPEAKERS = {"voxceleb1": SPEAKER1, "voxceleb2": SPEAKER2}
OTHER = {"voxceleb1": "voxceleb2", "voxceleb2": "voxceleb1"}
PARTITIONS = {"dev": "train", "test": "test"}  # what the authors call dev is what others train on
OPTIONS = {"partition": ("official", "none")}

ELSEWHERE = "audio not at speaker/video/file"
OTHER_KIND = "speaker of the other VoxCeleb"
NOT_IN_META = "speaker not in the meta file"
NO_META = "no meta file"
SAME_NAME = "utterance is there twice"
BESIDE = "the same utterance in two formats in one folder"


@dataclass
class Survey:
    """The folders above the speakers' own: where each speaker is, the lists, and what lies elsewhere."""

    folders_of: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, list[str]] = field(default_factory=dict)  # lists and meta files by name
    faults: list[Faulty | Note] = field(default_factory=list)


@dataclass(frozen=True)
class Person:
    """A speaker as the meta file has him."""

    gender: str | None
    split: str | None


def read(folder: Path, *, options: Mapping[str, str], kind: str) -> Iterator[Finding]:
    """Yield the utterances of a tree, by name; raises CorpusError if no speaker of the kind is in it.

    Utterances are named as in the official lists, "id10270/5r0dWxy17C8/00001.wav", whatever the files' format.
    """
    chosen = checked(options, OPTIONS, kind)
    place = existing_folder(folder)
    survey = _survey(place)
    if not any(SPEAKERS[kind].fullmatch(speaker) for speaker in survey.folders_of):
        example = "id10270/5r0dWxy17C8/00001.wav" if kind == "voxceleb1" else "id00012/21Uxsk56VDQ/00001.m4a"
        raise not_of_kind(place, kind, f"folders of speakers, as {example}")
    return _findings(place, survey, kind, with_partition=chosen["partition"] == "official")


def _survey(place: Path) -> Survey:
    """Look at everything but the speakers' folders."""
    survey = Survey()
    waiting = [str(place)]
    while waiting:
        inside = look_into(waiting.pop())
        survey.faults += inside.faults
        for name in inside.files:
            path = os.path.join(inside.path, name)
            if is_audio(name):
                survey.faults.append(Faulty(path, ELSEWHERE))
            elif name in META.values() or os.path.splitext(name)[0] in LISTS:
                survey.files.setdefault(name, []).append(path)
        for name in inside.folders:
            path = os.path.join(inside.path, name)
            if SPEAKER1.fullmatch(name) or SPEAKER2.fullmatch(name):
                survey.folders_of.setdefault(name, []).append(path)
            else:
                waiting.append(path)
    for paths in [*survey.folders_of.values(), *survey.files.values()]:
        paths.sort()
    survey.faults.sort(key=lambda fault: fault.path)
    return survey


def _findings(place: Path, survey: Survey, kind: str, *, with_partition: bool) -> Iterator[Finding]:
    yield from survey.faults
    for _, paths in sorted(survey.files.items()):
        yield from (Note(path, f"list is there twice: {paths[0]} is read") for path in paths[1:])
    people: dict[str, Person] | None = None
    if META[kind] in survey.files:
        people, notes = _people(survey.files[META[kind]][0])
        yield from notes
    else:
        yield Note(str(place), f"{NO_META}: without {META[kind]} no gender is known")
    for speaker in sorted(survey.folders_of):
        folders = survey.folders_of[speaker]
        if not SPEAKERS[kind].fullmatch(speaker):
            yield from (Faulty(path, f"{OTHER_KIND}: {speaker} is of {OTHER[kind]}") for path in folders)
            continue
        person = (people or {}).get(speaker)
        if people is not None and person is None:
            yield Note(folders[0], f"{NOT_IN_META}: {speaker}")
        seen: dict[str, str] = {}
        for path in folders:
            split = (person.split if person else None) or _partition_of(path, place)
            yield from _of_speaker(path, speaker, person, kind, split if with_partition else None, seen)


def _of_speaker(
    folder: str, speaker: str, person: Person | None, kind: str, split: str | None, seen: dict[str, str]
) -> Iterator[Finding]:
    """Yield a speaker's utterances below one of his folders; `seen` has the places of those from the others."""
    videos = look_into(folder)
    yield from videos.faults
    yield from (Faulty(os.path.join(folder, name), ELSEWHERE) for name in videos.files if is_audio(name))
    for video in videos.folders:
        inside = look_into(os.path.join(folder, video))
        yield from inside.faults
        yield from _below(inside.path, inside.folders)
        # A converted tree often keeps each .m4a beside its .wav: the ending that sorts last is the decoded one.
        chosen: dict[str, str] = {}
        for name in filter(is_audio, inside.files):
            stem = os.path.splitext(name)[0]
            if stem in chosen:
                yield Note(os.path.join(inside.path, chosen[stem]), f"{BESIDE}: {name} is read")
            chosen[stem] = name
        for stem, name in chosen.items():
            utterance = f"{speaker}/{video}/{stem}.wav"
            path = os.path.join(inside.path, name)
            if utterance in seen:
                yield Faulty(path, f"{SAME_NAME}: {seen[utterance]} is read")
                continue
            seen[utterance] = path
            yield Found(
                utterance=utterance,
                path=path,
                speaker=speaker,
                recording=video,
                gender=person.gender if person else None,
                source=kind,
                split=split,
            )


def _below(video: str, folders: Iterable[str]) -> Iterator[Finding]:
    """Yield the audio that lies deeper than it should."""
    waiting = [os.path.join(video, name) for name in reversed(tuple(folders))]
    while waiting:
        inside = look_into(waiting.pop())
        yield from inside.faults
        yield from (Faulty(os.path.join(inside.path, name), ELSEWHERE) for name in inside.files if is_audio(name))
        waiting += [os.path.join(inside.path, name) for name in reversed(inside.folders)]


def _partition_of(speaker_folder: str, place: Path) -> str | None:
    """Return what a folder above the speaker's says, as dev/ or vox1_test_wav/: the nearest one that says anything."""
    above = [place.name, *relative(os.path.dirname(speaker_folder), place).split("/")]
    for part in reversed(above):
        words = re.split(r"[^a-z0-9]+", part.lower())
        if named := [PARTITIONS[word] for word in words if word in PARTITIONS]:
            return named[0]
    return None


def _people(path: str) -> tuple[dict[str, Person] | None, list[Note]]:
    """Return the speakers of a meta file, None if it is no such file, and what is odd about it."""
    lines, notes = lines_of(path)
    # The first of VoxCeleb's meta files has tabs, the second commas; both are named .csv.
    rows = [[cell.strip() for cell in line.split("\t" if "\t" in lines[0] else ",")] for line in lines]
    header = [cell.casefold() for cell in rows[0]] if rows else []
    places = [
        next((i for i, cell in enumerate(header) if is_it(cell)), None)
        for is_it in (lambda cell: re.fullmatch(r"voxceleb[12] id", cell), "gender".__eq__, "set".__eq__)
    ]
    if places[0] is None or places[1] is None:
        return None, [*notes, Note(path, f"{NO_META}: its first line has no columns 'VoxCeleb… ID' and 'Gender'")]
    people: dict[str, Person] = {}
    for number, cells in enumerate(rows[1:], start=2):
        speaker, gender, partition = (cells[i] if i is not None and i < len(cells) else "" for i in places)
        if not speaker:
            if any(cells):
                notes.append(Note(path, f"line without a speaker: line {number}"))
            continue
        person = Person(gender=GENDERS.get(gender.casefold()), split=PARTITIONS.get(partition.casefold()))
        if person.gender is None:
            notes.append(Note(path, f"gender not understood: '{gender}' of {speaker}"))
        if places[2] is not None and person.split is None:
            notes.append(Note(path, f"partition not understood: '{partition}' of {speaker}"))
        if people.setdefault(speaker, person) != person:
            notes.append(Note(path, f"speaker has two lines that differ: {speaker}, the first is taken"))
    return people, notes


def trial_lists(folder: Path) -> Mapping[str, Path]:
    """Return the official lists of trials that lie in the folder, by name without ending."""
    files = _survey(existing_folder(folder)).files
    lists = {os.path.splitext(name)[0]: Path(paths[0]) for name, paths in sorted(files.items())}
    return {name: path for name, path in lists.items() if name in LISTS}


VOXCELEB1 = Kind(
    name="voxceleb1",
    read=partial(read, kind="voxceleb1"),
    summary="VoxCeleb1: speaker/video/file.wav, with vox1_meta.csv and the lists of trials",
    options=OPTIONS,
    notes=(
        "the authors' dev set is imported as train",
        "partition=none leaves the partitions out: the lists E and H compare speakers of both",
        "there are no ages",
    ),
    trial_lists=trial_lists,
)
VOXCELEB2 = Kind(
    name="voxceleb2",
    read=partial(read, kind="voxceleb2"),
    summary="VoxCeleb2: speaker/video/file.m4a or .wav, with vox2_meta.csv",
    options=OPTIONS,
    notes=("the authors' dev set is imported as train", "the lists of trials are VoxCeleb1's", "there are no ages"),
)
