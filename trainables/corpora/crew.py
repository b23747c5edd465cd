"""The processes that decode for an import. One worker needs no process of its own."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from types import TracebackType

from trainables.corpora.corpus import CorpusError
from trainables.corpora.found import Found
from trainables.corpora.pieces import Hear, Packed, Piece, Recipe, contents_of, pack_piece


class Crew:
    """Packs pieces with so many processes; a context, at whose end they are gone."""

    def __init__(self, workers: int, recipe: Recipe, hear: Hear) -> None:
        self._workers = workers
        self._recipe = recipe
        self._hear = hear
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Crew":
        """Return the crew; processes start with the first work."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes; what is not begun is not begun any more."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def pack(self, pieces: Sequence[Piece], told: Callable[[Packed], None]) -> None:
        """Pack the pieces and tell of each that is done, in whatever order; raises CorpusError if a process died."""
        if self._workers == 1 or len(pieces) < 2:
            for piece in pieces:
                told(pack_piece(piece, self._recipe, self._hear))
            return
        pool = self._started()
        with _deaths_told():
            begun: list[Future[Packed]] = [pool.submit(pack_piece, piece, self._recipe, self._hear) for piece in pieces]
            for future in as_completed(begun):
                told(future.result())

    def contents(self, parts: Sequence[Sequence[Found]]) -> Iterator[list[str | None]]:
        """Yield the hashes of what is heard in each part, in order; raises CorpusError if a process died."""
        if self._workers == 1 or len(parts) < 2:
            yield from (contents_of(part, self._recipe, self._hear) for part in parts)
            return
        pool = self._started()
        with _deaths_told():
            begun = [pool.submit(contents_of, part, self._recipe, self._hear) for part in parts]
            for future in begun:
                yield future.result()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Spawned and not forked: the parent may have threads, of torch and of Arrow.
            self._pool = ProcessPoolExecutor(self._workers, mp_context=get_context("spawn"), initializer=_settle)
        return self._pool


@contextmanager
def _deaths_told() -> Iterator[None]:
    """Say in words that a process died."""
    try:
        yield
    except BrokenProcessPool as error:
        raise CorpusError(
            "a process of the import was killed, perhaps for want of memory; the same command goes on, "
            "with fewer workers it needs less"
        ) from error


def _settle() -> None:
    """Make a process one of the crew: one thread, deaf to Ctrl-C, which its parent hears, and gone when that is."""
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
