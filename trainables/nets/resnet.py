"""Fast ResNet34, the speaker encoder of the contrastive mixup paper (section 4.2): a ResNet-34 with a quarter of the
channels, squeeze-and-excitation in every block, and attentive pooling over time.

Differences from the usual ResNet, kept as the paper's baseline code has them: the first convolution of a block is
followed by ReLU and then batch norm; the stem halves the frequency axis alone; the last stage does not downsample.

Activations are held channels-last, which is faster on the CPU. Under autocast the convolutions run in the lower
precision, pooling and embedding in float32.

Shape suffixes: B batch, F mel bins, T frames, C channels, D embedding; H is frequency after downsampling.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.nets.batchnorm import GatheredBatchNorm
from trainables.nets.pooling import AttentiveStatisticsPooling, SelfAttentivePooling

BLOCKS = (3, 4, 6, 3)
STRIDES = (1, 2, 2, 1)
SQUEEZE = 8
POOLINGS = ("sap", "asp")


class FastResNet34(nn.Module):
    """Fast ResNet34: `width` channels in the first stage (16 in the paper), doubled in each of the next three.

    `pooling` is "sap" (self-attentive, the paper's) or "asp" (attentive statistics). `gathered` says whether batch
    norm sees the batch of all processes or each process its own share. Raises ValueError for another pooling.
    """

    def __init__(
        self, *, mels: int, embedding_size: int, width: int, pooling: str = "sap", gathered: bool = True
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, but got {pooling!r}.")
        self.mels = mels
        self.stem = nn.Conv2d(1, width, kernel_size=7, stride=(2, 1), padding=3, bias=False)
        self.stem_norm = GatheredBatchNorm(width, gathered=gathered)
        blocks: list[nn.Module] = []
        channels = width
        for stage, (count, stride) in enumerate(zip(BLOCKS, STRIDES, strict=True)):
            for index in range(count):
                first_stride = stride if index == 0 else 1
                blocks.append(Block(channels, width << stage, stride=first_stride, gathered=gathered))
                channels = width << stage
        self.blocks = nn.Sequential(*blocks)
        self.pooling = SelfAttentivePooling(channels) if pooling == "sap" else AttentiveStatisticsPooling(channels)
        self.embedding = nn.Linear(channels if pooling == "sap" else 2 * channels, embedding_size)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.to(memory_format=torch.channels_last)

    def forward(self, features_BFT: Tensor) -> Tensor:
        """(B, F, T) normalised log-mel features to (B, D) embeddings, float32 (float64 for a float64 net).

        Raises ValueError for another shape or number of mel bins.
        """
        if features_BFT.ndim != 3 or features_BFT.shape[1] != self.mels:
            raise ValueError(
                f"features_BFT must be (batch, {self.mels} mel bins, frames), "
                f"but got shape {tuple(features_BFT.shape)}."
            )
        x_BCHT = torch.relu_(self.stem_norm(_channels_last(self._stem(features_BFT.unsqueeze(1)))))
        x_BCHT = self.blocks(x_BCHT)
        with torch.autocast(features_BFT.device.type, enabled=False):
            frames_BTC = x_BCHT.to(self.embedding.weight.dtype).mean(dim=2).transpose(1, 2)
            embeddings_BD: Tensor = self.embedding(self.pooling(frames_BTC))
        return embeddings_BD

    def _stem(self, x_B1FT: Tensor) -> Tensor:
        """The first convolution. In float32 on the CPU one row at a time: torch 2.14 adds the gradient of its weights
        pixel by pixel, and over all rows' pixels that is wrong in the fifth digit.
        """
        device = x_B1FT.device.type
        if device != "cpu" or not self.training or torch.is_autocast_enabled(device):
            return cast(Tensor, self.stem(x_B1FT))
        return torch.cat([self.stem(x_11FT) for x_11FT in torch.split(x_B1FT, 1)])


class Block(nn.Module):
    """Two 3x3 convolutions with squeeze-and-excitation and a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, *, stride: int, gathered: bool = True) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(channels_in, channels_out, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm1 = GatheredBatchNorm(channels_out, gathered=gathered)
        self.conv2 = nn.Conv2d(channels_out, channels_out, kernel_size=3, padding=1, bias=False)
        self.norm2 = GatheredBatchNorm(channels_out, gathered=gathered)
        squeezed = max(1, channels_out // SQUEEZE)
        self.excitation = nn.Sequential(
            nn.Linear(channels_out, squeezed), nn.ReLU(), nn.Linear(squeezed, channels_out), nn.Sigmoid()
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            convolution = nn.Conv2d(channels_in, channels_out, kernel_size=1, bias=False)
            self.shortcut = nn.Sequential(convolution, GatheredBatchNorm(channels_out, gathered=gathered))

    def forward(self, x_BCHT: Tensor) -> Tensor:
        """(B, C, H, T) to (B, C', H / stride, T / stride), both rounded up; the activation comes last."""
        y_BCHT = self.norm2(self.conv2(self.norm1(torch.relu_(self.conv1(x_BCHT)))))
        # Not mean(): its backward writes out the divided gradient of every pixel; this one divides (B, C) numbers.
        means_BC = y_BCHT.sum(dim=(2, 3)) / y_BCHT[0, 0].numel()
        gate_BC = self._gate(means_BC)
        if self.stride != 1:
            # torch 2.14 on the CPU crashes the process in the float32 channels-last backward of a 1x1 convolution with
            # stride 2 and few channels. Slicing first, then convolving without a stride, is the same sum.
            x_BCHT = _channels_last(x_BCHT[..., :: self.stride, :: self.stride])
        out_BCHT: Tensor = _Gated.apply(self.shortcut(x_BCHT), y_BCHT, gate_BC)
        return out_BCHT

    def _gate(self, means_BC: Tensor) -> Tensor:
        """The excitation, in float64: products this small are added in another order for another number of rows."""
        gate_BC = means_BC.double()
        with torch.autocast(means_BC.device.type, enabled=False):
            for layer in self.excitation:
                if isinstance(layer, nn.Linear):
                    gate_BC = F.linear(gate_BC, layer.weight.double(), layer.bias.double())
                else:
                    gate_BC = layer(gate_BC)
        return gate_BC.to(means_BC.dtype)


class _Gated(torch.autograd.Function):
    """relu(shortcut + gate * y), the gate a number a channel: as autograd has it, less two passes over the pixels."""

    @staticmethod
    def forward(ctx: Any, shortcut_BCHT: Tensor, y_BCHT: Tensor, gate_BC: Tensor) -> Tensor:
        out_BCHT = torch.addcmul(shortcut_BCHT, y_BCHT, gate_BC[..., None, None]).relu_()
        ctx.save_for_backward(y_BCHT, gate_BC, out_BCHT)
        return out_BCHT

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y_BCHT, gate_BC, out_BCHT = ctx.saved_tensors
        d_BCHT = torch.ops.aten.threshold_backward(gradients[0], out_BCHT, 0)
        return d_BCHT, d_BCHT * gate_BC[..., None, None], (d_BCHT * y_BCHT).sum(dim=(2, 3))


def _channels_last(x_BCHT: Tensor) -> Tensor:
    return x_BCHT.contiguous(memory_format=torch.channels_last)
