"""What the training loop needs of a trainable, and nothing more: the seam between `loop.fit` and a method's module."""

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa
import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler


class Task(Protocol):
    """One trial's work on one worker; built anew for every trial by `trainables.<trainable>.build`.

    `module(batch)` is the scalar loss of the whole batch, the same on every worker; the loop wraps it for data
    parallelism. `gradient_clip` is the largest 2-norm of a step's gradient over all parameters, 0 if there is none.
    """

    module: nn.Module
    epochs: int
    gradient_clip: float

    def optimizer(self) -> tuple[torch.optim.Optimizer, LRScheduler]:
        """The optimizer of the module's parameters, and its schedule, stepped once an epoch."""
        ...

    def batches(self, epoch: int) -> Iterable[Any]:
        """The worker's share of the globally planned batches of `epoch` (from 1); deterministic in (seed, epoch)."""
        ...

    def evaluate(self) -> dict[str, float]:
        """The dev metrics of the module as it is now, the same on every worker. All workers must call it."""
        ...

    def test(self) -> dict[str, float]:
        """The metrics of the test set with the module as it is now, the same on every worker. All workers must call it.

        Only to be called where the study has a test set.
        """
        ...

    def scores(self) -> pa.Table:
        """What the last `evaluate` scored, and `test` since then: split (dev or test), left, right, label, score."""
        ...


@runtime_checkable
class Corrected(Protocol):
    """A task that puts its parameters back into their bounds after each optimizer step (optional)."""

    def after_step(self) -> None:
        """Correct the parameters in place."""
        ...
