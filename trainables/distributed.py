"""Collectives, most of which carry gradients; with one process, or none initialised, each is the identity.

The convention for gradients: every rank computes the same global loss from gathered rows, the backward of a collective
sums the gradient over the ranks, and DDP averages the parameters' gradients over the ranks. The sum counts the loss
once a rank, the average divides by the ranks: what remains is the gradient of the global loss, as if one process had
all the rows.
(`torch.distributed.nn.functional` did this; it is deprecated, and wants equal shares on all ranks.)

Shape suffixes: B this rank's rows, G the rows of all ranks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch import distributed as dist

T = TypeVar("T")


def world() -> tuple[int, int]:
    """The rank of this process and the number of processes: (0, 1) when torch.distributed is not initialised."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def from_rank_0(make: Callable[[], T]) -> T:
    """What rank 0 makes, on every rank; it must be picklable."""
    rank, size = world()
    made = [make() if rank == 0 else None]
    if size > 1:
        dist.broadcast_object_list(made, src=0)
    return cast(T, made[0])


def buffers_from_rank_0(module: nn.Module) -> None:
    """Overwrite a module's buffers with rank 0's, on every rank."""
    if world()[1] > 1:
        for buffer in module.buffers():
            dist.broadcast(buffer, src=0)


def gather_rows(x: Tensor) -> Tensor:
    """All ranks' rows, concatenated in the order of the ranks: (B, ...) becomes (G, ...) on every rank.

    Ranks may hold different numbers of rows; the other dimensions and the dtype must agree. Gradients flow back to the
    rank that the rows came from, summed over the ranks.
    """
    if world()[1] == 1:
        return x
    gathered: Tensor = _GatherRows.apply(x)
    return gathered


def all_sum(x: Tensor) -> Tensor:
    """The sum of `x` over the ranks, the same on every rank; any shape. The gradient is summed over the ranks too."""
    if world()[1] == 1:
        return x
    total: Tensor = _AllSum.apply(x)
    return total


def _summed(x: Tensor) -> Tensor:
    total = x.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


class _AllSum(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        return _summed(x)

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        return all_sum(gradients[0])


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_B: Tensor) -> Tensor:
        rank, size = world()
        own_count = torch.tensor([x_B.shape[0]], device=x_B.device)
        gathered_counts = [torch.empty_like(own_count) for _ in range(size)]
        dist.all_gather(gathered_counts, own_count)
        counts = [int(count) for count in gathered_counts]
        # all_gather wants equal shapes: every share is padded to the largest one.
        padded = x_B.new_zeros(max(counts), *x_B.shape[1:])
        padded[: x_B.shape[0]] = x_B
        shares = [torch.empty_like(padded) for _ in range(size)]
        dist.all_gather(shares, padded)
        ctx.first, ctx.count = sum(counts[:rank]), counts[rank]
        return torch.cat([share[:count] for share, count in zip(shares, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return all_sum(gradients[0])[ctx.first : ctx.first + ctx.count]
