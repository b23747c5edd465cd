"""3,000 synthetic utterances of two seconds, against the 40 s that they may take: in one process, and in two."""

from __future__ import annotations

import hashlib
import multiprocessing
import time
from collections.abc import Iterator, Sequence

from benchmarks.side_by_side import Comparison
from trainables.corpora.synthetic import MOST_UTTERANCES, SyntheticSource, read_options

TEXT = "synthetic?speakers=300&utterances=10&seconds=2"
ALLOWED_S = 40.0
UTTERANCES = 10  # a speaker


def synthesise(speakers: Sequence[int]) -> str:
    """Synthesise all utterances of these speakers; their hash."""
    source = SyntheticSource(text=TEXT, options=read_options(TEXT))
    digest = hashlib.sha256()
    for speaker in speakers:
        for utterance in range(UTTERANCES):
            digest.update(source.said(speaker * MOST_UTTERANCES + utterance).tobytes())
    return digest.hexdigest()


def comparisons(quick: bool) -> Iterator[Comparison]:
    """One process, then two; both must give the same samples."""
    speakers = list(range(6 if quick else 300))
    halves = (speakers[: len(speakers) // 2], speakers[len(speakers) // 2 :])
    what = f"{len(speakers) * UTTERANCES:,} voices of 2 s"
    allowed = ALLOWED_S * len(speakers) / 300
    start = time.perf_counter()
    alone = [synthesise(half) for half in halves]
    yield Comparison(what, "one process", "allowed", time.perf_counter() - start, allowed, wanted=1.0)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(synthesise, [[0], [0]])  # the processes' start does not count
        start = time.perf_counter()
        shared = pool.map(synthesise, halves)
        seconds = time.perf_counter() - start
    assert alone == shared
    yield Comparison(what, "two processes", "allowed", seconds, allowed, wanted=1.0)
