"""Pooling over time: from a feature vector a frame to one an utterance.

Shape suffixes: B batch, T frames, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEAST_VARIANCE = 1e-5


class SelfAttentivePooling(nn.Module):
    """Self-attentive pooling (Cai, Chen and Li 2018): the mean frame, weighted by softmax(v · tanh(W x + b))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels, channels)
        self.attention = nn.Parameter(torch.empty(channels, 1))
        nn.init.xavier_normal_(self.attention)

    def forward(self, frames_BTC: Tensor) -> Tensor:
        """(B, T, C) to (B, C)."""
        weights_BT1 = attention_weights(frames_BTC, self.hidden, self.attention)
        return (weights_BT1.transpose(1, 2) @ frames_BTC).squeeze(1)


class AttentiveStatisticsPooling(nn.Module):
    """Attentive statistics pooling (Okabe, Koshinaka and Shinoda 2018): mean and standard deviation of the frames,
    weighted by the attention of `SelfAttentivePooling`, as the contrastive mixup paper's baseline code has it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels, channels)
        self.attention = nn.Parameter(torch.empty(channels, 1))
        nn.init.xavier_normal_(self.attention)

    def forward(self, frames_BTC: Tensor) -> Tensor:
        """(B, T, C) to (B, 2 C): the means, then the standard deviations, at least sqrt(1e-5)."""
        weights_B1T = attention_weights(frames_BTC, self.hidden, self.attention).transpose(1, 2)
        mean_B1C = weights_B1T @ frames_BTC
        # E[(x - mean)^2] and not E[x^2] - mean^2: the same, without a difference of large squares.
        variance_B1C = weights_B1T @ (frames_BTC - mean_B1C).square()
        # The floor keeps the gradient of the root finite where all frames are alike.
        return torch.cat([mean_B1C, variance_B1C.clamp(min=LEAST_VARIANCE).sqrt()], dim=2).squeeze(1)


def attention_weights(frames_BTC: Tensor, hidden: nn.Linear, attention_C1: Tensor) -> Tensor:
    """Softmax over the frames of v . tanh(W x + b): (B, T, C) to (B, T, 1)."""
    return torch.softmax(torch.tanh(hidden(frames_BTC)) @ attention_C1, dim=1)
