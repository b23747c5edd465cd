"""Which kind a folder looks like, from its first few hundred names: for the message when another was expected."""

import os
import re
from collections import deque
from pathlib import Path

from trainables.corpora.cells import TABLES
from trainables.corpora.corpus import CorpusError
from trainables.corpora.kinds.folders import look_into

MOST_FOLDERS = 300
MOST_BYTES = 4096
# VoxCeleb numbers its speakers through: id10001 to id11251 are VoxCeleb1's, those below VoxCeleb2's.
SPEAKER1 = re.compile(r"id1\d{4}")
SPEAKER2 = re.compile(r"id0\d{4}")
LIBRI_FILE = re.compile(r"\d+-\d+-\d+\.(flac|wav)")
JSON_KEYS = {"녹음자정보": "aihub-free", "dataSet": "aihub-phone"}


def not_of_kind(folder: Path, kind: str, expected: str) -> CorpusError:
    """Return the error for a folder that is not of the kind it is said to be."""
    likely = likeness(folder)
    looks = f"; it looks like {likely}" if likely and likely != kind else ""
    return CorpusError(f"{folder}: {kind} needs {expected}, but there is none{looks}")


def likeness(folder: Path) -> str | None:
    """Return the name of the kind that a folder looks like, None if it looks like none."""
    waiting = deque([str(folder)])
    looked = 0
    has_table = False
    while waiting and looked < MOST_FOLDERS:
        inside = look_into(waiting.popleft())
        looked += 1
        for pattern, kind in ((SPEAKER1, "voxceleb1"), (SPEAKER2, "voxceleb2")):
            if any(pattern.fullmatch(name) for name in inside.folders):
                return kind
        if "SPEAKERS.TXT" in inside.files or any(LIBRI_FILE.fullmatch(name) for name in inside.files):
            return "librispeech"
        first = next((name for name in inside.files if name.lower().endswith(".json")), None)
        if first and (kind_of := _of_json(os.path.join(inside.path, first))):
            return kind_of
        has_table = has_table or (looked == 1 and any(name.lower().endswith(TABLES) for name in inside.files))
        waiting += [os.path.join(inside.path, name) for name in inside.folders]
    return "manifest" if has_table else None


def _of_json(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            text = file.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    return next((kind for key, kind in JSON_KEYS.items() if f'"{key}"' in text), None)
