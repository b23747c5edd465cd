"""Mixing one speaker's crop with another's, as waveforms or as features (contrastive mixup paper, equation 4).

The paper mixes waveforms and calls it "critical to normalize the volume" without saying how: here the partner is
brought to the level of the own crop. Log-mel features with instance normalisation do not see a gain common to both, so
only the relative level matters.

Shape suffixes: S speakers (rows), T samples or frames, F mel bins.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

VOLUMES = ("rms", "peak", "none")
SILENCE = 1e-8  # RMS, full scale = 1: well under one single unit of 16 bits in a crop of some seconds


def mix_waveforms(*, waveforms_ST: Tensor, partners_ST: Tensor, ratio: float, volume: str = "rms") -> Tensor:
    """`ratio` of each waveform plus 1 - `ratio` of its partner, the partner scaled to the waveform's level: (S, T).

    `volume` says which level is matched over the crop: "rms", "peak" (largest magnitude) or "none" (no scaling).
    A row of which either crop is silent comes back unchanged; `mixable` tells which rows those are, so that labels can
    follow. Samples are floats with full scale 1. The result may pass full scale: it is not clipped.

    Raises ValueError for shapes that do not fit, a ratio outside [0, 1] or an unknown volume.
    """
    _require_pair("waveforms_ST", waveforms_ST, partners_ST, ratio, dimensions=2)
    if volume not in VOLUMES:
        raise ValueError(f"volume must be one of {', '.join(VOLUMES)}, but got {volume!r}.")
    mixable_S1 = mixable(waveforms_ST=waveforms_ST, partners_ST=partners_ST).unsqueeze(1)
    if volume == "none":
        gain_S1 = torch.ones_like(mixable_S1, dtype=waveforms_ST.dtype)
    else:
        level = _rms if volume == "rms" else _peak
        # The divisor of a silent partner is replaced, not used: its row is taken from waveforms_ST below.
        partner_level_S1 = torch.where(mixable_S1, level(partners_ST), 1.0)
        gain_S1 = level(waveforms_ST) / partner_level_S1
    mixed_ST = ratio * waveforms_ST + (1.0 - ratio) * gain_S1 * partners_ST
    return torch.where(mixable_S1, mixed_ST, waveforms_ST)


def mixable(*, waveforms_ST: Tensor, partners_ST: Tensor) -> Tensor:
    """Which rows `mix_waveforms` mixes: (S,) bool, false where the own or the partner's crop is silent."""
    return ((_rms(waveforms_ST) > SILENCE) & (_rms(partners_ST) > SILENCE)).squeeze(1)


def mix_features(*, features_SFT: Tensor, partners_SFT: Tensor, ratio: float) -> Tensor:
    """`ratio` of each utterance's log-mel features plus 1 - `ratio` of its partner's: (S, F, T).

    Raises ValueError for shapes that do not fit or a ratio outside [0, 1].
    """
    _require_pair("features_SFT", features_SFT, partners_SFT, ratio, dimensions=3)
    return ratio * features_SFT + (1.0 - ratio) * partners_SFT


def _rms(waveforms_ST: Tensor) -> Tensor:
    # A norm, because the gradient of a square root at zero would be infinite.
    norm_S1: Tensor = torch.linalg.vector_norm(waveforms_ST, dim=1, keepdim=True)
    return norm_S1 / math.sqrt(waveforms_ST.shape[1])


def _peak(waveforms_ST: Tensor) -> Tensor:
    return waveforms_ST.abs().amax(dim=1, keepdim=True)


def _require_pair(name: str, own: Tensor, partners: Tensor, ratio: float, *, dimensions: int) -> None:
    if own.ndim != dimensions or own.shape != partners.shape or not own.is_floating_point():
        raise ValueError(
            f"{name} and its partners must be floats of one shape with {dimensions} dimensions, "
            f"but got {own.dtype} {tuple(own.shape)} and {partners.dtype} {tuple(partners.shape)}."
        )
    if not 0.0 <= ratio <= 1.0:
        raise ValueError(f"0 <= ratio <= 1 must hold, but got ratio={ratio}.")
