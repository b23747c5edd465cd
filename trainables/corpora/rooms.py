"""Room responses: made by recipe, or listed in a folder laid out as RIRS_NOISES.

Shapes: L taps.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainables.corpora.corpus import CorpusError

Floats = npt.NDArray[np.float32]
Range = tuple[float, float]

T60_S: Range = (0.15, 0.6)
# A guess: a mouth near the microphone in a furnished room; no source gives a range for both corpora's recordings.
DIRECT_DB: Range = (0.0, 12.0)
EARLY_S: Range = (0.005, 0.05)
EARLY_TAPS = (3, 6)
EARLY_LEVEL: Range = (0.1, 0.3)  # of an early reflection, beside a tail of norm 1
SIMULATED = "simulated_rirs"


@dataclass(frozen=True)
class Room:
    """Seconds until an echo has fallen by 60 dB, and the direct sound over all that follows it in dB."""

    t60_s: float
    direct_db: float


def draw_room(rng: np.random.Generator, *, t60_s: Range = T60_S, direct_db: Range = DIRECT_DB) -> Room:
    """Return a room, both numbers uniform in their ranges."""
    return Room(t60_s=float(rng.uniform(*t60_s)), direct_db=float(rng.uniform(*direct_db)))


def room_response(room: Room, *, sample_rate: int, rng: np.random.Generator) -> Floats:
    """Return a response (L,) of norm 1 that lasts T60; the direct sound is its first tap.

    Behind it noise that decays by 60 dB in T60, and 3 to 6 single reflections between 5 and 50 ms.
    """
    num_taps = max(2, math.ceil(room.t60_s * sample_rate))
    time_L = np.arange(num_taps) / sample_rate
    echo_L = rng.standard_normal(num_taps) * np.exp(-math.log(1000) * time_L / room.t60_s)
    echo_L[0] = 0
    echo_L /= np.linalg.norm(echo_L)
    # All six are always drawn: the tail of the stream does not depend on how many are heard.
    num_early = int(rng.integers(EARLY_TAPS[0], EARLY_TAPS[1] + 1))
    places = 1 + (rng.uniform(*EARLY_S, size=EARLY_TAPS[1]) * sample_rate).astype(np.int64)
    levels = rng.uniform(*EARLY_LEVEL, size=EARLY_TAPS[1]) * rng.choice([-1.0, 1.0], size=EARLY_TAPS[1])
    for place, level in zip(places[:num_early], levels[:num_early], strict=True):
        if place < num_taps:
            echo_L[place] += level
    echo_L *= 10 ** (-room.direct_db / 20) / np.linalg.norm(echo_L)
    echo_L[0] = 1
    return (echo_L / np.linalg.norm(echo_L)).astype(np.float32)


def list_rooms(folder: str) -> tuple[str, ...]:
    """Return the paths of the responses below a folder, sorted: `simulated_rirs/<size>/<room>/*.wav`.

    The folder is RIRS_NOISES, its parent, or `simulated_rirs` itself (the layout as voxceleb_trainer globs it).
    Raises CorpusError if there is no such folder or no response in it.
    """
    root = existing_folder(folder)
    for inside in (root / "RIRS_NOISES" / SIMULATED, root / SIMULATED):
        if inside.is_dir():
            root = inside
            break
    found = tuple(sorted(str(path) for path in root.glob("*/*/*.wav")))
    if not found:
        raise CorpusError(f"{folder}: no room responses; expected RIRS_NOISES/{SIMULATED}/<size>/<room>/*.wav")
    return found


def existing_folder(text: str) -> Path:
    """Return the absolute path of a folder that the user names; raises CorpusError."""
    folder = Path(text).expanduser().absolute()
    if folder.is_dir():
        return folder
    raise CorpusError(f"{text}: " + ("is a file, not a folder" if folder.exists() else "no such folder"))
