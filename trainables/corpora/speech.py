"""What is said: the samples of one synthetic utterance, drawn from (seed, utterance number) alone.

Syllables of a consonant and a vowel -> formant tracks and F0 contour -> differentiated glottal flow -> STFT, times the
resonators of the tract, plus noise for breath and frication -> inverse STFT -> int16.

Shapes: T samples, N frames, F frequency bins, C glottal cycles.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.corpora.corpus import Int16s
from trainables.corpora.syllables import HOP, Doubles, Score, draw_syllables, write_score
from trainables.corpora.voices import FREQUENCIES_F, N_FFT, SAMPLE_RATE, Floats, Voice, curve, resonator

RMS = 0.06
HIGHEST_PEAK = 0.95
FRICATION = 0.9  # amplitude of [s] beside the glottal source
FLOOR_DB, FLOOR_SD_DB = -35.0, 3.0  # the room's noise beside the glottal source
CHANNEL_SD_DB = 2.0
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
class Session:
    """What differs between a speaker's utterances beside their words."""

    semitones: float  # the mean F0 beside the voice's own
    room_db: float  # the room's noise beside the glottal source
    channel_db: Doubles  # (4,) levels at CURVE_HZ


@dataclass(frozen=True)
class Change:
    """What is another when an utterance is said again; None leaves it as it was."""

    voice: Voice | None = None
    room_db: float | None = None
    channel_db: Doubles | None = None


AS_IT_WAS = Change()


@dataclass(frozen=True)
class Cycles:
    """A standard normal draw for the length and for the height of each glottal cycle."""

    length_C: Doubles
    height_C: Doubles


def session_of(*, key: int, seed: int, session: float) -> Session:
    """Return the session of the utterance that `speak` would return."""
    return _draw_session(np.random.Generator(np.random.Philox(key=[seed, key])), session)


def speak(voice: Voice, *, key: int, seed: int, session: float, num_samples: int, change: Change = AS_IT_WAS) -> Int16s:
    """Return an utterance of a voice, int16 (T,), at SAMPLE_RATE.

    `key` is the utterance's number in the generator's key space; `session` scales what differs between a speaker's
    utterances (F0, colour, room). With a change it is the same utterance by the same draws, but for what the change
    acts on. T is `num_samples`, unless a changed voice needs another time for the same words.
    """
    rng = np.random.Generator(np.random.Philox(key=[seed, key]))
    own = _draw_session(rng, session)
    num_frames = _num_frames(num_samples)
    syllables = draw_syllables(rng, rate=voice.syllable_rate, num_frames=num_frames)
    noise_T = rng.standard_normal(_num_padded(num_frames), dtype=np.float32)
    tremor = float(rng.random())
    score = write_score(syllables, rate=voice.syllable_rate, num_frames=num_frames)
    steps_T = _steps(voice, score, semitones=own.semitones, tremor=tremor)
    cycles = Cycles(*(rng.standard_normal(_num_cycles(steps_T)) for _ in range(2)))
    if change.voice is not None:
        rate = voice.syllable_rate
        voice = change.voice
        num_samples = syllables.num_samples_at(voice.syllable_rate, num_samples=num_samples, from_rate=rate)
        num_frames = _num_frames(num_samples)
        score = write_score(syllables, rate=voice.syllable_rate, num_frames=num_frames)
        steps_T = _steps(voice, score, semitones=own.semitones, tremor=tremor)
        # What a longer utterance or a higher voice needs beyond the draws of the original comes from streams apart.
        spare = [np.random.Generator(np.random.Philox(key=[seed, key]).jumped(k)) for k in (1, 2, 3)]
        noise_T = _lengthened(noise_T, _num_padded(num_frames), spare[0])
        cycles = Cycles(
            length_C=_lengthened(cycles.length_C, _num_cycles(steps_T), spare[1]),
            height_C=_lengthened(cycles.height_C, _num_cycles(steps_T), spare[2]),
        )
    flow_T = _glottal_source(voice, steps_T, cycles)
    room_db = own.room_db if change.room_db is None else change.room_db
    channel_db = own.channel_db if change.channel_db is None else change.channel_db
    samples_T = _sound(voice, score, flow_T, noise_T, room_db=room_db, channel_db=channel_db)[:num_samples]
    samples_T *= np.float32(RMS) / np.sqrt(np.mean(samples_T * samples_T) + np.float32(1e-12))
    peak = float(np.abs(samples_T).max())
    if peak > HIGHEST_PEAK:
        samples_T *= np.float32(HIGHEST_PEAK / peak)
    quantised: Int16s = np.rint(samples_T * np.float32(32767.0)).astype(np.int16)
    return quantised


