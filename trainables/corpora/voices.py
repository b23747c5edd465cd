"""Who speaks: the parameters of a synthetic voice, drawn from (seed, speaker number) alone.

The figures and their sources stand beside them: Hillenbrand et al. 1995 (vowels), Hollien & Shipp 1972 and a fit to the
gap of 12,000 telephone speakers (F0 over age), Traunmueller & Eriksson (F0 inside an utterance), Fitch & Giedd 1999 and
Linville & Rens 2001 (vocal tract), clinical norms (jitter, shimmer, harmonics-to-noise ratio).
Age effects are told a decade and are zero at 45.

Shapes: K phones, F frequency bins.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

SAMPLE_RATE = 16000
N_FFT = 400
FREQUENCIES_F = np.linspace(0.0, SAMPLE_RATE / 2, N_FFT // 2 + 1)  # Hz
LOWEST_AGE, HIGHEST_AGE, MIDDLE_AGE = 20.0, 70.0, 45.0

# Mean F0 in Hz at the middle of the 20s, 30s … 70s. Female: the fit to the telephone speakers.
F0_AGES = (25.0, 35.0, 45.0, 55.0, 65.0, 75.0)
F0_HZ = {"M": (121.0, 116.0, 111.0, 112.0, 119.0, 128.0), "F": (198.0, 188.0, 180.0, 181.0, 180.0, 182.0)}
F0_SPREAD = {"M": 0.125, "F": 0.095}

# F1, F2, F3 in Hz of the vowels of heed, hid, head, had, hod, hawed, hood, who'd, hud.
VOWELS = {
    "M": (
        (342, 2322, 3000), (427, 2034, 2684), (580, 1799, 2605), (588, 1952, 2601), (768, 1333, 2522),
        (652, 997, 2538), (469, 1122, 2434), (378, 997, 2343), (623, 1200, 2550),
    ),
    "F": (
        (437, 2761, 3372), (483, 2365, 3053), (731, 2058, 2979), (669, 2349, 2972), (936, 1551, 2815),
        (781, 1136, 2824), (519, 1225, 2827), (459, 1105, 2735), (753, 1426, 2933),
    ),
}  # fmt: skip
NUM_VOWELS = 9

# Phones after the vowels: pause, then the first and the second half of each consonant.
# Formant loci (male) in Hz, voicing 0 .. 1, frication 0 .. 1 with its centre and width in Hz.
PAUSE = (500, 1500, 2500, 0.0, 0.0, 3000, 1000)
CONSONANTS = (
    # first half                                   second half
    ((320, 900, 2250, 0.0, 0.0, 1200, 900), (400, 950, 2300, 0.1, 0.35, 1200, 1100)),  # p
    ((320, 1750, 2650, 0.0, 0.0, 4500, 900), (400, 1700, 2600, 0.1, 0.60, 4500, 1300)),  # t
    ((320, 1950, 2350, 0.0, 0.0, 2200, 700), (400, 1900, 2400, 0.1, 0.50, 2200, 800)),  # k
    ((250, 900, 2250, 0.20, 0.0, 1200, 900), (350, 950, 2300, 0.50, 0.15, 1200, 1100)),  # b
    ((250, 1750, 2650, 0.20, 0.0, 4500, 900), (350, 1700, 2600, 0.50, 0.25, 4500, 1300)),  # d
    ((250, 1950, 2350, 0.20, 0.0, 2200, 700), (350, 1900, 2400, 0.50, 0.20, 2200, 800)),  # g
    ((350, 1650, 2600, 0.0, 0.90, 6300, 1100), (350, 1650, 2600, 0.05, 1.0, 6300, 1100)),  # s
    ((350, 1900, 2500, 0.0, 0.90, 3600, 900), (350, 1900, 2500, 0.05, 1.0, 3600, 900)),  # sh
    ((350, 1000, 2250, 0.0, 0.30, 5000, 3200), (350, 1000, 2250, 0.05, 0.30, 5000, 3200)),  # f
    ((270, 1050, 2250, 0.45, 0.0, 3000, 1000), (270, 1050, 2250, 0.45, 0.0, 3000, 1000)),  # m
    ((270, 1600, 2550, 0.45, 0.0, 3000, 1000), (270, 1600, 2550, 0.45, 0.0, 3000, 1000)),  # n
)
PAUSE_ID = NUM_VOWELS
FIRST_CONSONANT_ID = NUM_VOWELS + 1
STOPS = 6  # the first so many consonants are stops: their closure is longer than their burst

UPPER_FORMANTS_HZ = (3500.0, 4500.0, 5500.0, 6500.0, 7500.0)  # F4 … F8, male; they stand still
UPPER_BANDWIDTHS_HZ = (200.0, 250.0, 350.0, 450.0, 500.0)
HIGHEST_FORMANT_HZ = 7700.0
BANDWIDTHS_HZ = (70.0, 95.0, 150.0)
FEMALE_TRACT = 16.9 / 14.6  # ratio of tract lengths, for what the table of vowels does not give
CURVE_HZ = (250.0, 1000.0, 2500.0, 5500.0)  # where the curves of speaker and session have their points
TILT_FROM_HZ = 250.0
# What of the tilt the pulse and the tract have of themselves: so the long-term spectra are those of real speech.
PULSE_TILT_DB = -11.0


@dataclass(frozen=True)
class Voice:
    """A speaker. Curves are power gains or amplitudes over the F bins, ready to be multiplied."""

    gender: str
    age: float
    f0_hz: float
    f0_sd: float  # semitones, inside an utterance
    jitter: float  # mean relative difference of neighbouring periods
    shimmer: float
    aspiration: float  # noise amplitude beside a pulse train of rms 1
    open_quotient: float
    tremor_hz: float
    tremor_depth: float
    syllable_rate: float  # a second
    formants: Floats  # (K, 3) Hz
    bandwidths: Floats  # (3,) Hz
    voicing: Floats  # (K,)
    frication: Floats  # (K, F)
    colour: Floats  # (F,) upper formants, source tilt, long-term curve


def gender_of(number: int) -> str:
    """Return the gender of a speaker number: they take turns."""
    return "F" if number % 2 == 0 else "M"


def voice_of(*, key: int, seed: int, gender: str, age: float, idio: float, sep: float) -> Voice:
    """Return the voice of a speaker.

    `key` is the speaker's number in the generator's key space; `idio` scales what differs between speakers of one
    gender and age, `sep` every effect of age.
    """
    normals = np.random.Generator(np.random.Philox(key=[seed, key])).standard_normal(96)
    normals = idio * np.clip(normals, -3, 3)
    decades = sep * (age - MIDDLE_AGE) / 10
    male = gender == "M"
    knots = np.asarray(F0_HZ[gender])
    middle = float(knots[:-1].mean())
    f0 = middle + sep * (float(np.interp(age, F0_AGES, knots)) - middle)
    tract = float(np.exp(0.045 * normals[0])) * (1 - 0.006 * decades)
    hnr_db = (19.0 if male else 17.0) - 1.5 * decades + 2.0 * normals[1]
    tilt_db = (-10.5 if male else -12.5) - 0.55 * decades + 1.5 * normals[2]
    formants_K3, voicing_K, frication_KF = _phones(gender, tract, normals[3])
    formants_K3[:NUM_VOWELS] *= np.exp(np.array([0.05, 0.04, 0.03]) * normals[4:31].reshape(NUM_VOWELS, 3))
    widths = float(np.exp(0.20 * normals[31]))
    return Voice(
        gender=gender,
        age=age,
        f0_hz=f0 * float(np.exp(F0_SPREAD[gender] * normals[32])),
        f0_sd=max(0.5, 2.6 - 0.08 * decades + 0.5 * float(normals[33])),
        jitter=min(0.06, 0.0050 * float(np.exp(0.22 * decades + 0.35 * normals[34]))),
        shimmer=min(0.30, 0.030 * float(np.exp(0.20 * decades + 0.30 * normals[35]))),
        aspiration=float(10 ** (-hnr_db / 20)),
        open_quotient=float(np.clip((0.55 if male else 0.68) + 0.015 * decades + 0.05 * normals[36], 0.35, 0.92)),
        tremor_hz=5.0 + 0.6 * float(normals[37]),
        tremor_depth=0.004 * float(np.exp(0.30 * decades + 0.30 * normals[38])),
        syllable_rate=max(2.5, 5.2 - 0.22 * decades + 0.35 * float(normals[39])),
        formants=formants_K3.astype(np.float32),
        bandwidths=np.asarray(BANDWIDTHS_HZ, dtype=np.float32) * np.float32(widths),
        voicing=voicing_K,
        frication=frication_KF,
        colour=_colour(tract if male else tract * FEMALE_TRACT, widths, tilt_db, normals[40:46], normals[46:50]),
    )


def curve(points_db: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the amplitude curve (F,) through levels in dB at CURVE_HZ, straight over log frequency."""
    octaves = np.log2(np.maximum(FREQUENCIES_F, 50.0))
    gain: npt.NDArray[np.float64] = 10 ** (np.interp(octaves, np.log2(CURVE_HZ), points_db) / 20)
    return gain


