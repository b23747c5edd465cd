"""The training loop of every trainable: epochs, evaluations, checkpoints, reports. It knows no Ray and no method.

Epoch 0 is the untrained net, or the weights that the trial starts from, evaluated. The test set is scored after the
last epoch, if at all. Every epoch draws from its own streams of (seed, epoch) and ends with a checkpoint, so a trial
that was killed and resumed equals an uninterrupted one bit for bit on the CPU. With several workers rank 0 alone
decides, saves and reports, and all ranks leave at the same step.
"""

import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from trainables.checkpoints import Checkpoints, History, InitialError, State, load_weights
from trainables.distributed import from_rank_0, world
from trainables.task import Corrected, Task

COMPLETE, STOPPED = "complete", "stopped"


class Diverged(Exception):
    """A loss, a gradient or a metric is no longer finite: the config does not train."""


@dataclass(frozen=True)
class Directive:
    """The answer to a report: whether to stop here, and up to which epoch the rows are safe in the tables."""

    stop: bool
    committed: int


def fit(
    *,
    build_task: Callable[[], Task],
    seed: int,
    seen: int,
    report: Callable[[dict[str, Any]], Directive],
    stopped: Callable[[], bool],
    wrap: Callable[[nn.Module], nn.Module],
    checkpoints: Checkpoints,
    write_scores: Callable[[pa.Table], str],
    rank: int,
    threads: int,
    after_epoch: Callable[[], object] = lambda: None,
    score_test: bool = False,
    initial: Callable[[], State] | None = None,
) -> str:
    """Train one trial from its newest checkpoint, or from nothing, to its last epoch; "complete" or "stopped".

    Rows {"epoch", "metrics", "duration_s", "resent"} go to `report` for every epoch after `seen` (-1: none), first
    those of the checkpoint's history with `resent` true. The last row has "scores" too, what `write_scores` returned,
    and with `score_test` "test": {"metrics", "scored": rows of the test set}; it is reported even if it was seen:
    whoever lost the scores asks again. On rank 0 `stopped` is asked before every step.

    `initial`, asked on rank 0, gives the state whose weights a trial without a checkpoint starts from; optimizer and
    schedule start anew.

    Raises Diverged when the loss, the norm of a gradient that is clipped or a metric is not finite, InitialError when
    the weights to start from are missing or do not fit; each of them on all ranks.
    """
    reset_process(seed=seed, threads=threads)
    task = build_task()
    optimizer, scheduler = task.optimizer()
    device = next(task.module.parameters()).device
    history = _restore(
        checkpoints, module=task.module, optimizer=optimizer, scheduler=scheduler, device=device, rank=rank
    )
    if initial is not None and not history:
        _start_from(initial, task.module)
    model = wrap(task.module)

    def is_stopped() -> bool:
        return bool(_from_rank_0(int(rank == 0 and stopped()), device=device))

    def is_stopped_by_report(row: dict[str, Any], *, resent: bool) -> bool:
        stop = False
        if rank == 0:
            directive = report({**row, "resent": resent})
            checkpoints.prune(directive.committed)
            stop = directive.stop
        return bool(_from_rank_0(int(stop), device=device))

    def report_last(row: dict[str, Any], *, resent: bool) -> None:
        if score_test:
            row = _with_test(row, task=task, optimizer=optimizer, rank=rank)
        if rank == 0:
            scores = task.scores()
            row = {**row, "scores": write_scores(scores)}
            if score_test:
                row["test"]["scored"] = pc.sum(pc.equal(scores["split"], "test")).as_py()
        is_stopped_by_report(row, resent=resent)

    done = len(history) - 1
    for row in history[:-1] if done == task.epochs else history:
        if row["epoch"] > seen and is_stopped_by_report(row, resent=True):
            return STOPPED
    if done == task.epochs:
        # The training is done, but its scores or the last report may have been lost: one evaluation gives them again.
        task.evaluate()
        report_last(history[-1], resent=True)
        return COMPLETE

    for epoch in range(done + 1, task.epochs + 1):
        began = time.perf_counter()
        _reseed(seed, epoch)
        if is_stopped():
            return STOPPED
        metrics: dict[str, float] = {}
        if epoch > 0:
            train_loss = _train(model, task=task, optimizer=optimizer, epoch=epoch, is_stopped=is_stopped)
            if train_loss is None:
                return STOPPED
            scheduler.step()
            metrics["train_loss"] = train_loss
        metrics |= task.evaluate()
        for name, value in metrics.items():
            _require_finite(name, value, epoch=epoch, optimizer=optimizer)
        row = {"epoch": epoch, "metrics": metrics, "duration_s": time.perf_counter() - began}
        history.append(row)
        if rank == 0:
            # Saved before it is told: then a row that the driver has can always be gone on from.
            checkpoints.save(epoch, _state(task.module, optimizer, scheduler), history)
            print(_line(row, epochs=task.epochs, optimizer=optimizer), flush=True)
        after_epoch()
        if epoch == task.epochs:
            report_last(row, resent=False)
        elif epoch > seen and is_stopped_by_report(row, resent=False):
            return STOPPED
    return COMPLETE


