"""What is said, before it sounds: the syllables of an utterance, and how a voice times and sings them.

Shapes: N frames, S syllables, P phones in a row.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainables.corpora.voices import (
    CONSONANTS,
    FIRST_CONSONANT_ID,
    NUM_VOWELS,
    PAUSE_ID,
    SAMPLE_RATE,
    STOPS,
    Floats,
)

HOP = 160  # samples a frame
PAUSES = 0.12  # syllables followed by one

Doubles = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Syllables:
    """The syllables of an utterance; a voice's rate gives them their time."""

    consonant_S: Int64s
    vowel_S: Int64s
    length_S: Doubles  # of a mean syllable
    share_S: Doubles  # of the consonant
    pause_S: Doubles  # seconds after the syllable, mostly 0
    level_S: Doubles  # amplitude
    accent_S: Doubles
    lead_s: float  # a short silence before the first syllable

    def phones(self) -> Int64s:
        """Return the phones (P,), four a syllable: the consonant's halves, the vowel, the pause."""
        first_S = FIRST_CONSONANT_ID + 2 * self.consonant_S
        pause_S = np.full(len(first_S), PAUSE_ID)
        return np.stack([first_S, first_S + 1, self.vowel_S, pause_S], axis=1).ravel()

    def ends(self, rate: float) -> Doubles:
        """Return when each phone ends (P,), seconds after the lead, at so many syllables a second."""
        length_S, share_S = self.length_S / rate, self.share_S
        closure_S = np.where(self.consonant_S < STOPS, 0.65, 0.5) * share_S
        ends_P: Doubles = np.stack(
            [length_S * closure_S, length_S * (share_S - closure_S), length_S * (1 - share_S), self.pause_S], axis=1
        ).ravel()
        np.cumsum(ends_P, out=ends_P)
        return ends_P

    def num_samples_at(self, rate: float, *, num_samples: int, from_rate: float) -> int:
        """Return after how many samples the utterance stands at the place that `from_rate` reaches in `num_samples`."""
        if rate == from_rate:
            return num_samples
        before_P, after_P = (np.concatenate([[0.0], self.ends(each)]) for each in (from_rate, rate))
        end_s = self.lead_s + float(np.interp(num_samples / SAMPLE_RATE - self.lead_s, before_P, after_P))
        return round(end_s * SAMPLE_RATE)


@dataclass(frozen=True)
class Score:
    """What to say, frame by frame."""

    phones: Int64s  # (N,)
    levels: Floats  # (N,) amplitude of the syllable
    melody: Doubles  # (N,) F0 around the voice's mean, sd 1


def draw_syllables(rng: np.random.Generator, *, rate: float, num_frames: int) -> Syllables:
    """Draw syllables, more than so many frames can take at `rate` a second."""
    S = int(num_frames * HOP / SAMPLE_RATE * rate * 1.5) + 6
    return Syllables(
        consonant_S=rng.integers(len(CONSONANTS), size=S),
        vowel_S=rng.integers(NUM_VOWELS, size=S),
        length_S=np.exp(0.2 * rng.standard_normal(S)),
        share_S=rng.uniform(0.28, 0.42, size=S),
        pause_S=np.where(rng.random(S) < PAUSES, rng.uniform(0.12, 0.40, size=S), 0.0),
        level_S=10 ** (2.0 * rng.standard_normal(S) / 20),
        accent_S=rng.standard_normal(S),
        lead_s=rng.uniform(0.03, 0.15),
    )


def write_score(syllables: Syllables, *, rate: float, num_frames: int) -> Score:
    """Lay the syllables over the frames."""
    seconds = num_frames * HOP / SAMPLE_RATE
    ends_P = syllables.ends(rate)
    time_N = np.arange(num_frames) * (HOP / SAMPLE_RATE)
    place_N = np.searchsorted(ends_P, time_N - syllables.lead_s, side="right")
    phone_N = np.where(time_N < syllables.lead_s, PAUSE_ID, syllables.phones()[place_N])
    melody_N = np.interp(time_N - syllables.lead_s, ends_P[2::4], syllables.accent_S) - 1.5 * time_N / seconds
    melody_N -= melody_N.mean()
    melody_N /= max(float(melody_N.std()), 0.3)
    return Score(phones=phone_N, levels=syllables.level_S[place_N // 4].astype(np.float32), melody=melody_N)
