"""Walking a corpus's folders: sorted, following links, with no look at any file's own record (no stat)."""

import os
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from trainables.corpora.corpus import CorpusError, nearest
from trainables.corpora.found import Faulty, Note
from trainables.corpora.shards import FACTS, LOCK, PLAN, UTTERANCES

AUDIO = (".wav", ".flac", ".m4a", ".aac", ".mp3", ".ogg", ".opus")
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".7z")
ODD_NAME = "name is not UTF-8"
UNREADABLE = "folder cannot be read"
LOOP = "link to a folder above"
ARCHIVE = "archive, to be unpacked first"
HIDDEN = "hidden file"


@dataclass(frozen=True, slots=True)
class Inside:
    """What a folder holds: names, sorted."""

    path: str
    folders: tuple[str, ...]
    files: tuple[str, ...]
    faults: tuple[Faulty | Note, ...]


def look_into(path: str) -> Inside:
    """Return what a folder holds; what cannot be read or named is a fault. Archives are faults, hidden files notes.

    A packed corpus counts as empty, whole or half done: an import may go into the folder that it reads.
    """
    folders: list[str] = []
    files: list[str] = []
    faults: list[Faulty | Note] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                is_folder = entry.is_dir()
                if not is_text(entry.name):
                    faults.append(Faulty(as_text(entry.path), f"{ODD_NAME}: rename it"))
                elif is_folder and entry.is_symlink() and _leads_above(entry.path):
                    faults.append(Note(entry.path, LOOP))
                elif is_folder:
                    folders.append(entry.name)
                elif entry.name.startswith("."):
                    faults.append(Note(entry.path, HIDDEN))
                elif entry.name.lower().endswith(ARCHIVES):
                    faults.append(Faulty(entry.path, ARCHIVE))
                else:
                    files.append(entry.name)
    except OSError as error:
        faults.append(Faulty(path, f"{UNREADABLE}: {error.strerror}"))
    present = {*files, *(os.path.basename(fault.path) for fault in faults)}
    if present >= {FACTS, UTTERANCES} or present >= {PLAN, LOCK}:
        return Inside(path, (), (), ())
    # Folders of resource forks, thumbnails and version control hold no speech.
    folders = [name for name in folders if not name.startswith((".", "__MACOSX"))]
    faults.sort(key=lambda fault: fault.path)
    return Inside(path, tuple(sorted(folders)), tuple(sorted(files)), tuple(faults))


def walk(folder: Path) -> Iterator[Inside]:
    """Yield a folder and all below it, sorted, each before its own."""
    waiting = [str(folder)]
    while waiting:
        inside = look_into(waiting.pop())
        yield inside
        waiting += [os.path.join(inside.path, name) for name in reversed(inside.folders)]


def is_audio(name: str) -> bool:
    """Whether a file's ending is one of audio."""
    return os.path.splitext(name)[1].lower() in AUDIO


def stem_of(name: str) -> str:
    """Return a file's name without ending, its letters composed: some systems take Korean syllables apart."""
    return unicodedata.normalize("NFC", os.path.splitext(name)[0])


def relative(path: str, folder: Path) -> str:
    """Return a path below a folder as text with slashes, its letters composed."""
    return unicodedata.normalize("NFC", os.path.relpath(path, folder).replace(os.sep, "/"))


def is_text(name: str) -> bool:
    """Whether a file's name is sound text: Linux allows any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_text(name: str) -> str:
    """Return a name with what is no text replaced."""
    return os.fsencode(name).decode("utf-8", "replace")


def lines_of(path: str) -> tuple[list[str], list[Note]]:
    """Return a list's lines, and notes: a BOM, lines that are not UTF-8 (their odd bytes replaced), no file."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        return [], [Note(path, f"list cannot be read: {error.strerror}")]
    notes = []
    if content.startswith(b"\xef\xbb\xbf"):
        content = content[3:]
        notes.append(Note(path, "begins with a BOM"))
    lines = []
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            lines.append(line.decode())
        except UnicodeDecodeError:
            lines.append(line.decode("utf-8", "replace"))
            notes.append(Note(path, f"line is not UTF-8: line {number}"))
    return lines, notes


def existing_folder(folder: Path) -> Path:
    """Return the absolute path of a folder; raises CorpusError if there is none."""
    place = Path(os.path.abspath(os.path.expanduser(folder)))
    if not place.is_dir():
        what = "it is a file" if place.exists() else "there is no such folder"
        raise CorpusError(f"{folder}: a folder is needed, but {what}")
    if not is_text(str(place)):
        raise CorpusError(f"{as_text(str(folder))}: the folder's name is not UTF-8; rename it")
    return place


def checked(options: Mapping[str, str], choices: Mapping[str, tuple[str, ...]], kind: str) -> dict[str, str]:
    """Return each option's value, the first choice where none is given; raises CorpusError with every mistake."""
    known = ", ".join(choices) or "none"
    problems = [
        f"{kind}: no option '{name}'; options: {known}{nearest(name, choices)}"
        for name in options
        if name not in choices
    ]
    problems += [
        f"{kind}: {name}: one of {', '.join(choices[name])}, but got '{value}'{nearest(value, choices[name])}"
        for name, value in options.items()
        if name in choices and value not in choices[name]
    ]
    if problems:
        raise CorpusError(*problems)
    return {name: options.get(name, values[0]) for name, values in choices.items()}


def _leads_above(link: str) -> bool:
    target, here = os.path.realpath(link), os.path.realpath(os.path.dirname(link))
    return os.path.commonpath((target, here)) == target
