"""Labels in JSON files, as AI-Hub's sets have them: whatever is odd about a file is told, none stops the reading."""

import json
from typing import Any

from trainables.corpora.found import Faulty, Note

BOM = "begins with a BOM"
CP949 = "not UTF-8, read as CP949"
NOT_TEXT = "neither UTF-8 nor CP949"
MALFORMED = "malformed JSON"

PARTITIONS = {"training": "train", "validation": "dev", "test": "test"}


def read_labels(path: str) -> tuple[dict[str, Any], list[Faulty | Note]]:
    """Return the object that a JSON file holds, and notes; or an empty one, and the fault."""
    notes: list[Faulty | Note] = []
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        return {}, [Faulty(path, f"JSON cannot be read: {error.strerror}")]
    if content.startswith(b"\xef\xbb\xbf"):
        content = content[3:]
        notes.append(Note(path, BOM))
    try:
        text = content.decode()
    except UnicodeDecodeError:
        try:
            text = content.decode("cp949")  # what Korean Windows writes
        except UnicodeDecodeError as error:
            return {}, [*notes, Faulty(path, f"{NOT_TEXT}: {error.reason} at byte {error.start}")]
        notes.append(Note(path, CP949))
    try:
        labels = json.loads(text)
    except (ValueError, RecursionError) as error:
        return {}, [*notes, Faulty(path, f"{MALFORMED}: {error}")]
    if not isinstance(labels, dict):
        return {}, [*notes, Faulty(path, f"{MALFORMED}: an object is needed, not a {type(labels).__name__}")]
    return labels, notes


def below(labels: Any, *keys: str) -> Any:
    """Return what lies below the keys, None if any of them is missing."""
    for key in keys:
        labels = labels.get(key) if isinstance(labels, dict) else None
    return labels


def text_of(value: Any) -> str:
    """Return a label as text, "" for what is no text and no number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    # JSON can write half a character ("\ud800"), which no table can hold.
    return str(value).encode("utf-8", "replace").decode().strip()


def partition_of(folders: str) -> str | None:
    """Return the partition that one of the folders (with slashes) names, as 1.Training or Validation: the last."""
    for name in reversed(folders.split("/")):
        word = name.rpartition(".")[2].strip().casefold()
        if word in PARTITIONS:
            return PARTITIONS[word]
    return None
