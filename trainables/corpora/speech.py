"""What is said: the samples of one synthetic utterance, drawn from (seed, utterance number) alone.

Syllables of a consonant and a vowel -> formant tracks and F0 contour -> differentiated glottal flow -> STFT, times the
resonators of the tract, plus noise for breath and frication -> inverse STFT -> int16.

Shapes: T samples, N frames, F frequency bins, S syllables, K phones, P phones in a row.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainables.corpora.corpus import Int16s
from trainables.corpora.voices import (
    CONSONANTS,
    FIRST_CONSONANT_ID,
    FREQUENCIES_F,
    N_FFT,
    NUM_VOWELS,
    PAUSE_ID,
    SAMPLE_RATE,
    STOPS,
    Floats,
    Voice,
    curve,
    resonator,
)

HOP = 160
RMS = 0.06
HIGHEST_PEAK = 0.95
FRICATION = 0.9  # amplitude of [s] beside the glottal source
FLOOR_DB = -35.0  # the room's noise beside the glottal source
PAUSES = 0.12  # syllables followed by one
JITTER_TO_SD = float(np.sqrt(np.pi) / 2)  # neighbouring normal draws differ by 2 / sqrt(pi) of their sd

WINDOW = np.hanning(N_FFT + 1)[:N_FFT].astype(np.float32)
COSINE_F = np.cos(2 * np.pi * FREQUENCIES_F / SAMPLE_RATE).astype(np.float32)
ROOM_F = (np.maximum(FREQUENCIES_F, 60.0) / 500.0) ** -0.5
# Breath is noise of mean power 1 that falls like the pulse's overtones, so that these are heard well above 2 kHz.
BREATH_F = (np.maximum(FREQUENCIES_F, 250.0) / 1000.0) ** -0.75
BREATH_F /= np.sqrt(np.mean(BREATH_F**2))
RAMP = (np.arange(HOP) / HOP).astype(np.float32)
FORMANT_SMOOTHING = np.hanning(8)[1:-1]  # 6 frames, about 50 ms
LEVEL_SMOOTHING = np.array([0.25, 0.5, 0.25])


@dataclass(frozen=True)
class Score:
    """What to say, frame by frame."""

    phones: npt.NDArray[np.int64]  # (N,)
    levels: Floats  # (N,) amplitude of the syllable
    melody: npt.NDArray[np.float64]  # (N,) F0 around the voice's mean, sd 1


def speak(voice: Voice, *, key: int, seed: int, session: float, num_samples: int) -> Int16s:
    """Return an utterance of a voice, int16 (T,), at SAMPLE_RATE.

    `key` is the utterance's number in the generator's key space; `session` scales what differs between a speaker's
    utterances (F0, colour, room).
    """
    rng = np.random.Generator(np.random.Philox(key=[seed, key]))
    nuisance = session * rng.standard_normal(6)
    num_frames = num_samples // HOP + 2  # the first frame is centred on the first sample
    score = _write_score(rng, voice, num_frames)
    noise_T = rng.standard_normal((num_frames - 1) * HOP + N_FFT, dtype=np.float32)
    flow_T = _glottal_source(rng, voice, score, semitones=float(nuisance[0]))

    voiced_N = _smooth(voice.voicing[score.phones] * score.levels, LEVEL_SMOOTHING)
    voiced_NF = _tract(voice, score) * voiced_N[:, None]
    noise_NF = _smooth(voice.frication[score.phones], LEVEL_SMOOTHING)
    noise_NF *= np.float32(FRICATION)
    noise_NF += (voice.aspiration * BREATH_F).astype(np.float32) * voiced_NF
    noise_NF += (10 ** ((FLOOR_DB + 3 * float(np.clip(nuisance[1], -4, 4))) / 20) * ROOM_F).astype(np.float32)

    spectrum_NF = _stft(flow_T) * voiced_NF
    spectrum_NF += _stft(noise_T) * noise_NF
    spectrum_NF *= curve(2.0 * nuisance[2:6]).astype(np.float32)
    samples_T = _istft(spectrum_NF)[N_FFT // 2 : N_FFT // 2 + num_samples]
    samples_T *= np.float32(RMS) / np.sqrt(np.mean(samples_T * samples_T) + np.float32(1e-12))
    peak = float(np.abs(samples_T).max())
    if peak > HIGHEST_PEAK:
        samples_T *= np.float32(HIGHEST_PEAK / peak)
    quantised: Int16s = np.rint(samples_T * np.float32(32767.0)).astype(np.int16)
    return quantised


def _write_score(rng: np.random.Generator, voice: Voice, num_frames: int) -> Score:
    """Draw syllables until the frames are full, and lay them over the frames."""
    seconds = num_frames * HOP / SAMPLE_RATE
    S = int(seconds * voice.syllable_rate * 1.5) + 6
    consonant_S = rng.integers(len(CONSONANTS), size=S)
    vowel_S = rng.integers(NUM_VOWELS, size=S)
    length_S = np.exp(0.2 * rng.standard_normal(S)) / voice.syllable_rate
    share_S = rng.uniform(0.28, 0.42, size=S)  # of the consonant
    pause_S = np.where(rng.random(S) < PAUSES, rng.uniform(0.12, 0.40, size=S), 0.0)
    level_S = 10 ** (2.0 * rng.standard_normal(S) / 20)
    accent_S = rng.standard_normal(S)

    closure_S = np.where(consonant_S < STOPS, 0.65, 0.5) * share_S
    first_S = FIRST_CONSONANT_ID + 2 * consonant_S
    phone_P = np.stack([first_S, first_S + 1, vowel_S, np.full(S, PAUSE_ID)], axis=1).ravel()
    ends_P = np.stack(
        [length_S * closure_S, length_S * (share_S - closure_S), length_S * (1 - share_S), pause_S], axis=1
    ).ravel()
    np.cumsum(ends_P, out=ends_P)
    lead = rng.uniform(0.03, 0.15)  # a short silence before the first syllable
    time_N = np.arange(num_frames) * (HOP / SAMPLE_RATE)
    place_N = np.searchsorted(ends_P, time_N - lead, side="right")
    phone_N = np.where(time_N < lead, PAUSE_ID, phone_P[place_N])
    melody_N = np.interp(time_N - lead, ends_P[2::4], accent_S) - 1.5 * time_N / seconds
    melody_N -= melody_N.mean()
    melody_N /= max(float(melody_N.std()), 0.3)
    return Score(phones=phone_N, levels=level_S[place_N // 4].astype(np.float32), melody=melody_N)


def _glottal_source(rng: np.random.Generator, voice: Voice, score: Score, *, semitones: float) -> Floats:
    """Return the differentiated glottal flow (T,), rms 1, running through the whole utterance."""
    time_N = np.arange(len(score.melody)) * (HOP / SAMPLE_RATE)
    f0_N = voice.f0_hz * 2 ** ((semitones + voice.f0_sd * score.melody) / 12)
    f0_N *= 1 + voice.tremor_depth * np.sin(2 * np.pi * (voice.tremor_hz * time_N + rng.random()))
    f0_N = np.clip(f0_N, 55.0, 420.0)
    # The STFT's first frame begins half a window before the first sample and the last ends half a window after it.
    step_N = np.concatenate([f0_N[:1], f0_N, f0_N[-1:], f0_N[-1:]]) / SAMPLE_RATE
    step_T = (step_N[:-1, None] + np.diff(step_N)[:, None] * RAMP).ravel()[: (len(f0_N) - 1) * HOP + N_FFT]
    cycles = int(step_T.sum() * 1.1) + 8
    jitter = 1 + voice.jitter * JITTER_TO_SD * rng.standard_normal(cycles)
    shimmer = (1 + voice.shimmer * JITTER_TO_SD * rng.standard_normal(cycles)).astype(np.float32)
    # A period's own deviation is laid on the cycles before jitter; they end within a few samples of the final ones.
    step_T *= jitter[np.cumsum(step_T).astype(np.int32)]
    phase_T = np.cumsum(step_T)
    cycle_T = phase_T.astype(np.int32)
    phase = (phase_T - cycle_T).astype(np.float32)
    # Rosenberg's pulse: half a cosine up, a quarter down, then closed. Each factor is 1 where the other one rules.
    rise = np.float32(voice.open_quotient * 2 / 3)
    fall = np.float32(voice.open_quotient / 3)
    flow_T: Floats = np.float32(0.5) - np.float32(0.5) * np.cos(np.float32(np.pi) / rise * np.minimum(phase, rise))
    flow_T *= np.cos(np.float32(np.pi / 2) * np.clip((phase - rise) / fall, 0, 1))
    flow_T *= shimmer[cycle_T]
    # The difference of flow samples is the mean slope of the time between them: less aliasing than the slope itself.
    flow_T[1:] -= flow_T[:-1].copy()
    flow_T[0] = 0
    flow_T /= np.sqrt(np.mean(flow_T * flow_T))
    return flow_T


def _tract(voice: Voice, score: Score) -> Floats:
    """Return the tract's amplitude (N, F): three moving resonators, and the voice's standing colour."""
    formants_N3 = _smooth(voice.formants[score.phones], FORMANT_SMOOTHING)
    q0_N3, q1_N3, q2_N3 = resonator(formants_N3, voice.bandwidths)
    power_NF = np.ones((len(formants_N3), len(COSINE_F)), dtype=np.float32)
    for k in range(3):
        factor_NF = q2_N3[:, k : k + 1] * COSINE_F
        factor_NF += q1_N3[:, k : k + 1]
        factor_NF *= COSINE_F
        factor_NF += q0_N3[:, k : k + 1]
        power_NF *= factor_NF
    np.sqrt(power_NF, out=power_NF)
    np.divide(voice.colour, power_NF, out=power_NF)
    return power_NF


def _smooth(tracks_N: Floats, kernel: npt.NDArray[np.float64]) -> Floats:
    """Return tracks (N, …) smoothed over the frames; the ends are held."""
    weights = (kernel / kernel.sum()).astype(np.float32)
    before = len(weights) // 2
    width = [(before, len(weights) - 1 - before)] + [(0, 0)] * (tracks_N.ndim - 1)
    padded = np.pad(tracks_N, width, mode="edge")
    smoothed: Floats = weights[0] * padded[: len(tracks_N)]
    for k in range(1, len(weights)):
        smoothed += weights[k] * padded[k : k + len(tracks_N)]
    return smoothed


def _stft(samples_T: Floats) -> npt.NDArray[np.complex64]:
    """Return the short-time spectrum (N, F)."""
    frames_NT = np.lib.stride_tricks.sliding_window_view(samples_T, N_FFT)[::HOP]
    return np.fft.rfft(frames_NT * WINDOW, axis=1).astype(np.complex64, copy=False)


def _istft(spectrum_NF: npt.NDArray[np.complex64]) -> Floats:
    """Return the samples of a short-time spectrum, overlapped and added, divided by the windows' power."""
    frames = np.fft.irfft(spectrum_NF, n=N_FFT, axis=1).astype(np.float32, copy=False)
    power = _overlap_add(np.broadcast_to(WINDOW * WINDOW, frames.shape))
    samples_T = _overlap_add(frames * WINDOW)
    samples_T /= np.maximum(power, np.float32(1e-3))
    return samples_T


def _overlap_add(frames: Floats) -> Floats:
    """Return the sum (T,) of frames that start HOP samples apart."""
    blocks = -(-N_FFT // HOP)
    padded = np.zeros((len(frames), blocks * HOP), dtype=np.float32)
    padded[:, :N_FFT] = frames
    total = np.zeros((len(frames) + blocks - 1, HOP), dtype=np.float32)
    for k in range(blocks):
        total[k : k + len(frames)] += padded[:, k * HOP : (k + 1) * HOP]
    return total.ravel()
