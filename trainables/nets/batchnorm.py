"""Batch normalisation over the whole batch, however many processes share it.

`nn.SyncBatchNorm` refuses CPU tensors; this works on both. In evaluation it is torch's own `batch_norm`, and in
training too where no exchange is asked for and torch's sums are good enough: on a GPU, and in bf16.

In float32 on the CPU torch 2.14 adds all pixels of a channels-last tensor one after the other, and its variance is
wrong in the fourth digit. Here each row of the batch is summed by itself and the rows' sums are added in float64:
exact, and the same bits for one process and for many. Bits matter: activations that differ in the last one fall on
either side of some ReLU's zero, and then gradients differ in the third digit.

Shape suffixes: B batch, C channels, P pixels (all further dimensions as one); `*` any number of further dimensions.
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
    """`nn.BatchNorm1d` and `nn.BatchNorm2d` of the batch of all processes, with their weights, buffers and defaults.

    Without `gathered` every process normalises by its own share, as torch's do.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, *, gathered: bool = True) -> None:
        super().__init__()
        self.gathered = gathered
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *) to the same shape. Raises ValueError for another number of channels, and for a single value."""
        if x.ndim < 2 or x.shape[1] != len(self.weight):
            raise ValueError(f"x must be (batch, {len(self.weight)} channels, ...), but got shape {tuple(x.shape)}.")
        is_shared = self.gathered and world()[1] > 1
        is_exact = _is_on_cpu(x) and x.dtype == self.weight.dtype
        if not self.training or not (is_shared or is_exact):
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, self.training, MOMENTUM, EPS
            )
        if not is_shared and x.numel() <= x.shape[1]:
            raise ValueError(f"x must have more than one value a channel in training, but got shape {tuple(x.shape)}.")
        mean_C, variance_C, count = _batch_statistics(x.detach().to(self.weight.dtype), is_shared)
        rounded = mean_C.to(self.weight.dtype), variance_C.to(self.weight.dtype)
        with torch.no_grad():
            # As torch does: the running variance is the unbiased one, the batch is normalised by the biased one.
            self.running_mean.lerp_(rounded[0], MOMENTUM)
            self.running_var.lerp_(rounded[1] * (count / (count - 1)), MOMENTUM)
        normalised: Tensor = _Normalise.apply(x, self.weight, self.bias, mean_C, *rounded, count, is_shared)
        return normalised


def _batch_statistics(x: Tensor, is_shared: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance, (C,) each, of the channels of all processes' rows, and their count, all float64."""
    rows_BPC = _rows(x)
    pixels = rows_BPC.shape[1]
    if _is_on_cpu(x):
        means_BC, variances_BC = _stacked(
            [torch.batch_norm_update_stats(row_PC, None, None, 0.0) for row_PC in rows_BPC], x
        )
    else:
        variances_BC, means_BC = (s.double() for s in torch.var_mean(rows_BPC, dim=1, correction=0))
    # From each row's own mean: nothing that other rows have a part in. float64 bears the difference of squares.
    sums_2C = torch.stack([means_BC, variances_BC.addcmul_(means_BC, means_BC)]).sum(dim=1) * pixels
    count = sums_2C.new_tensor(float(len(x) * pixels))
    if is_shared:
        together = torch.cat([sums_2C.flatten(), count.view(1)])
        dist.all_reduce(together)
        sums_2C, count = together[:-1].view(2, -1), together[-1]
    mean_C, square_C = sums_2C / count
    return mean_C, (square_C - mean_C.square()).clamp_(min=0.0), count


class _Normalise(torch.autograd.Function):
    """weight * (x - mean) / sqrt(variance + eps) + bias; the gradient knows that mean and variance come from x.

    `exact_mean_C` is float64, of `mean_C` the digits that rounding took.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight_C: Tensor,
        bias_C: Tensor,
        exact_mean_C: Tensor,
        mean_C: Tensor,
        variance_C: Tensor,
        count: Tensor,
        is_shared: bool,
    ) -> Tensor:
        ctx.save_for_backward(x, weight_C, exact_mean_C, mean_C, variance_C, count)
        ctx.is_shared = is_shared
        return F.batch_norm(x, mean_C, variance_C, weight_C, bias_C, training=False, eps=EPS)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_C, exact_mean_C, mean_C, variance_C, count = ctx.saved_tensors
        dtype = weight_C.dtype
        x, dy = x.to(dtype), gradients[0].to(dtype)
        inverse_C = torch.rsqrt(variance_C + EPS)
        weight_sum_C, bias_sum_C = _gradient_sums(x, dy, weight_C, mean_C, inverse_C)
        weight_sum_C -= (exact_mean_C - mean_C) * inverse_C * bias_sum_C
        sums_2C = torch.stack([weight_sum_C, bias_sum_C])
        # The parameters' gradients stay local: DDP averages them over the ranks.
        own_2C = sums_2C.to(dtype, copy=True)
        if ctx.is_shared:
            dist.all_reduce(sums_2C)
        # scale * (dy - mean(dy) - normal * mean(dy * normal)): all but dy's own term is a normalisation of x.
        scale_C = weight_C * inverse_C
        factor_C, shift_C = (sums_2C * (-scale_C / count)).to(dtype)
        dx = F.batch_norm(x, mean_C, variance_C, factor_C, shift_C, training=False, eps=EPS)
        dx.addcmul_(dy, scale_C.view(1, -1, *[1] * (x.ndim - 2)))
        return dx.to(gradients[0].dtype), own_2C[0], own_2C[1], None, None, None, None, None


def _gradient_sums(x: Tensor, dy: Tensor, weight_C: Tensor, mean_C: Tensor, inverse_C: Tensor) -> tuple[Tensor, Tensor]:
    """The sums over the own rows of dy * (x - mean) * inverse and of dy, (C,) each, in float64."""
    if not _is_on_cpu(x):
        others = [d for d in range(x.ndim) if d != 1]
        products = dy * (x - mean_C.view(1, -1, *[1] * (x.ndim - 2)))
        return (products.sum(dim=others) * inverse_C).double(), dy.sum(dim=others).double()
    gradients = [
        # Of dx, dweight and dbias the last two, which are these sums.
        torch.ops.aten.native_batch_norm_backward(
            dy_PC, x_PC, weight_C, None, None, mean_C, inverse_C, True, EPS, [False, True, True]
        )[1:]
        for x_PC, dy_PC in zip(_rows(x), _rows(dy), strict=True)
    ]
    products_BC, sums_BC = _stacked(gradients, x)
    return products_BC.sum(dim=0), sums_BC.sum(dim=0)


def _is_on_cpu(x: Tensor) -> bool:
    return x.device.type == "cpu"


def _rows(x: Tensor) -> Tensor:
    """(B, C, *) as (B, P, C): no copy if channels come last."""
    return x.movedim(1, -1).flatten(1, -2) if x.ndim > 2 else x.unsqueeze(1)


def _stacked(rows: list[tuple[Tensor, Tensor]], x: Tensor) -> tuple[Tensor, Tensor]:
    """Two (C,) of every row as two (B, C) in float64, also of no rows."""
    if not rows:
        return x.new_zeros(0, x.shape[1]).double(), x.new_zeros(0, x.shape[1]).double()
    first_BC, second_BC = (
        torch.cat([value_C for row in rows for value_C in row]).double().view(len(rows), 2, -1).unbind(1)
    )
    return first_BC, second_BC
