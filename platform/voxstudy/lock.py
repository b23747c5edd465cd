"""One live driver a run: a file lock in a local run directory. It ends with its process, so nothing needs cleaning.

On a cluster the desk is a named actor as well, and a name is given once: a second driver elsewhere is refused by it.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class LockedError(ValueError):
    """The run's lock cannot be had: another driver works on it, or the place cannot be written."""


@contextlib.contextmanager
def driver_lock(run: str) -> Iterator[None]:
    """Hold the run's lock inside the block; LockedError if a living process holds it. A URI has no file lock."""
    if "://" in run:
        yield
        return
    folder = Path(run)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a+")
    except OSError as error:
        raise LockedError(
            f"{run}: a run directory must be a folder that can be written, but: {error.strerror}"
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise LockedError(f"{run}: one live driver a run must hold, but process {holder} works on it") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
