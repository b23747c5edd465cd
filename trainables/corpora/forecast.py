"""What an import will take, told before it begins, and how its utterances are cut into pieces of even size."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from trainables.corpora.corpus import CorpusError
from trainables.corpora.found import Found
from trainables.corpora.pieces import Hear, Recipe, Refused, beyond_limits, listen

SAMPLE = 16  # utterances decoded to know what a byte of a file becomes
SHARD_BYTES = 64 << 20
FEWEST_PIECES = 16  # so that a small corpus keeps several processes busy, too
LEAST_BYTES = 1 << 20  # of a piece
MOST_UTTERANCES = 20_000  # in a piece, however short they are
THREADS = 8  # a look at a file waits for the disk, or the network


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it stands: `num_bytes` is -1 where there is none."""

    num_bytes: int
    changed_ns: int


@dataclass(frozen=True)
class Forecast:
    """What is to come; `work_s` is the time of one process; `num_bytes` is of what the limits of length keep."""

    hours: float
    num_bytes: int
    work_s: float
    num_heard: int
    bytes_of: tuple[float, ...]  # expected of each utterance, decoded, whether it is kept or not

    def line(self, workers: int) -> str:
        """Return the forecast as a sentence."""
        return (
            f"{len(self.bytes_of)} utterances, about {_amount(self.hours, 'hour')} of audio, {size_of(self.num_bytes)} "
            f"on the disk and {_duration(self.work_s / workers)} of work for {workers} "
            f"process{'es' if workers > 1 else ''}, by {self.num_heard} of them"
        )


def file_states(found: Sequence[Found]) -> list[FileState]:
    """Return how the files stand; an utterance that is no file counts as one byte.

    Raises CorpusError for a file that the system does not show: it may well be there.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(_state, (one.path for one in found)))


def _state(path: str) -> FileState:
    if not os.path.isabs(path):
        return FileState(1, 0)
    try:
        stat = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return FileState(-1, 0)
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read: {error.strerror}; mend that, then import again") from None
    return FileState(stat.st_size, stat.st_mtime_ns)


def forecast(found: Sequence[Found], states: Sequence[FileState], *, recipe: Recipe, hear: Hear) -> Forecast:
    """Decode a few utterances, evenly spaced, and expect of every byte of a file what theirs became."""
    count = min(SAMPLE, len(found))
    chosen = [n * len(found) // count for n in range(count)]
    # Pieces are cut by what is decoded: when none of these few is kept, others may be.
    without_limits = replace(recipe, shortest_s=None, longest_s=None)
    if chosen:
        listen(found[chosen[0]], without_limits, hear)  # the first one also loads what decoding needs
    read: dict[str, int] = {}
    made: dict[str, int] = {}
    num_kept = 0
    start = time.perf_counter()
    for n in chosen:
        heard = listen(found[n], without_limits, hear)
        num_samples = 0 if isinstance(heard, Refused) else len(heard[0])
        num_kept += 0 if beyond_limits(num_samples, recipe) else num_samples
        ending = _ending(found[n])
        read[ending] = read.get(ending, 0) + max(1, states[n].num_bytes)
        made[ending] = made.get(ending, 0) + 2 * num_samples
    seconds = time.perf_counter() - start
    overall = sum(made.values()) / max(1, sum(read.values())) or 1.0  # all bad: files take at least their own size
    rates = {ending: made[ending] / read[ending] or overall for ending in read}
    bytes_of = tuple(
        max(0, state.num_bytes) * rates.get(_ending(one), overall) for one, state in zip(found, states, strict=True)
    )
    num_bytes = round(sum(bytes_of) * 2 * num_kept / max(1, sum(made.values())))
    sampled = sum(bytes_of[n] for n in chosen)
    return Forecast(
        hours=num_bytes / 2 / recipe.sample_rate / 3600,
        num_bytes=num_bytes,
        work_s=seconds * (sum(bytes_of) / sampled if sampled else 1.0),
        num_heard=count,
        bytes_of=bytes_of,
    )


def _ending(found: Found) -> str:
    return os.path.splitext(found.path)[1].lower() if os.path.isabs(found.path) else ""


def cut(bytes_of: Sequence[float]) -> list[int]:
    """Return the borders of the pieces: 0, the first utterance of each other piece, the number of utterances."""
    goal = min(SHARD_BYTES, max(LEAST_BYTES, sum(bytes_of) / FEWEST_PIECES))
    borders, filled = [0], 0.0
    for n, expected in enumerate(bytes_of):
        if n > borders[-1] and (filled + expected / 2 > goal or n - borders[-1] >= MOST_UTTERANCES):
            borders.append(n)
            filled = 0.0
        filled += expected
    return [*borders, len(bytes_of)]


def size_of(num_bytes: float) -> str:
    """Return a size as people write it."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if num_bytes >= factor:
            return f"{num_bytes / factor:.3g} {unit}"
    return f"{num_bytes / 1e3:.3g} kB"


def _amount(value: float, unit: str) -> str:
    return f"{value:.2g} {unit}s" if value < 10 else f"{value:,.0f} {unit}s"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
