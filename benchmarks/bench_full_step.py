"""One whole training step at the paper's shapes: 400 speakers x 2 crops of 2.015 s, width 16, 512 dimensions, 40 mels,
contrastive mixup of waveforms, Adam.

Run only when it is named: `python -m benchmarks.run full_step [--speakers N]`. It takes some 10 GiB and half a minute
for each of the two precisions; where less memory is free the batch is reduced, and that is said. It is the process's
first step, so it pays for getting the memory, too.
"""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Iterator

import torch

from benchmarks.memory import GIB, available_bytes, peak_bytes
from search_spaces.contrastive_mixup import ContrastiveMixup
from trainables.verifier import Crops, Verifier

NET_KNOBS = ("loss", "mixup_level", "volume", "mels", "width", "embedding_size", "precision", "pooling", "negatives")
BYTES_A_CROP = 14 << 20
SPARE_BYTES = 2 * GIB  # for what else runs


def comparisons(quick: bool, speakers: int | None) -> Iterator[str]:
    """Seconds and peak memory of a step in float32 and in bf16."""
    paper = ContrastiveMixup()
    wanted = speakers or (4 if quick else paper.batch_speakers)
    fitting = int((available_bytes() - SPARE_BYTES) / (BYTES_A_CROP * paper.batch_utterances))
    count = max(2, min(wanted, fitting))
    if count < wanted:
        yield f"full step: reduced to {count} speakers, since {available_bytes() / GIB:.1f} GiB are available"
    for precision in ("float32", "bf16"):
        yield _line(dataclasses.replace(paper, batch_speakers=count, precision=precision), paper.batch_speakers)
        gc.collect()


def _line(config: ContrastiveMixup, paper_speakers: int) -> str:
    module = Verifier(**{name: getattr(config, name) for name in NET_KNOBS})
    optimizer = torch.optim.Adam(module.parameters(), lr=config.learning_rate)
    shape = (config.batch_speakers, config.batch_utterances, round(config.crop_s * config.sample_rate))
    utterances_SUT = torch.randint(-3000, 3000, shape, dtype=torch.int16)
    partner_G = torch.randperm(len(utterances_SUT))
    crops = Crops(utterances_SUT, utterances_SUT[partner_G, -1], partner_G, ratio=0.3)
    seconds: list[float] = []

    def step() -> None:
        start, start_cpu = time.perf_counter(), time.process_time()
        optimizer.zero_grad(set_to_none=True)
        module(crops).backward()
        optimizer.step()
        seconds.extend((time.perf_counter() - start, time.process_time() - start_cpu))

    peak = peak_bytes(step)
    whole = "" if config.batch_speakers == paper_speakers else f" (the paper has {paper_speakers})"
    return (
        f"full step, {config.precision}, {config.batch_speakers} speakers x {config.batch_utterances}{whole}, "
        f"1 thread: {seconds[0]:.1f} s ({seconds[1]:.1f} s of the processor), {peak / GIB:.1f} GiB at its peak"
    )
