"""Noise: made by recipe (noise of a colour, hum, clicks, babble, music), or listed in a folder laid out as MUSAN.

What is made has rms 1 and follows from the generator alone. Shapes: T samples, F frequency bins, N notes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainables.corpora.corpus import CorpusError, Int16s, crop
from trainables.corpora.rooms import Floats, existing_folder

MUSAN_KINDS = ("music", "noise", "speech")
COLOURS = {"white": 0.0, "pink": 1.0, "brown": 2.0}  # power falls as frequency to minus this
NOISES = (*COLOURS, "hum", "clicks")
LOWEST_HZ = 20.0  # below, coloured noise is level: it would be all rumble that nobody hears
MAINS_HZ = (50.0, 60.0)
HARMONICS = 10
CLICKS_PER_S = 2.0
CLICK_S = 0.002
BACKGROUND = 0.03  # rms of the white noise beneath hum and clicks
BABBLE_VOICES = (5, 8)
CHORD_S = (0.3, 1.0)
CHORD_NOTES = (3, 6)
LOWEST_NOTE_HZ = 110.0
SCALE = (0, 2, 4, 5, 7, 9, 11)  # semitones of the notes that chords are made of, over two octaves
PARTIALS = 6
DECAY_S = (0.2, 0.8)


@dataclass(frozen=True, slots=True)
class NoiseFile:
    """One file of a noise corpus; `kind` is music, noise or speech."""

    path: str
    kind: str


def list_musan(folder: str) -> tuple[NoiseFile, ...]:
    """Return the files of `<kind>/<source>/*.wav`, sorted, or of the same cut up one level deeper by voxceleb_trainer.

    The folder is musan or its parent. Raises CorpusError if it is not there, or a kind has no file.
    """
    root = existing_folder(folder)
    if (root / "musan").is_dir():
        root = root / "musan"
    found: list[NoiseFile] = []
    for kind in MUSAN_KINDS:
        paths = sorted(str(path) for glob in ("*/*.wav", "*/*/*.wav") for path in (root / kind).glob(glob))
        found += [NoiseFile(path=path, kind=kind) for path in paths]
    if missing := [kind for kind in MUSAN_KINDS if not any(file.kind == kind for file in found)]:
        raise CorpusError(
            f"{folder}: no wav files of {' and '.join(missing)}; expected musan/<kind>/<source>/*.wav "
            f"for the kinds {', '.join(MUSAN_KINDS)}"
        )
    return tuple(found)


def make_noise(kind: str, *, num_samples: int, sample_rate: int, rng: np.random.Generator) -> Floats:
    """Return one of NOISES, (T,), rms 1."""
    if kind in COLOURS:
        return coloured_noise(COLOURS[kind], num_samples=num_samples, sample_rate=sample_rate, rng=rng)
    if kind == "hum":
        return _hum(num_samples, sample_rate, rng)
    if kind == "clicks":
        return _clicks(num_samples, sample_rate, rng)
    raise ValueError(f"kind must be one of {', '.join(NOISES)}, but got {kind!r}")


def coloured_noise(exponent: float, *, num_samples: int, sample_rate: int, rng: np.random.Generator) -> Floats:
    """Return Gaussian noise (T,), rms 1, whose power falls as frequency to minus `exponent` (0 white, 1 pink)."""
    white_T = rng.standard_normal(num_samples, dtype=np.float32)
    gain_F = colour_gain(exponent, num_samples=num_samples, sample_rate=sample_rate)
    return _unit(np.fft.irfft(np.fft.rfft(white_T) * gain_F, n=num_samples))


def colour_gain(exponent: float, *, num_samples: int, sample_rate: int) -> Floats:
    """Return the amplitude (F,) of coloured noise over the bins of a transform of so many samples."""
    frequency_F = np.fft.rfftfreq(num_samples, 1 / sample_rate)
    gain_F: Floats = (np.maximum(frequency_F, LOWEST_HZ) ** (-exponent / 2)).astype(np.float32)
    return gain_F


def make_babble(voices: Sequence[Int16s], *, num_samples: int, rng: np.random.Generator) -> Floats:
    """Return the mean of 5 to 8 of the voices (of all, when there are fewer), each brought to one level: (T,), rms 1.

    Each voice begins at a place of its own, and is repeated where it is shorter.
    """
    num_voices = min(int(rng.integers(BABBLE_VOICES[0], BABBLE_VOICES[1] + 1)), len(voices))
    total_T = np.zeros(num_samples, dtype=np.float32)
    for i in rng.permutation(len(voices))[:num_voices]:
        total_T += _unit(crop(voices[i], float(rng.random()), num_samples).astype(np.float32))
    return _unit(total_T)


def make_music(*, num_samples: int, sample_rate: int, rng: np.random.Generator) -> Floats:
    """Return chords of 3 to 6 notes, each a stack of partials that decay, one chord after another: (T,), rms 1."""
    music_T = np.zeros(num_samples, dtype=np.float32)
    root_hz = LOWEST_NOTE_HZ * 2 ** (float(rng.integers(12)) / 12)
    start = 0
    while start < num_samples:
        num_left = min(num_samples - start, int(2 * DECAY_S[1] * sample_rate))
        time_T = (np.arange(num_left) / sample_rate).astype(np.float32)
        for _ in range(int(rng.integers(CHORD_NOTES[0], CHORD_NOTES[1] + 1))):
            semitones = SCALE[int(rng.integers(len(SCALE)))] + 12 * int(rng.integers(2))
            note_T = _note(root_hz * 2 ** (semitones / 12), time_T, sample_rate, rng)
            music_T[start : start + num_left] += note_T
        start += int(rng.uniform(*CHORD_S) * sample_rate)
    return _unit(music_T)


def _note(hertz: float, time_T: Floats, sample_rate: int, rng: np.random.Generator) -> Floats:
    decay_s = rng.uniform(*DECAY_S)
    note_T = np.zeros_like(time_T)
    for k in range(1, PARTIALS + 1):
        phase, level = np.float32(2 * np.pi * rng.random()), np.float32(rng.uniform(0.5, 1.0) / k)
        if k * hertz < sample_rate / 2:
            # Higher partials die sooner, as those of strings do.
            fall_T = np.exp(np.float32(-(k**0.5) / decay_s) * time_T)
            note_T += level * fall_T * np.sin(np.float32(2 * np.pi * k * hertz) * time_T + phase)
    return note_T


def _hum(num_samples: int, sample_rate: int, rng: np.random.Generator) -> Floats:
    time_T = np.arange(num_samples) / sample_rate
    mains_hz = float(rng.choice(MAINS_HZ))
    hum_T = BACKGROUND * rng.standard_normal(num_samples)
    for k in range(1, HARMONICS + 1):
        hum_T += rng.uniform(0.2, 1.0) / k * np.sin(2 * np.pi * (k * mains_hz * time_T + rng.random()))
    return _unit(hum_T)


def _clicks(num_samples: int, sample_rate: int, rng: np.random.Generator) -> Floats:
    """Return bursts at random times, two a second on average, at least one."""
    num_clicks = max(1, int(rng.poisson(CLICKS_PER_S * num_samples / sample_rate)))
    click_samples = max(2, int(5 * CLICK_S * sample_rate))
    decay = np.exp(-np.arange(click_samples) / (CLICK_S * sample_rate))
    clicks_T = np.zeros(num_samples + click_samples)
    for place in rng.integers(num_samples, size=num_clicks):
        clicks_T[place : place + click_samples] += rng.uniform(0.3, 1.0) * rng.standard_normal(click_samples) * decay
    clicks_T[:num_samples] += BACKGROUND * float(np.std(clicks_T)) * rng.standard_normal(num_samples)
    return _unit(clicks_T[:num_samples])


def _unit(samples_T: npt.NDArray[np.floating]) -> Floats:
    """Return the samples at rms 1; silence stays silence."""
    level = float(np.sqrt(np.mean(np.square(samples_T, dtype=np.float64))))
    return (samples_T / level if level > 0 else samples_T).astype(np.float32)
