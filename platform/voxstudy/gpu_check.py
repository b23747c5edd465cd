"""What voxstudy needs of GPUs, tried on this machine: `python -m voxstudy.gpu_check`, a line a check.

Where GPUs are missing the same code runs on the CPU as far as it can, with gloo for NCCL, and the line says that this
was a dry run and what was not checked. Exit code 1 if anything failed, else 0.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch
from torch.nn import functional as F

from reports.reading import read_run
from trainables.nets.resnet import FastResNet34
from voxstudy.gpu_ranks import Results, run_ranks

OK, FAILED, NOT_CHECKED = "ok", "FAILED", "not checked"
BF16_COSINE = 0.98  # of an embedding in bf16 with that in float32
LOSS_TOLERANCE = 1e-8  # over 20 steps in float64
NORM_TOLERANCE = 1e-5  # of gathered batch norm in float32
RUN_TIMEOUT_S = 900.0

STUDY = """
title = "two lanes at once"
trainable = "contrastive_mixup"
objective = [{{ metric = "eer", goal = "minimize" }}]
seeds = 2
[corpus]
train = "synthetic?speakers=16&utterances=3&dev_speakers=6&dev_utterances=3&test_speakers=0"
[config]
width = 4
embedding_size = 16
batch_speakers = 8
crop_s = 1.0
eval_crop_s = 1.0
eval_crops = 2
epochs = 12
[[arm]]
name = "AP loss"
config = {{ loss = "ap" }}
[resources]
workers = {workers}
gpus_per_worker = {gpus}
max_lanes = {lanes}
"""


@dataclass(frozen=True)
class Check:
    """What came out of one check; `detail` has the figures, or why it was not made."""

    name: str
    verdict: str
    detail: str

    def __str__(self) -> str:
        return f"{self.name}: {self.verdict}" + (f" ({self.detail})" if self.verdict == OK else f": {self.detail}")


def main() -> int:
    """Run all checks; 1 if one failed."""
    parser = argparse.ArgumentParser(description="Try on this machine what voxstudy needs of GPUs.")
    parser.add_argument("--no-ray", action="store_true", help="leave out the checks that start Ray")
    arguments = parser.parse_args()
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    has_failed = False
    for check in checks(gpus, with_ray=not arguments.no_ray):
        print(check, flush=True)
        has_failed |= check.verdict == FAILED
    return int(has_failed)


def checks(gpus: int, *, with_ray: bool) -> Iterator[Check]:
    """All checks for a machine with so many GPUs."""
    device = "cuda" if gpus else "cpu"
    yield cuda(gpus)
    yield from tried("bf16 step", gpus, 1, lambda: bf16_step(torch.device(device)))
    if gpus:
        yield from tried("pinned memory", gpus, 1, pinned_copy)
    else:
        yield Check("pinned memory", NOT_CHECKED, "no GPU")
    ranks_device = "cuda" if gpus >= 2 else "cpu"
    with tempfile.TemporaryDirectory(prefix="voxstudy-gpu-check-") as folder:
        yield from tried("two workers", gpus, 2, lambda: two_workers(Path(folder), ranks_device))
    if not with_ray:
        yield Check("lanes", NOT_CHECKED, "--no-ray")
        return
    with tempfile.TemporaryDirectory(prefix="voxstudy-gpu-check-") as folder:
        root = Path(folder)
        share = 0.5 if gpus else 0.0
        yield from tried("two lanes of half a GPU", gpus, 1, lambda: two_lanes(root, gpus_per_worker=share))
        each = 1.0 if gpus >= 2 else 0.0
        yield from tried("a lane of two GPUs", gpus, 2, lambda: lane_of_two(root, gpus_per_worker=each))


def tried(name: str, gpus: int, needed: int, run: Callable[[], list[Check]]) -> Iterator[Check]:
    """The results of a check; without the GPUs it needs they are those of a dry run, and never more than that."""
    try:
        found = run()
    except Exception as error:
        text = str(error).strip().splitlines()
        found = [Check(name, FAILED, f"{type(error).__name__}: {text[0] if text else ''}")]
    for check in found:
        if gpus >= needed or check.verdict == NOT_CHECKED:
            yield check
            continue
        missing = "no GPU" if gpus == 0 else f"{gpus} GPU, {needed} are needed"
        if check.verdict == OK:
            yield Check(check.name, NOT_CHECKED, f"{missing}; dry run on the CPU: ok ({check.detail})")
        else:
            yield Check(check.name, FAILED, f"{missing}; dry run on the CPU: {check.detail}")


def cuda(gpus: int) -> Check:
    """Whether torch sees GPUs, and which."""
    if gpus == 0:
        built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
        return Check("CUDA", NOT_CHECKED, f"torch {torch.__version__}, built {built}, sees no GPU")
    names = ", ".join(torch.cuda.get_device_name(i) for i in range(gpus))
    return Check("CUDA", OK, f"torch {torch.__version__}, CUDA {torch.version.cuda}, {gpus} of: {names}")


def bf16_step(device: torch.device) -> list[Check]:
    """A step of Fast ResNet34 under autocast: finite gradients, embeddings that point where float32's do."""
    torch.manual_seed(0)
    net = FastResNet34(mels=40, embedding_size=32, width=8).to(device)
    features_BFT = torch.randn(8, 40, 100, device=device)
    embeddings = []
    for is_bf16 in (False, True):
        net.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_bf16):
            embeddings_BD = net(features_BFT)
        embeddings_BD.square().sum().backward()
        embeddings.append(embeddings_BD.detach())
    is_finite = all(p.grad is not None and bool(p.grad.isfinite().all()) for p in net.parameters())
    cosine = float(F.cosine_similarity(*embeddings).min())
    detail = f"smallest cosine with float32 {cosine:.4f}, wanted {BF16_COSINE}; gradients finite: {is_finite}"
    return [Check("bf16 step", OK if is_finite and cosine >= BF16_COSINE else FAILED, detail)]