def _phones(gender: str, tract: float, sibilant: float) -> tuple[npt.NDArray[np.float64], Floats, Floats]:
    """Return the formants (K, 3), voicing (K,) and frication curves (K, F) of all phones."""
    vowels = np.asarray(VOWELS[gender], dtype=np.float64)
    others = np.asarray([PAUSE, *(half for consonant in CONSONANTS for half in consonant)], dtype=np.float64)
    female = 1.0 if gender == "M" else FEMALE_TRACT
    formants_K3 = np.concatenate([vowels, others[:, :3] * female]) * tract
    voicing_K = np.concatenate([np.ones(NUM_VOWELS), others[:, 3]]).astype(np.float32)
    centre = np.minimum(others[:, 5] * float(np.exp(0.10 * sibilant)) * (1 + (female - 1) / 2), 7000.0)
    bands = others[:, 4:5] * np.exp(-0.5 * ((FREQUENCIES_F - centre[:, None]) / others[:, 6:7]) ** 2)
    frication_KF = np.concatenate([np.zeros((NUM_VOWELS, len(FREQUENCIES_F))), bands]).astype(np.float32)
    return formants_K3, voicing_K, frication_KF


def _colour(
    tract: float,
    widths: float,
    tilt_db: float,
    formants: npt.NDArray[np.float64],
    long_term: npt.NDArray[np.float64],
) -> Floats:
    """Return the amplitude (F,) of what stands still in a voice: upper formants, source tilt, long-term curve."""
    cosine_F = np.cos(2 * np.pi * FREQUENCIES_F / SAMPLE_RATE)
    power_F = np.ones_like(cosine_F)
    for k, (frequency, bandwidth) in enumerate(zip(UPPER_FORMANTS_HZ, UPPER_BANDWIDTHS_HZ, strict=True)):
        own = float(np.exp(0.04 * formants[k])) if k < 2 else 1.0
        if frequency * tract * own > HIGHEST_FORMANT_HZ:
            continue
        q0, q1, q2 = resonator(np.asarray(frequency * tract * own), np.asarray(bandwidth * widths))
        power_F *= (q2 * cosine_F + q1) * cosine_F + q0
    tilt_F = (np.maximum(FREQUENCIES_F, TILT_FROM_HZ) / TILT_FROM_HZ) ** ((tilt_db - PULSE_TILT_DB) / 6.02)
    return (tilt_F * curve(1.6 * long_term) / np.sqrt(power_F)).astype(np.float32)


def resonator(
    frequency: npt.NDArray[np.floating], bandwidth: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """Return q0, q1, q2: a digital resonator of gain 1 at 0 Hz has power 1 / (q0 + q1 cos ω + q2 cos² ω)."""
    radius = np.exp(-np.pi * bandwidth / SAMPLE_RATE)
    a1 = -2 * radius * np.cos(2 * np.pi * frequency / SAMPLE_RATE)
    a2 = radius * radius
    at_zero = (1 + a1 + a2) ** 2
    return (a1 * a1 + (1 - a2) ** 2) / at_zero, 2 * a1 * (1 + a2) / at_zero, 4 * a2 / at_zero
