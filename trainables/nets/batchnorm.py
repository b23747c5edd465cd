"""Batch normalisation over the whole batch, however many processes share it.

`nn.SyncBatchNorm` refuses CPU tensors; this works on both. With one process, and in evaluation, it is torch's own
`batch_norm`. With several, the processes exchange count, mean and variance of their shares (one gather) on the way
forward and two sums a channel on the way back; shares may differ in size.

Shape suffixes: B batch, C channels, R ranks; `*` any number of further dimensions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional as F

from trainables.distributed import world

MOMENTUM = 0.1
EPS = 1e-5


class GatheredBatchNorm(nn.Module):
    """`nn.BatchNorm1d` and `nn.BatchNorm2d` of the batch of all processes, with their weights, buffers and defaults."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *) to the same shape. Raises ValueError for another number of channels."""
        if x.ndim < 2 or x.shape[1] != len(self.weight):
            raise ValueError(f"x must be (batch, {len(self.weight)} channels, ...), but got shape {tuple(x.shape)}.")
        if not self.training or world()[1] == 1:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, self.training, MOMENTUM, EPS
            )
        count, mean_C, variance_C = _batch_statistics(x.detach(), self.running_mean.dtype)
        with torch.no_grad():
            # As torch does: the running variance is the unbiased one, the batch is normalised by the biased one.
            self.running_mean.lerp_(mean_C, MOMENTUM)
            self.running_var.lerp_(variance_C * (count / (count - 1)), MOMENTUM)
        normalised: Tensor = _Normalise.apply(x, self.weight, self.bias, mean_C, variance_C, count)
        return normalised


def _batch_statistics(x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Count (scalar), mean and biased variance (C,) of each channel over all ranks' rows."""
    variance_C, mean_C = torch.var_mean(x.to(dtype), dim=[d for d in range(x.ndim) if d != 1], correction=0)
    own = torch.cat([mean_C, variance_C, mean_C.new_tensor([x.numel() // x.shape[1]])])
    ranks = [torch.empty_like(own) for _ in range(world()[1])]
    dist.all_gather(ranks, own)
    gathered_R = torch.stack(ranks)
    means_RC, variances_RC = gathered_R[:, :-1].chunk(2, dim=1)
    counts_R1 = gathered_R[:, -1:]
    count = counts_R1.sum()
    share_R1 = counts_R1 / count
    mean_all_C = (share_R1 * means_RC).sum(dim=0)
    # The variance within the shares and the variance between their means: no difference of large squares.
    variance_all_C = (share_R1 * (variances_RC + (means_RC - mean_all_C).square())).sum(dim=0)
    return count, mean_all_C, variance_all_C


class _Normalise(torch.autograd.Function):
    """weight * (x - mean) / sqrt(variance + eps) + bias; the gradient knows that mean and variance come from x."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight_C: Tensor, bias_C: Tensor, mean_C: Tensor, variance_C: Tensor, count: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x, weight_C, mean_C, torch.rsqrt(variance_C + EPS), count)
        return F.batch_norm(x, mean_C, variance_C, weight_C, bias_C, training=False, eps=EPS)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_C, mean_C, inverse_C, count = ctx.saved_tensors
        dy = gradients[0]
        others = [d for d in range(x.ndim) if d != 1]
        shape = [1, -1] + [1] * (x.ndim - 2)
        normal = (x - mean_C.view(shape)) * inverse_C.view(shape)
        bias_gradient_C = dy.sum(dim=others, dtype=mean_C.dtype)
        weight_gradient_C = (dy * normal).sum(dim=others)
        sums = torch.cat([bias_gradient_C, weight_gradient_C])
        dist.all_reduce(sums)
        bias_mean_C, weight_mean_C = (sums / count).chunk(2)
        dx = dy - bias_mean_C.view(shape) - normal * weight_mean_C.view(shape)
        dx = dx * (weight_C * inverse_C).view(shape)
        # The parameters' gradients stay local: DDP averages them over the ranks.
        return dx.to(x.dtype), weight_gradient_C, bias_gradient_C, None, None, None
