"""What is heard in a sample of a corpus: levels, clipping, silence, and F0 beside the labels of gender.

A speaker is a suspect if his label and his median F0 disagree: labels of gender are swapped or mistyped in every large
corpus, and speakers mixed up with them. Deep women and high men are listed too: a suspect is to be listened to.

Shapes: N frames, T samples.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.corpora.corpus import AudioCache, Corpus, Int16s
from trainables.corpora.examination import Progress
from trainables.corpora.pitch import median_f0, voiced_f0

HEARD_S = 10.0  # of the middle of an utterance
# Two sd of the spread inside a gender away from its mean, at an age of 45: what is beyond is rare for the label.
LOWEST_F_HZ, HIGHEST_M_HZ = 145.0, 165.0
FRAME_S = 0.025
QUIET_DB = -30.0  # a frame so far below the loud ones (95th percentile of the utterance) is silence
SILENT_DBFS = -70.0  # and so is one below this
RUN = 3  # equal samples in a row at an utterance's extreme are clipped
FULL_SCALE = 32768.0
UNKNOWN = "unknown"
GENDERS = ("F", "M", UNKNOWN)


@dataclass(frozen=True)
class Spread:
    """Five points of a distribution."""

    lowest: float
    quarter: float
    median: float
    three_quarters: float
    highest: float


@dataclass(frozen=True)
class Suspect:
    """A speaker whose label of gender disagrees with his median F0, in so many utterances that were heard."""

    speaker: str
    gender: str
    f0_hz: float
    utterances: int


@dataclass(frozen=True)
class Sound:
    """What was heard in a sample: `utterances` of `speakers`; shares are of samples (clipped) and of time (silent)."""

    utterances: int
    speakers: int
    levels_dbfs: Spread | None
    clipped_share: float
    clipped_utterances: int
    silent_share: float
    f0_hz: tuple[tuple[str, Spread], ...]  # of the speakers of each gender
    suspects: tuple[Suspect, ...]


def spread_of(values: npt.ArrayLike) -> Spread | None:
    """Return the five points of some numbers, None if there are none."""
    numbers = np.asarray(values, dtype=np.float64)
    return Spread(*np.quantile(numbers, [0, 0.25, 0.5, 0.75, 1]).tolist()) if len(numbers) else None


def listen(heard: Corpus, gender_of: Mapping[str, str], progress: Progress | None) -> Sound:
    """Listen to all of a small corpus; `gender_of` has every speaker's label, and `progress` gets (heard, of all)."""
    cache = AudioCache(heard, max_bytes=0)
    levels, clipped, silent, length = [], [], 0.0, 0
    pitches: defaultdict[str, list[Any]] = defaultdict(list)
    for row, speaker in enumerate(heard.table["speaker"].to_pylist()):
        samples_T = _middle(cache.waveform(row), round(HEARD_S * heard.sample_rate))
        levels.append(level_dbfs(samples_T))
        clipped.append(num_clipped(samples_T))
        silent += silent_share(samples_T, sample_rate=heard.sample_rate) * len(samples_T)
        length += len(samples_T)
        pitches[speaker].append(voiced_f0(samples_T, sample_rate=heard.sample_rate))
        if progress is not None:
            progress(row + 1, len(heard))
    f0_of = {name: f0 for name, tracks in pitches.items() if (f0 := median_f0(tracks)) is not None}
    spreads = (
        (gender, spread_of([f0 for name, f0 in f0_of.items() if gender_of[name] == gender])) for gender in GENDERS
    )
    suspects = [
        Suspect(speaker=name, gender=gender_of[name], f0_hz=f0, utterances=len(pitches[name]))
        for name, f0 in f0_of.items()
        if is_suspect(gender_of[name], f0)
    ]
    return Sound(
        utterances=len(heard),
        speakers=len(pitches),
        levels_dbfs=spread_of(levels),
        clipped_share=sum(clipped) / max(length, 1),
        clipped_utterances=sum(count > 0 for count in clipped),
        silent_share=silent / max(length, 1),
        f0_hz=tuple((gender, spread) for gender, spread in spreads if spread is not None),
        # The worst first: furthest, in semitones, from what his label allows.
        suspects=tuple(sorted(suspects, key=lambda each: (-_beyond(each.gender, each.f0_hz), each.speaker))),
    )


def is_suspect(gender: str, f0_hz: float) -> bool:
    """Whether a median F0 is rare for a label of gender ("F" or "M"; any other has nothing to disagree with)."""
    return _beyond(gender, f0_hz) > 0


def _beyond(gender: str, f0_hz: float) -> float:
    """Return how far F0 is beyond what the label allows, in octaves; 0 or less within it."""
    if gender == "F":
        return float(np.log2(LOWEST_F_HZ / f0_hz))
    return float(np.log2(f0_hz / HIGHEST_M_HZ)) if gender == "M" else 0.0


def _middle(samples_T: Int16s, length: int) -> Int16s:
    first = max(0, (len(samples_T) - length) // 2)
    return samples_T[first : first + length]


def level_dbfs(samples_T: Int16s) -> float:
    """Return the rms level in dB of full scale; a digital zero counts as -100 dB."""
    rms = float(np.sqrt(np.mean((samples_T / FULL_SCALE) ** 2))) if len(samples_T) else 0.0
    return 20 * float(np.log10(max(rms, 1e-5)))


def num_clipped(samples_T: Int16s) -> int:
    """Return how many samples stand at the recording's extremes, three or more in a row.

    The extremes and not full scale: clipped recordings are often scaled down afterwards.
    """
    count = 0
    for extreme in (samples_T.max(initial=0), samples_T.min(initial=0)):
        if abs(int(extreme)) < 0.1 * FULL_SCALE:
            continue
        edges = np.flatnonzero(np.diff(np.concatenate([[0], samples_T == extreme, [0]]).astype(np.int8)))
        runs = edges[1::2] - edges[::2]
        count += int(runs[runs >= RUN].sum())
    return count


def silent_share(samples_T: Int16s, *, sample_rate: int) -> float:
    """Return the share of frames (25 ms) that are silence."""
    width = round(FRAME_S * sample_rate)
    frames_NT = samples_T[: len(samples_T) // width * width].reshape(-1, width) / FULL_SCALE
    if not len(frames_NT):
        return 0.0
    levels_N = 20 * np.log10(np.maximum(np.sqrt(np.mean(frames_NT**2, axis=1)), 1e-6))
    loud = float(np.quantile(levels_N, 0.95))
    return float(np.mean(levels_N < max(loud + QUIET_DB, SILENT_DBFS)))
