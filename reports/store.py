"""Where a run's bytes lie: one small interface over a local directory and any pyarrow.fs URI (s3://, gs://, …).

An object is written whole or not at all. Locally: aside in the run's own `_tmp/`, fsync, rename, fsync of the folder.
Remotely: one PUT, which appears when it is complete. Nobody ever appends to an object or reopens one.
"""

import functools
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

ASIDE = "_tmp"
_URI = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
_SWEPT_RETRIES = 3


class StoreError(ValueError):
    """A place that cannot be reached, read or written; the text is place, then reason."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        """Two arguments instead of the one text, so that the error survives the way out of a worker process."""
        return type(self), (self.place, self.reason)


class MissingError(StoreError):
    """There is no such object."""


@dataclass(frozen=True)
class Store:
    """A directory of whole objects, named by relative paths with `/`. Picklable: workers get the same store.

    `uri` is a local path (made absolute here, since workers stand elsewhere), `file://…`, or a pyarrow.fs URI with its
    query options (`s3://bucket/run?endpoint_override=…&scheme=http`; `AWS_ENDPOINT_URL` counts too).
    """

    uri: str

    def __post_init__(self) -> None:
        text = os.fspath(self.uri)
        if text.startswith("file://"):
            text = unquote(urlsplit(text).path)
        if not _URI.match(text):
            text = str(Path(text).expanduser().absolute())
        object.__setattr__(self, "uri", text)

    @property
    def is_local(self) -> bool:
        """Whether the store is a directory of a mounted file system."""
        return not _URI.match(self.uri)

    def place(self, path: str = "") -> str:
        """What to tell a user about where `path` lies: without the URI's query and credentials."""
        base = self.uri
        if not self.is_local:
            parts = urlsplit(self.uri)
            base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        return f"{base.rstrip('/')}/{path}" if path else base

    def write(self, path: str, data: bytes) -> None:
        """Put the object there, replacing an older one; when this returns, it survives a crash.

        Raises StoreError, and then what was there before is still there.
        """
        with self._backend(path, "cannot write") as backend:
            backend.write(path, data)

    def read(self, path: str) -> bytes:
        """The object's bytes. Raises MissingError if there is none."""
        with self._backend(path, "cannot read") as backend:
            return backend.read(path)

    def exists(self, path: str) -> bool:
        """Whether the object (not a folder) is there."""
        with self._backend(path, "cannot look") as backend:
            return backend.exists(path)

    def names(self, folder: str = "") -> list[str]:
        """Sorted names of the files right in `folder`; none if there is no such folder."""
        with self._backend(folder, "cannot list") as backend:
            return sorted(backend.names(folder))

    def delete(self, path: str) -> None:
        """Remove the object; a missing one is fine."""
        with self._backend(path, "cannot delete") as backend:
            backend.delete(path)

    def delete_folder(self, path: str) -> None:
        """Remove the folder and all in it; a missing one is fine."""
        assert path, "a store never deletes its own root"
        with self._backend(path, "cannot delete") as backend:
            backend.delete_folder(path)

    @contextmanager
    def _backend(self, path: str, rule: str) -> Iterator["_Backend"]:
        """The place's own way of doing it; every failure in it becomes a sentence with the place."""
        assert not path.startswith("/"), path
        assert ".." not in path.split("/"), path
        try:
            yield _Local(Path(self.uri)) if self.is_local else _remote(self.uri)
        except FileNotFoundError as error:
            raise MissingError(self.place(path), f"{rule}: no such file") from error
        except (OSError, pa.ArrowException) as error:
            raise StoreError(self.place(path), f"{rule}: {error}") from error


class _Backend(Protocol):
    def write(self, path: str, data: bytes) -> None: ...
    def read(self, path: str) -> bytes: ...
    def exists(self, path: str) -> bool: ...
    def names(self, folder: str) -> list[str]: ...
    def delete(self, path: str) -> None: ...
    def delete_folder(self, path: str) -> None: ...


@dataclass(frozen=True)
class _Local:
    root: Path

    def write(self, path: str, data: bytes) -> None:
        for retry in range(_SWEPT_RETRIES):
            try:
                return self._write_once(self.root / path, data)
            except FileNotFoundError:
                # A driver that starts sweeps `_tmp/`, and may take the aside of a writer that it knows nothing of.
                if retry == _SWEPT_RETRIES - 1:
                    raise
        return None

    def _write_once(self, target: Path, data: bytes) -> None:
        aside = self.root / ASIDE / f"{target.name}.{uuid.uuid4().hex}"
        _make_folder(aside.parent)
        try:
            with open(aside, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _make_folder(target.parent)
            os.replace(aside, target)
        except BaseException:
            aside.unlink(missing_ok=True)  # a full disk is not helped by half an object
            raise
        _sync_folder(target.parent)

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def exists(self, path: str) -> bool:
        return (self.root / path).is_file()

    def names(self, folder: str) -> list[str]:
        try:
            with os.scandir(self.root / folder) as entries:
                return [entry.name for entry in entries if entry.is_file()]
        except FileNotFoundError:
            return []

    def delete(self, path: str) -> None:
        (self.root / path).unlink(missing_ok=True)

    def delete_folder(self, path: str) -> None:
        if (self.root / path).is_dir():
            shutil.rmtree(self.root / path, onerror=_unless_gone)


@dataclass(frozen=True)
class _Remote:
    system: Any
    root: str

    def write(self, path: str, data: bytes) -> None:
        with self.system.open_output_stream(f"{self.root}/{path}") as stream:
            stream.write(data)

    def read(self, path: str) -> bytes:
        with self.system.open_input_stream(f"{self.root}/{path}") as stream:
            data: bytes = stream.read()
        return data

    def exists(self, path: str) -> bool:
        return bool(self.system.get_file_info(f"{self.root}/{path}").type == fs.FileType.File)

    def names(self, folder: str) -> list[str]:
        selector = fs.FileSelector(f"{self.root}/{folder}".rstrip("/"), allow_not_found=True)
        return [info.base_name for info in self.system.get_file_info(selector) if info.type == fs.FileType.File]

    def delete(self, path: str) -> None:
        try:
            self.system.delete_file(f"{self.root}/{path}")
        except FileNotFoundError:
            return

    def delete_folder(self, path: str) -> None:
        try:
            self.system.delete_dir(f"{self.root}/{path}")
        except FileNotFoundError:
            return


@functools.lru_cache(maxsize=64)
def _remote(uri: str) -> _Remote:
    """Kept for the life of the process, since opening one resolves the bucket's region over the network."""
    if uri.startswith("s3://") and "allow_delayed_open=" not in uri:
        # Without it every object is a multipart upload of three requests; with it a small object is one PUT.
        uri += ("&" if "?" in uri else "?") + "allow_delayed_open=true"
    system, root = fs.FileSystem.from_uri(uri)
    return _Remote(system, root.rstrip("/"))


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents so that they survive a power cut: a new name is safe once its parent is synced."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unless_gone(_function: Any, _path: str, info: Any) -> None:
    """Others may write or delete in a folder that is removed: what vanishes is fine, what stays is an error."""
    if not isinstance(info[1], FileNotFoundError):
        raise info[1]