def _draw_session(rng: np.random.Generator, session: float) -> Session:
    normals = session * rng.standard_normal(6)
    return Session(
        semitones=float(normals[0]),
        room_db=FLOOR_DB + FLOOR_SD_DB * float(np.clip(normals[1], -4, 4)),
        channel_db=CHANNEL_SD_DB * normals[2:6],
    )


def _num_frames(num_samples: int) -> int:
    return num_samples // HOP + 2  # the first frame is centred on the first sample


def _num_padded(num_frames: int) -> int:
    """Return the samples that so many frames cover."""
    return (num_frames - 1) * HOP + N_FFT


def _num_cycles(steps_T: Doubles) -> int:
    """Return more cycles than jitter can make of the steps."""
    return int(steps_T.sum() * 1.1) + 8


def _lengthened(drawn: npt.NDArray[Any], length: int, spare: np.random.Generator) -> npt.NDArray[Any]:
    """Return standard normal draws of this length: those there are, then more of a spare stream."""
    more = spare.standard_normal(max(0, length - len(drawn)), dtype=drawn.dtype)
    return np.concatenate([drawn[:length], more])


def _sound(
    voice: Voice, score: Score, flow_T: Floats, noise_T: Floats, *, room_db: float, channel_db: Doubles
) -> Floats:
    """Return the samples (T,) of source and noise through the tract and the channel, at no particular level."""
    voiced_N = _smooth(voice.voicing[score.phones] * score.levels, LEVEL_SMOOTHING)
    voiced_NF = _tract(voice, score) * voiced_N[:, None]
    noise_NF = _smooth(voice.frication[score.phones], LEVEL_SMOOTHING)
    noise_NF *= np.float32(FRICATION)
    noise_NF += (voice.aspiration * BREATH_F).astype(np.float32) * voiced_NF
    noise_NF += (10 ** (room_db / 20) * ROOM_F).astype(np.float32)

    spectrum_NF = _stft(flow_T) * voiced_NF
    spectrum_NF += _stft(noise_T) * noise_NF
    spectrum_NF *= curve(channel_db).astype(np.float32)
    return _istft(spectrum_NF)[N_FFT // 2 :]


def _steps(voice: Voice, score: Score, *, semitones: float, tremor: float) -> Doubles:
    """Return the share of a cycle that passes at each sample (T,), before jitter; `tremor` is its phase, 0 .. 1."""
    time_N = np.arange(len(score.melody)) * (HOP / SAMPLE_RATE)
    f0_N = voice.f0_hz * 2 ** ((semitones + voice.f0_sd * score.melody) / 12)
    f0_N *= 1 + voice.tremor_depth * np.sin(2 * np.pi * (voice.tremor_hz * time_N + tremor))
    f0_N = np.clip(f0_N, 55.0, 420.0)
    # The STFT's first frame begins half a window before the first sample and the last ends half a window after it.
    step_N = np.concatenate([f0_N[:1], f0_N, f0_N[-1:], f0_N[-1:]]) / SAMPLE_RATE
    steps: Doubles = (step_N[:-1, None] + np.diff(step_N)[:, None] * RAMP).ravel()[: _num_padded(len(f0_N))]
    return steps


def _glottal_source(voice: Voice, steps_T: Doubles, cycles: Cycles) -> Floats:
    """Return the differentiated glottal flow (T,), rms 1, running through the whole utterance."""
    jitter = 1 + voice.jitter * JITTER_TO_SD * cycles.length_C
    shimmer = (1 + voice.shimmer * JITTER_TO_SD * cycles.height_C).astype(np.float32)
    # A period's own deviation is laid on the cycles before jitter; they end within a few samples of the final ones.
    phase_T = np.cumsum(steps_T * jitter[np.cumsum(steps_T).astype(np.int32)])
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
