"""Pooling over time: from a feature vector a frame to one an utterance.

Shape suffixes: B batch, T frames, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SelfAttentivePooling(nn.Module):
    """Self-attentive pooling (Cai, Chen and Li 2018): the mean frame, weighted by softmax(v · tanh(W x + b))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels, channels)
        self.attention = nn.Parameter(torch.empty(channels, 1))
        nn.init.xavier_normal_(self.attention)

    def forward(self, frames_BTC: Tensor) -> Tensor:
        """(B, T, C) to (B, C)."""
        weights_BT1 = torch.softmax(torch.tanh(self.hidden(frames_BTC)) @ self.attention, dim=1)
        return (weights_BT1.transpose(1, 2) @ frames_BTC).squeeze(1)
