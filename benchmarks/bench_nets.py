"""A training step of the paper's net, front end and AP loss included, against the same net in the usual torch form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.bench_losses import repeated_form
from benchmarks.side_by_side import Comparison, compare
from trainables.features import LogMel, instance_normalise
from trainables.losses import angular_prototypical_loss
from trainables.nets.resnet import BLOCKS, STRIDES, FastResNet34

CROP_SAMPLES = 32_240
WIDTH, EMBEDDING, MELS = 16, 512, 40


class UsualBlock(nn.Module):
    """Default memory layout, no in-place activations, strided 1x1 shortcut."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(channels_out), nn.BatchNorm2d(channels_out)
        squeezed = channels_out // 8
        self.excitation = nn.Sequential(
            nn.Linear(channels_out, squeezed), nn.ReLU(), nn.Linear(squeezed, channels_out), nn.Sigmoid()
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            convolution = nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        """One block."""
        y = self.norm2(self.conv2(self.norm1(F.relu(self.conv1(x)))))
        gate = self.excitation(F.adaptive_avg_pool2d(y, 1).flatten(1))[..., None, None]
        return F.relu(y * gate + self.shortcut(x))


class UsualNet(nn.Module):
    """Fast ResNet34 as one writes it first."""

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        channels = WIDTH
        for stage, (count, stride) in enumerate(zip(BLOCKS, STRIDES, strict=True)):
            for index in range(count):
                blocks.append(UsualBlock(channels, WIDTH << stage, stride if index == 0 else 1))
                channels = WIDTH << stage
        self.stem = nn.Sequential(
            nn.Conv2d(1, WIDTH, 7, stride=(2, 1), padding=3, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU()
        )
        self.blocks = nn.Sequential(*blocks)
        self.hidden, self.attention = nn.Linear(channels, channels), nn.Parameter(torch.randn(channels, 1))
        self.embedding = nn.Linear(channels, EMBEDDING)

    def forward(self, features_BFT: Tensor) -> Tensor:
        """Features to embeddings."""
        x = self.blocks(self.stem(features_BFT.unsqueeze(1))).mean(dim=2).transpose(1, 2)
        weights = torch.softmax(torch.tanh(self.hidden(x)) @ self.attention, dim=1)
        embeddings: Tensor = self.embedding((x * weights).sum(dim=1))
        return embeddings


def step(net: nn.Module, loss: Callable[..., Tensor], front_end: LogMel, waveforms_BT: Tensor, bf16: bool) -> None:
    """Front end, net, loss, backward."""
    net.zero_grad()
    with torch.no_grad():
        features_BFT = instance_normalise(front_end(waveforms_BT))
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        embeddings_SUD = net(features_BFT).unflatten(0, (-1, 2))
    loss(embeddings_SUD=embeddings_SUD, scale=10.0, bias=-5.0).backward()


def comparisons(quick: bool) -> Iterator[Comparison]:
    """Float32 and bf16 steps against the usual form in float32."""
    front_end, waveforms = LogMel(MELS), 0.1 * torch.randn(4 if quick else 32, CROP_SAMPLES)
    net, usual = FastResNet34(mels=MELS, embedding_size=EMBEDDING, width=WIDTH), UsualNet()
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in usual.parameters())
    theirs = ("usual form, float32", partial(step, usual, repeated_form, front_end, waveforms, False))
    for name, bf16, wanted in (("float32", False, 1.15), ("bf16", True, 1.7)):
        yield compare(
            f"Fast ResNet34 training step, {len(waveforms)} crops of 2 s",
            ours=(f"ours, {name}", partial(step, net, angular_prototypical_loss, front_end, waveforms, bf16)),
            theirs=theirs,
            rounds=2 if quick else 4,
            wanted=wanted,
        )
