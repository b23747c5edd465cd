"""Files of an object store, kept in a folder of this machine: fetched once for all workers and processes on it.

A file's name in the folder begins with its checksum, so that corpora that are imported again never mix. It is fetched
aside, checked and renamed under a lock; a file that is not what its name says is fetched again.
"""

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from trainables.corpora.corpus import CorpusError
from trainables.corpora.shards import File, file_facts, hold, write_whole

VARIABLE = "VOXSTUDY_CACHE"
FOLDER = "~/.cache/voxstudy/corpora"
CHUNK_BYTES = 8 << 20
# The time that a checked file carries. Whoever writes to it changes it, so that it is checked again: hashing every
# shard in every process would read the whole corpus before the first batch.
CHECKED_NS = 1_000_000_000 * 10**9


def is_uri(text: str) -> bool:
    """Whether a text names a place on an object store (or any other file system of Arrow)."""
    return "://" in text


def told(uri: str) -> str:
    """Return a URI as it may be shown: without its options, keys and passwords."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def cache_folder() -> Path:
    """Return the folder of this machine's copies: $VOXSTUDY_CACHE, or one in the user's home."""
    return Path(os.environ.get(VARIABLE) or FOLDER).expanduser().absolute()


@dataclass(frozen=True)
class RemoteFolder:
    """A folder at a URI of pyarrow.fs (`s3://bucket/corpus?endpoint_override=…`; `AWS_ENDPOINT_URL` counts, too)."""

    uri: str

    def read(self, name: str) -> bytes:
        """Return a small file's bytes; raises CorpusError."""
        system, root = self._opened()
        try:
            with system.open_input_stream(f"{root}/{name}") as stream:
                data: bytes = stream.read()
        except (OSError, pa.ArrowException) as error:
            raise CorpusError(f"{told(self.uri)}/{name}: {_why(error)}") from None
        return data

    def fetch(self, name: str, file: File) -> Path:
        """Return the copy of a file on this machine, fetched if it is not there whole; raises CorpusError."""
        folder = cache_folder() / file.sha256[:2]
        path = folder / f"{file.sha256}{Path(name).suffix}"
        if _is_checked(path, file):
            return path
        try:
            with hold(folder / f"{file.sha256}.lock", is_waiting=True):
                if not _is_whole(path, file):  # while this process waited, another may have fetched it
                    write_whole(path, lambda aside: self._fetch_into(aside, name, file))
        except OSError as error:
            raise CorpusError(
                f"{path}: cannot be written: {error.strerror or error}; {VARIABLE} names another folder for copies"
            ) from None
        return path

    def _fetch_into(self, aside: Path, name: str, file: File) -> None:
        system, root = self._opened()
        try:
            with system.open_input_stream(f"{root}/{name}") as stream, open(aside, "wb") as copy:
                while chunk := stream.read(CHUNK_BYTES):
                    _write(copy, chunk)
        except (OSError, pa.ArrowException) as error:
            if isinstance(error, _DiskError):
                raise
            raise CorpusError(f"{told(self.uri)}/{name}: {_why(error)}") from None
        if file_facts(aside) != file:
            raise CorpusError(
                f"{told(self.uri)}/{name}: is not what its corpus.json says (another size or checksum); copy the "
                "packed corpus there again"
            )
        os.utime(aside, ns=(CHECKED_NS, CHECKED_NS))

    def _opened(self) -> tuple[Any, str]:
        try:
            return _file_system(self.uri)
        except (OSError, pa.ArrowException) as error:
            raise CorpusError(f"{told(self.uri)}: cannot be reached: {error}") from None


class _DiskError(OSError):
    """The disk of this machine, and not the object store, refuses."""


def _write(copy: Any, chunk: bytes) -> None:
    try:
        copy.write(chunk)
    except OSError as error:
        raise _DiskError(error.errno, error.strerror) from error


def _why(error: Exception) -> str:
    return "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"


def _is_checked(path: Path, file: File) -> bool:
    try:
        stat = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.st_size == file.num_bytes and stat.st_mtime_ns == CHECKED_NS


def _is_whole(path: Path, file: File) -> bool:
    """Whether the copy is there and sound; its checksum is taken if it was not yet, or if somebody wrote to it."""
    if _is_checked(path, file):
        return True
    if not path.exists() or file_facts(path) != file:
        return False
    os.utime(path, ns=(CHECKED_NS, CHECKED_NS))
    return True


@functools.lru_cache(maxsize=16)
def _file_system(uri: str) -> tuple[Any, str]:
    """Kept, since opening one resolves the bucket's region over the network."""
    system, root = fs.FileSystem.from_uri(uri)
    return system, root.rstrip("/")
