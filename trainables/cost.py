"""What a trial costs, from a few steps measured on this machine: a small share of a full step, scaled up."""

import importlib
import io
import resource
import statistics
import time
from dataclasses import dataclass
from typing import Any

import torch

from trainables.corpora.banks import SYNTHETIC
from trainables.corpora.sources import open_roles
from trainables.corpora.splits import audio_caches
from trainables.loop import reset_process
from trainables.task import Corrected, Task

TIMED_EPOCHS = 3
TIMES = 2  # that each of them is timed: what else the machine does only adds, so that the least is nearest


@dataclass(frozen=True)
class Cost:
    """Of one config, on one worker.

    `share` is the part of a full step's utterances that was measured; `step_s` (seconds) and `step_bytes` are scaled to
    the full step. That makes memory too large rather than too small: what any step takes is scaled with it.
    `process_bytes` is what a worker takes before its first step, without cached audio; `utterance_s` is the scoring of
    one utterance.
    """

    device: str
    share: float
    step_s: float
    utterance_s: float
    parameters: int
    checkpoint_bytes: int
    process_bytes: int
    step_bytes: int


def measure(trainable: str, config: Any, *, threads: int, on_gpu: bool) -> Cost:
    """Train a few steps of a stand-in: the config's own net and crops on a batch that fits anywhere.

    A step is all that one takes but the reading of files: cropping, augmentation (of made noise and rooms), training.
    A full step is taken to cost as many times more as it has more utterances, as it does but for the smallest nets.
    `on_gpu` asks for a GPU; where there is none, the CPU is measured.
    """
    module = importlib.import_module(f"trainables.{trainable}")
    small, voices = module.stand_in(config)
    share = module.utterances_of_step(small) / module.utterances_of_step(config)
    needed = {role for knob, roles in config.needs.items() if getattr(config, knob) for role in roles}
    roles = {"train": [voices], **{role: [SYNTHETIC] for role in needed}}
    splits = open_roles(roles, sample_rate=config.sample_rate)
    device = torch.device("cuda" if on_gpu and torch.cuda.is_available() else "cpu")
    reset_process(seed=0, threads=threads)
    before = _peak_bytes(device)
    task: Task = module.build(small, seed=0, splits=splits, audio=audio_caches(splits), device=device, rank=0, size=1)
    optimizer, _ = task.optimizer()
    _step_s(task, optimizer, 1, device)  # warms up, and synthesises the voices
    # The steps of several epochs differ by plan, in what is augmented how: of them the mean is what a step costs.
    least = [min(_step_s(task, optimizer, epoch, device) for _ in range(TIMES)) for epoch in range(1, 1 + TIMED_EPOCHS)]
    step_bytes = int((_peak_bytes(device) - before) / share)
    task.evaluate()  # synthesises the voices, which is no part of the cost
    scoring_s = min(_scoring_s(task) for _ in range(TIMES))
    state = io.BytesIO()
    torch.save({"module": task.module.state_dict(), "optimizer": optimizer.state_dict()}, state)
    return Cost(
        device="GPU" if device.type == "cuda" else "CPU",
        share=share,
        step_s=statistics.mean(least) / share,
        utterance_s=scoring_s / len(splits.dev),
        parameters=sum(parameter.numel() for parameter in task.module.parameters()),
        checkpoint_bytes=len(state.getvalue()),
        process_bytes=before,
        step_bytes=step_bytes,
    )


def _step_s(task: Task, optimizer: torch.optim.Optimizer, epoch: int, device: torch.device) -> float:
    """The seconds of an epoch's first step."""
    began = time.perf_counter()
    batch = next(iter(task.batches(epoch)))
    optimizer.zero_grad(set_to_none=True)
    task.module(batch).backward()
    optimizer.step()
    if isinstance(task, Corrected):
        task.after_step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def _scoring_s(task: Task) -> float:
    """The seconds of scoring dev."""
    began = time.perf_counter()
    task.evaluate()
    return time.perf_counter() - began


def _peak_bytes(device: torch.device) -> int:
    """The most memory that was in use so far: of the GPU, or of this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
