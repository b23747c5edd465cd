"""The front end of Fast ResNet34: log-mel energies of 16 kHz speech (contrastive mixup paper, section 4.2).

The settings are those of the paper's baseline code: windows of 25 ms every 10 ms, no pre-emphasis, and a floor of 1e-6
under the logarithm. Normalisation is a function of its own, since features are mixed before it.

Shape suffixes: B batch, T samples in and frames out, H frequencies, F mel bins.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchaudio.transforms import MelScale, Spectrogram

SAMPLE_RATE = 16_000
FFT_SAMPLES = 512
WINDOW_SAMPLES = 400
HOP_SAMPLES = 160
FLOOR = 1e-6


class LogMel(nn.Module):
    """Log-mel energies; `mels` bands from 0 to 8 kHz, Hamming windows, natural logarithm of power + 1e-6."""

    def __init__(self, mels: int = 40) -> None:
        super().__init__()
        self.mels = mels
        self.spectrogram = Spectrogram(
            n_fft=FFT_SAMPLES,
            win_length=WINDOW_SAMPLES,
            hop_length=HOP_SAMPLES,
            window_fn=torch.hamming_window,
            power=None,
        )
        self.mel_scale = MelScale(n_mels=mels, sample_rate=SAMPLE_RATE, n_stft=FFT_SAMPLES // 2 + 1)
        # They follow from the settings: a checkpoint holds what was learnt.
        self.spectrogram.register_buffer("window", self.spectrogram.window, persistent=False)
        self.mel_scale.register_buffer("fb", self.mel_scale.fb, persistent=False)

    def forward(self, waveforms_BT: Tensor) -> Tensor:
        """(B, T) samples, full scale 1, to (B, F, T // 160 + 1) features; the ends are padded by reflection.

        Raises ValueError unless the waveforms are floats of shape (B, T) with T > 256.
        """
        if waveforms_BT.ndim != 2 or not waveforms_BT.is_floating_point() or waveforms_BT.shape[1] <= FFT_SAMPLES // 2:
            raise ValueError(
                f"waveforms_BT must be floats of shape (batch, samples) with more than {FFT_SAMPLES // 2} samples, "
                f"but got {waveforms_BT.dtype} {tuple(waveforms_BT.shape)}."
            )
        # Autocast would round the mel energies, which span many orders of magnitude, to 8 bits before the logarithm.
        with torch.autocast(waveforms_BT.device.type, enabled=False):
            # Not abs() ** 2, as torchaudio has it: its square roots took more than the transform itself.
            power_BHT = torch.view_as_real(self.spectrogram(waveforms_BT)).square().sum(dim=-1)
            power_BFT: Tensor = self.mel_scale(power_BHT)
            return (power_BFT + FLOOR).log()


def instance_normalise(features_BFT: Tensor, *, eps: float = 1e-5) -> Tensor:
    """Mean 0 and variance 1 over time for every utterance and mel band: `nn.InstanceNorm1d` without weights.

    The variance is the biased one. (B, F, T) in and out. Raises ValueError unless there are at least 2 frames.
    """
    if features_BFT.ndim != 3 or features_BFT.shape[2] < 2:
        raise ValueError(
            "features_BFT must be (batch, mel bins, frames) with at least 2 frames, "
            f"but got shape {tuple(features_BFT.shape)}."
        )
    variance_BF1, mean_BF1 = torch.var_mean(features_BFT, dim=2, correction=0, keepdim=True)
    return (features_BFT - mean_BF1) * torch.rsqrt(variance_BF1 + eps)