def reset_process(*, seed: int, threads: int) -> None:
    """Put what a trial may have changed globally back to what a new process has: a process serves many trials."""
    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.set_grad_enabled(True)
    for device in ("cpu", "cuda"):
        torch.set_autocast_enabled(device, False)
    torch.clear_autocast_cache()
    torch.set_float32_matmul_precision("highest")
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = False
    _reseed(seed, 0)


def _reseed(seed: int, epoch: int) -> None:
    """Start every global stream of random numbers anew from (seed, epoch), whatever was drawn before."""
    words = np.random.SeedSequence((seed, epoch)).generate_state(3)
    torch.manual_seed(int(words[0]))
    np.random.seed(int(words[1]))
    random.seed(int(words[2]))


def _state(module: nn.Module, optimizer: torch.optim.Optimizer, scheduler: LRScheduler) -> State:
    return {
        "module": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
    }


def _restore(
    checkpoints: Checkpoints,
    *,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: LRScheduler,
    device: torch.device,
    rank: int,
) -> History:
    """Load the newest checkpoint that rank 0 can read, on every rank; its history, empty if there is none."""
    found = checkpoints.load_newest() if rank == 0 else None
    epoch = _from_rank_0(found[0] if found else -1, device=device)
    if epoch < 0:
        return []
    if found is None:
        found = checkpoints.load_newest(epoch=epoch)
        if found is None:
            raise RuntimeError(f"{checkpoints.folder}: worker {rank} cannot read epoch {epoch}, which worker 0 can")
    _, state, history = found
    module.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    scheduler.load_state_dict(state["scheduler"])
    if rank == 0:
        print(f"resumed after epoch {epoch}", flush=True)
    return history


def _start_from(initial: Callable[[], State], module: nn.Module) -> None:
    """Load the weights that rank 0 gets, on every rank; raises InitialError on all of them or on none."""

    def weights() -> dict[str, Tensor] | InitialError:
        try:
            found: dict[str, Tensor] = initial()["module"]
            return found
        except InitialError as error:
            return error

    found = from_rank_0(weights)
    if isinstance(found, InitialError):
        raise found
    load_weights(module, found)


def _train(
    model: nn.Module,
    *,
    task: Task,
    optimizer: torch.optim.Optimizer,
    epoch: int,
    is_stopped: Callable[[], bool],
) -> float | None:
    """One pass over the epoch's batches; the mean loss, None if it was stopped."""
    model.train()
    losses = []
    for batch in task.batches(epoch):
        if is_stopped():
            return None
        optimizer.zero_grad(set_to_none=True)
        loss = model(batch)
        losses.append(float(loss.detach()))  # of the whole batch, so all ranks see the same and leave together
        _require_finite("loss", losses[-1], epoch=epoch, optimizer=optimizer)
        loss.backward()
        if task.gradient_clip > 0:
            # After the backward pass the gradient is that of the whole batch on every rank: all cut it alike.
            norm = nn.utils.clip_grad_norm_(task.module.parameters(), task.gradient_clip)
            _require_finite("gradient norm", float(norm), epoch=epoch, optimizer=optimizer)
        optimizer.step()
        if isinstance(task, Corrected):
            task.after_step()
    return math.fsum(losses) / len(losses)


def _with_test(row: dict[str, Any], *, task: Task, optimizer: torch.optim.Optimizer, rank: int) -> dict[str, Any]:
    """The last row with the metrics of the test set, its duration with the time that they took."""
    began = time.perf_counter()
    metrics = task.test()
    for name, value in metrics.items():
        _require_finite(f"test {name}", value, epoch=row["epoch"], optimizer=optimizer)
    seconds = time.perf_counter() - began
    if rank == 0:
        print(f"test  {_in_words(metrics)}  {seconds:.1f} s", flush=True)
    return {**row, "duration_s": row["duration_s"] + seconds, "test": {"metrics": metrics}}


def _require_finite(name: str, value: float, *, epoch: int, optimizer: torch.optim.Optimizer) -> None:
    if not math.isfinite(value):
        group = optimizer.param_groups[0]
        rate = group.get("initial_lr", group["lr"])  # the knob's value: that is what to change
        raise Diverged(f"diverged at epoch {epoch}, {name} {value}, learning_rate {rate:g}")


def _line(row: Mapping[str, Any], *, epochs: int, optimizer: torch.optim.Optimizer) -> str:
    rate = optimizer.param_groups[0]["lr"]
    return f"epoch {row['epoch']}/{epochs}  {_in_words(row['metrics'])}  next lr {rate:.3g}  {row['duration_s']:.1f} s"


def _in_words(metrics: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())


def _from_rank_0(value: int, *, device: torch.device) -> int:
    """Rank 0's value, on every rank."""
    if world()[1] == 1:
        return value
    told = torch.tensor(value, device=device)
    dist.broadcast(told, src=0)
    return int(told)
