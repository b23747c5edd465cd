"""What is heard of an utterance after its way to us: room, second voice, noise, and the telephone (8 kHz, 250-3450 Hz,
mu-law).

Shapes: T samples at the corpus's rate, W samples at the rate that is worked at, F frequency bins.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from trainables.corpora.audio import to_int16
from trainables.corpora.conditions import NOISE, ROOM, Circumstances, generator
from trainables.corpora.corpus import Int16s, crop
from trainables.corpora.noises import colour_gain
from trainables.corpora.rooms import Floats, room_response

Spectrum = npt.NDArray[np.complex64]

RECIPE = 1  # to be raised with every change of what is heard: it is part of the fingerprint
TELEPHONE_RATE = 8000
BAND_HZ = (250.0, 3450.0)
EDGE_HZ = 100.0  # width of the band's edges, centred on them
RINGING = 512  # samples at the work rate after which the band's filter is silent
HIGHEST_PEAK = 0.99
# G.711 in 16-bit units.
MULAW_BIAS = 132
MULAW_CLIP = 32635


def transmit(
    samples_T: Int16s, circumstances: Circumstances, *, sample_rate: int, second_T: Int16s | None = None
) -> Int16s:
    """Return an utterance after what befell it, of the same length and level: int16 (T,).

    `second_T` are the samples of the second voice, at the same rate; it is not heard where there is none. Levels are
    those over the whole utterance, in the band; silence stays silence.
    """
    here = circumstances
    if here == replace(here, telephone=False, room=None, noise_db=None, second_db=None) or not len(samples_T):
        return samples_T
    grid = _Grid.of(len(samples_T), sample_rate, here)
    said_F: Spectrum = grid.spectrum(samples_T)
    if here.second_db is not None and second_T is not None and len(second_T):
        other_F = grid.spectrum(crop(second_T, here.start, len(samples_T)))
        said_F = said_F + other_F * grid.gain(said_F, other_F, here.second_db)
    if here.room is not None:
        response = room_response(here.room, sample_rate=grid.rate, rng=generator(here.words, ROOM))
        said_F = said_F * _transformed(response, grid.size)
    if here.noise_db is not None:
        noise_F = grid.pink_noise(generator(here.words, NOISE))
        said_F = said_F + noise_F * grid.gain(said_F, noise_F, here.noise_db)
    heard_W = grid.samples(said_F)
    heard_W *= _gain_to_level(heard_W, samples_T)
    if here.telephone:
        heard_W = mulaw_round_trip(to_int16(heard_W)).astype(np.float32) / np.float32(32768.0)
    return to_int16(grid.back(heard_W))


def mulaw_round_trip(samples_T: Int16s) -> Int16s:
    """Return the samples after 8-bit mu-law coding and decoding (ITU-T G.711), int16 (T,)."""
    level_T = np.minimum(np.abs(samples_T.astype(np.int32)), MULAW_CLIP) + MULAW_BIAS
    # A level of 132 to 32767 lies in one of eight segments, each twice as wide as the last, of sixteen steps.
    step_T = np.frexp(level_T.astype(np.float64))[1] - 1 - 4
    decoded_T = ((level_T >> step_T) << step_T) + (1 << step_T >> 1) - MULAW_BIAS
    signed: Int16s = np.where(samples_T < 0, -decoded_T, decoded_T).astype(np.int16)
    return signed


@dataclass(frozen=True)
class _Grid:
    """The common grid of two rates: `size` samples at the work rate last as long as `outer_size` at the corpus's."""

    rate: int
    size: int
    num_samples: int  # W, without what follows for echo and ringing
    outer_size: int
    outer_samples: int  # T
    mask_F: Floats

    @classmethod
    def of(cls, num_samples: int, sample_rate: int, here: Circumstances) -> "_Grid":
        # Here and not above: the driver lists corpora without it.
        from scipy.fft import next_fast_len

        rate = TELEPHONE_RATE if here.telephone else sample_rate
        num_work = -(-num_samples * rate // sample_rate)
        echo_s = here.room.t60_s if here.room is not None else 0.0
        common = math.gcd(rate, sample_rate)
        pieces = next_fast_len(-(-(num_work + math.ceil(echo_s * rate) + RINGING) * common // rate), real=True)
        size = pieces * (rate // common)
        frequency_F = np.fft.rfftfreq(size, 1 / rate)
        return cls(
            rate=rate,
            size=size,
            num_samples=num_work,
            outer_size=pieces * (sample_rate // common),
            outer_samples=num_samples,
            mask_F=_band(frequency_F) if here.telephone else np.ones(len(frequency_F), dtype=np.float32),
        )

    def spectrum(self, samples_T: Int16s) -> Spectrum:
        """Return the spectrum (F,) at the work rate, in the band."""
        outer = _transformed(samples_T.astype(np.float32) / np.float32(32768.0), self.outer_size)
        scale = np.float32(self.size / self.outer_size)
        return _fitted(outer, len(self.mask_F)) * (scale * self.mask_F)

    def samples(self, spectrum_F: Spectrum) -> Floats:
        """Return the samples (W,) of a spectrum."""
        samples: Floats = np.fft.irfft(spectrum_F, n=self.size)[: self.num_samples].astype(np.float32)
        return samples

    def back(self, samples_W: Floats) -> Floats:
        """Return samples (T,) at the corpus's rate."""
        if self.size == self.outer_size:
            return samples_W
        spectrum = _fitted(_transformed(samples_W, self.size), self.outer_size // 2 + 1)
        outer = np.fft.irfft(spectrum, n=self.outer_size)[: self.outer_samples]
        scaled: Floats = (outer * (self.outer_size / self.size)).astype(np.float32)
        return scaled

    def pink_noise(self, rng: np.random.Generator) -> Spectrum:
        """Return the spectrum (F,) of pink noise in the band."""
        white = _transformed(rng.standard_normal(self.size, dtype=np.float32), self.size)
        gain_F = colour_gain(1.0, num_samples=self.size, sample_rate=self.rate)
        return white * (gain_F * self.mask_F)

    def gain(self, said_F: Spectrum, other_F: Spectrum, decibels: float) -> float:
        """Return what brings the other so many dB below what is said, both measured over the utterance."""
        said, other = _power(self.samples(said_F)), _power(self.samples(other_F))
        return math.sqrt(said / other * 10 ** (-decibels / 10)) if other > 0 else 0.0


def _transformed(samples: Floats, size: int) -> Spectrum:
    """Return the spectrum of samples filled up with zeros."""
    return np.fft.rfft(samples, n=size).astype(np.complex64, copy=False)


def _fitted(spectrum: Spectrum, num_bins: int) -> Spectrum:
    """Return the spectrum with bins cut off or zeros appended."""
    kept = spectrum[:num_bins]
    return np.pad(kept, (0, num_bins - len(kept)))


def _band(frequency_F: npt.NDArray[np.floating]) -> Floats:
    low, high = BAND_HZ
    rise = np.clip((frequency_F - low) / EDGE_HZ + 0.5, 0, 1)
    fall = np.clip((high - frequency_F) / EDGE_HZ + 0.5, 0, 1)
    gain_F: Floats = (np.sin(np.pi / 2 * rise) * np.sin(np.pi / 2 * fall)).astype(np.float32) ** 2
    return gain_F


def _power(samples: Floats) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64)))


def _gain_to_level(heard_W: Floats, samples_T: Int16s) -> np.float32:
    """Return what brings the samples to the level there was: the level must not tell the condition.

    Lower where a peak would be clipped.
    """
    power = _power(heard_W)
    if power == 0:
        return np.float32(1.0)
    gain = math.sqrt(float(np.mean(np.square(samples_T / 32768.0))) / power)
    return np.float32(min(gain, HIGHEST_PEAK / float(np.abs(heard_W).max())))
