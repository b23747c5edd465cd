"""F0 of a recording, robust rather than exact: to see whether a voice is what its label says.

Autocorrelation of windowed frames, divided by that of the window (Boersma 1993); of the peaks that are nearly as high
as the highest, the one of the shortest period is taken, which avoids most octave errors.

Shapes: T samples, N frames, L lags.
"""

import numpy as np
import numpy.typing as npt

from trainables.corpora.corpus import Int16s

LOWEST_HZ, HIGHEST_HZ = 65.0, 400.0
WINDOW_S, HOP_S = 0.046, 0.015  # three periods of the lowest F0
VOICED = 0.55  # of the autocorrelation at lag 0
NEARLY = 0.90  # of the highest peak
QUIET = 0.1  # frames below this share of the 90th percentile of power are no voice
FEWEST_VOICED = 10  # frames; fewer tell nothing
FRAMES_AT_ONCE = 4096

Floats = npt.NDArray[np.floating]


def voiced_f0(samples_T: Int16s, *, sample_rate: int) -> Floats:
    """Return F0 in Hz of the voiced frames of a recording, in their order; empty if there are none."""
    width, hop = round(WINDOW_S * sample_rate), round(HOP_S * sample_rate)
    if len(samples_T) < width:
        return np.zeros(0)
    frames_NT = np.lib.stride_tricks.sliding_window_view(samples_T, width)[::hop]
    pieces = [_peaks(frames_NT[k : k + FRAMES_AT_ONCE], sample_rate) for k in range(0, len(frames_NT), FRAMES_AT_ONCE)]
    f0_N, height_N, power_N = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    is_voiced_N = (height_N > VOICED) & (power_N > QUIET * np.quantile(power_N, 0.9))
    voiced: Floats = f0_N[is_voiced_N]
    return voiced


def median_f0(recordings: list[Floats]) -> float | None:
    """Return the median F0 of a speaker in Hz, from the voiced frames of his recordings; None if they are too few."""
    frames = np.concatenate(recordings) if recordings else np.zeros(0)
    return float(np.median(frames)) if len(frames) >= FEWEST_VOICED else None


def _peaks(frames_NT: Int16s, sample_rate: int) -> tuple[Floats, Floats, Floats]:
    """Return F0, height of the peak beside lag 0, and power of each frame."""
    width = frames_NT.shape[1]
    window_T = np.hanning(width)
    shortest, longest = int(sample_rate / HIGHEST_HZ), int(np.ceil(sample_rate / LOWEST_HZ))
    size = 1 << (width + longest + 1).bit_length()
    centred_NT = (frames_NT - frames_NT.mean(axis=1, keepdims=True)) * window_T
    autocorrelation_NL = np.fft.irfft(np.abs(np.fft.rfft(centred_NT, size, axis=1)) ** 2, axis=1)[:, : longest + 2]
    of_window_L = np.fft.irfft(np.abs(np.fft.rfft(window_T, size)) ** 2)[: longest + 2]
    power_N = autocorrelation_NL[:, 0].copy()
    autocorrelation_NL *= of_window_L[0] / of_window_L / np.maximum(power_N, 1e-9)[:, None]
    inner_NL = autocorrelation_NL[:, shortest : longest + 1]
    is_peak_NL = (inner_NL >= autocorrelation_NL[:, shortest - 1 : longest]) & (
        inner_NL > autocorrelation_NL[:, shortest + 1 : longest + 2]
    )
    height_NL = np.where(is_peak_NL, inner_NL, 0.0)
    highest_N = height_NL.max(axis=1)
    # argmax of booleans is the first true one: the shortest period.
    place_N = np.argmax(height_NL >= NEARLY * highest_N[:, None], axis=1)
    lag_N = shortest + place_N
    rows = np.arange(len(frames_NT))
    before, peak, after = (autocorrelation_NL[rows, lag_N + k] for k in (-1, 0, 1))
    curvature = before - 2 * peak + after
    shift = np.where(curvature < 0, 0.5 * (before - after) / np.minimum(curvature, -1e-9), 0.0)
    return sample_rate / (lag_N + np.clip(shift, -0.5, 0.5)), height_NL[rows, place_N], power_N
