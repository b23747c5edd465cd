"""What a trial prints, kept beside its results: `voxstudy logs` shows it wherever the trial ran."""

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import TextIO

from trainables.scores import Writes


class Log:
    """Collects text and writes it as one object, since object stores cannot append."""

    def __init__(self, store: Writes, path: str):
        self._store = store
        self._path = path
        self._text = io.StringIO()

    def add(self, text: str) -> None:
        """Add some text."""
        self._text.write(text)

    def flush(self) -> None:
        """Write everything collected so far."""
        self._store.write(self._path, self._text.getvalue().encode())


class _Tee(io.TextIOBase):
    """A stream that also feeds a log."""

    def __init__(self, stream: TextIO, log: Log):
        self._stream = stream
        self._log = log

    def write(self, text: str) -> int:
        self._log.add(text)
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()


@contextlib.contextmanager
def captured_output(store: Writes, path: str) -> Iterator[Log]:
    """Everything this process prints inside the block goes to the log too; written at flushes and at the end."""
    log = Log(store, path)
    out, err = _Tee(sys.stdout, log), _Tee(sys.stderr, log)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            yield log
        finally:
            log.flush()