def pinned_copy() -> list[Check]:
    """A batch of int16 crops through pinned memory to the GPU and back, as a trial reads it."""
    samples = torch.randint(-(1 << 15), 1 << 15, (64, 32_240), dtype=torch.int16)
    there = samples.pin_memory().to("cuda", non_blocking=True)
    is_equal = torch.equal(there.cpu(), samples)
    return [Check("pinned memory", OK if is_equal else FAILED, "64 crops there and back")]


def two_workers(folder: Path, device: str) -> list[Check]:
    """Losses and batch norm of one worker and of two with the same global batch."""
    (one,), two = run_ranks(1, folder, device=device), run_ranks(2, folder, device=device)
    return compared(one, two, device=device)


def compared(one: Results, two: list[Results], *, device: str) -> list[Check]:
    """What one rank computed with what each of two computed."""
    backend = "NCCL" if device == "cuda" else "gloo"
    apart = max(float((rank["losses"] - one["losses"]).abs().max()) for rank in two)
    learns = bool(one["losses"].isfinite().all()) and len(one["losses"].unique()) > 1
    losses = Check(
        f"losses of one and two workers ({backend})",
        OK if learns and apart <= LOSS_TOLERANCE else FAILED,
        f"{len(one['losses'])} steps in float64 differ by {apart:.1e} at most, allowed {LOSS_TOLERANCE:g}",
    )
    # On the CPU SyncBatchNorm does not work: there torch's batch norm of the whole batch is what to equal.
    differences = [
        float((got - wanted).abs().max())
        for rank in two
        for got, wanted in zip(rank["gathered"], (rank if "torch" in rank else one)["torch"], strict=True)
    ]
    against = "SyncBatchNorm" if device == "cuda" else "the whole batch's BatchNorm2d"
    norm = Check(
        f"gathered batch norm ({backend})",
        OK if max(differences) <= NORM_TOLERANCE else FAILED,
        f"differs from {against} by {max(differences):.1e} at most, allowed {NORM_TOLERANCE:g}",
    )
    return [losses, norm]


def two_lanes(folder: Path, *, gpus_per_worker: float) -> list[Check]:
    """A study of four short trials in two lanes: all complete, and two of them were at work at one time."""
    trials = _run_study(folder / "lanes", workers=1, gpus=gpus_per_worker, lanes=2)
    used = trials["lane"].n_unique()
    overlap = any(
        one["lane"] != other["lane"] and one["started"] < other["ended"] and other["started"] < one["ended"]
        for one in trials.iter_rows(named=True)
        for other in trials.iter_rows(named=True)
    )
    detail = f"{_states(trials)} in {used} lanes, {'two' if overlap else 'never two'} at a time"
    return [Check("two lanes of half a GPU", OK if overlap and _are_complete(trials) else FAILED, detail)]


def lane_of_two(folder: Path, *, gpus_per_worker: float) -> list[Check]:
    """The same study in one lane of two workers."""
    trials = _run_study(folder / "lane", workers=2, gpus=gpus_per_worker, lanes=1)
    is_right = _are_complete(trials) and set(trials["workers"]) == {2}
    return [Check("a lane of two GPUs", OK if is_right else FAILED, f"{_states(trials)} with two workers each")]


def _run_study(folder: Path, *, workers: int, gpus: float, lanes: int) -> pl.DataFrame:
    """Run the study with the command line, as users do; its trials. Raises RuntimeError with the run's last words."""
    folder.mkdir()
    study, run = folder / "study.toml", folder / "run"
    study.write_text(STUDY.format(workers=workers, gpus=gpus, lanes=lanes))
    done = subprocess.run(
        [sys.executable, "-m", "voxstudy", "run", str(study), "--run", str(run)],
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
        env=os.environ | {"COLUMNS": "200"},
    )
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise RuntimeError(f"exit code {done.returncode}: {lines[-1] if lines else ''}")
    return read_run(str(run)).trials.collect()


def _are_complete(trials: pl.DataFrame) -> bool:
    return trials.height > 0 and set(trials["state"]) == {"complete"}


def _states(trials: pl.DataFrame) -> str:
    counts = trials["state"].value_counts(sort=True).iter_rows()
    return "trials: " + ", ".join(f"{count} {state}" for state, count in counts)


if __name__ == "__main__":
    sys.exit(main())
