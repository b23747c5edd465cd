"""The files of a packed corpus: Arrow IPC, uncompressed, so that a memory map reads them without a copy.

corpus.json             what the corpus is: kind, rate, options, counts, fingerprint, and every other file's checksum
utterances.arrow        a row an utterance, sorted by name
rejected.arrow          what was left out, and why
audio/shard-00000.arrow one column `samples`, int16, one record batch; an utterance is a slice of it
trials/<name>.arrow     an official list of trials: label, left, right

Shapes: T samples.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from trainables.corpora.corpus import CorpusError, Int16s

FORMAT = 1
FACTS, UTTERANCES, REJECTED = "corpus.json", "utterances.arrow", "rejected.arrow"
PLAN, LOCK = "import.json", ".lock"  # of an unfinished import; the lock stays

UTTERANCES_SCHEMA: Any = pa.schema(
    [
        ("utterance", pa.string()),
        ("speaker", pa.string()),
        ("recording", pa.string()),
        ("gender", pa.string()),
        ("age", pa.float64()),
        ("agesup", pa.string()),
        ("agesub", pa.string()),
        ("source", pa.string()),
        ("split", pa.string()),
        ("num_samples", pa.int64()),
        ("shard", pa.int32()),
        ("offset", pa.int64()),
        ("path", pa.string()),
        ("content", pa.string()),
    ]
)
# `utterance` is null where a file or a line gave none; `is_bad`: for a fault, not by the user's limits or for its age.
REJECTED_SCHEMA: Any = pa.schema(
    [("path", pa.string()), ("utterance", pa.string()), ("reason", pa.string()), ("is_bad", pa.bool_())]
)
TRIALS_SCHEMA: Any = pa.schema([("label", pa.bool_()), ("left", pa.string()), ("right", pa.string())])
SAMPLES_SCHEMA: Any = pa.schema([("samples", pa.int16())])


@dataclass(frozen=True)
class File:
    """A file of a packed corpus as it must be; `sha256` is of its bytes."""

    num_bytes: int
    sha256: str


@dataclass(frozen=True)
class PackedFacts:
    """What corpus.json says. `files` are by name inside the folder; `hours` and counts are of what was kept.

    `listing` and `times` tell whether the imported folder still is what it was: names, labels and sizes, and the times
    of its files.
    """

    format: int
    kind: str
    sample_rate: int
    options: Mapping[str, Any]
    num_utterances: int
    num_speakers: int
    num_samples: int
    num_rejected: int
    fingerprint: str
    notes: tuple[str, ...]
    listing: str
    times: str
    files: Mapping[str, File]

    @property
    def hours(self) -> float:
        """Return the hours of audio."""
        return self.num_samples / self.sample_rate / 3600

    def to_json(self) -> bytes:
        """Return the bytes of corpus.json."""
        return (json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n").encode()


def read_facts(data: bytes, *, place: str) -> PackedFacts:
    """Return what corpus.json at a place says; raises CorpusError if it is none of ours."""
    try:
        written = json.loads(data)
        if written["format"] != FORMAT:
            raise CorpusError(
                f"{place}: a packed corpus of format {written['format']}, but this version reads format {FORMAT}; "
                "import it again"
            )
        files = {name: File(**file) for name, file in written["files"].items()}
        return PackedFacts(**{**written, "notes": tuple(written["notes"]), "files": files})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        if isinstance(error, CorpusError):
            raise
        raise CorpusError(f"{place}: {FACTS} is not what an import writes ({error}); import it again") from None


def damages(folder: Path, facts: PackedFacts) -> list[str]:
    """Return what is gone or of another size than corpus.json says; contents are not read."""
    problems = []
    for name, file in facts.files.items():
        try:
            size = os.stat(folder / name).st_size
        except FileNotFoundError:
            problems.append(f"{name}: no such file, but its {FACTS} names it")
            continue
        if size != file.num_bytes:
            problems.append(f"{name}: {size} bytes, but its {FACTS} says {file.num_bytes}: damaged")
    return problems


def shard_name(number: int) -> str:
    """Return the name of a shard inside the folder."""
    return f"audio/shard-{number:05d}.arrow"


def write_whole(path: Path, fill: Callable[[Path], object]) -> None:
    """Let `fill` write a file aside, then put it there whole, so that it survives a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        fill(aside)
        with open(aside, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_table(path: Path, table: Any) -> None:
    """Write a table whole, uncompressed, as one record batch where that can be."""

    def fill(aside: Path) -> None:
        with pa.OSFile(str(aside), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table.combine_chunks())

    write_whole(path, fill)


def write_shard(path: Path, samples_T: Int16s) -> None:
    """Write the samples of a shard whole."""
    write_table(path, pa.table({"samples": pa.array(samples_T)}, schema=SAMPLES_SCHEMA))


@contextmanager
def hold(path: Path, *, is_waiting: bool) -> Iterator[bool]:
    """Hold a lock that ends with this process at the latest; give whether it is held (always, if waiting)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if is_waiting else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def file_facts(path: Path) -> File:
    """Return a file's size and checksum."""
    with open(path, "rb") as file:
        return File(num_bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def map_table(path: Path) -> Any:
    """Return a table that is read from the disk as it is needed; raises OSError or ArrowException."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def map_samples(path: Path) -> Int16s:
    """Return the samples of a shard, int16 (T,), a read-only view of its memory map; raises OSError, ArrowException."""
    column = map_table(path)["samples"]
    samples_T: Int16s = column.chunk(0).to_numpy(zero_copy_only=True) if column.num_chunks else np.empty(0, np.int16)
    samples_T.flags.writeable = False
    return samples_T
