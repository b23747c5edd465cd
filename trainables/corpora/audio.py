"""One audio file: is it sound, and what are its samples. Any format of libsndfile: WAV, FLAC, OGG and more.

Shapes: T samples, C channels.
"""

import hashlib
import os
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soundfile

from trainables.corpora.corpus import Int16s

BLOCK_FRAMES = 1 << 20
UNSCALED_PEAK = 10.0  # float files hold -1 to 1; above this they hold something else (int16 values mostly)
# libsndfile shortens a cut WAV silently, but says so in its log; streams write a size near 2**32 and are whole.
CUT_WAV = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)
STREAM_BYTES = 0x7FFFFFF0
UNKNOWN_FRAMES = 1 << 48  # libsndfile gives a huge number where a stream does not tell its length


class AudioFaultError(Exception):
    """Why a file is no usable audio; the text is the reason alone."""


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """What a whole file holds, after decoding all of it."""

    num_frames: int
    sample_rate: int
    channels: int
    peak: float
    content: str  # sha256 of the file's bytes


def num_samples_at(num_frames: int, from_rate: int, to_rate: int) -> int:
    """Return the length after resampling: the ceiling, in whole numbers (torchaudio's own is rounded in float32)."""
    return -(-num_frames * to_rate // from_rate)


def examine_file(path: str) -> AudioFacts:
    """Decode a file block by block and return its facts; raises AudioFaultError with the reason."""
    try:
        if os.path.isdir(path):
            raise AudioFaultError("is a folder, not a file")
        if os.path.getsize(path) == 0:
            raise AudioFaultError("empty file (0 bytes)")
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise AudioFaultError("no such file") from None
    except OSError as error:
        raise AudioFaultError(f"cannot be read: {error.strerror}") from None
    num_frames, peak = 0, 0.0
    try:
        with soundfile.SoundFile(path) as audio:
            told = int(audio.frames)
            cut = CUT_WAV.search(audio.extra_info)
            while len(block_TC := audio.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
                num_frames += len(block_TC)
                if not np.isfinite(block_TC).all():
                    raise AudioFaultError("holds NaN or infinite samples")
                peak = max(peak, float(np.abs(block_TC).max()))
            rate, channels = int(audio.samplerate), int(audio.channels)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        reason = str(getattr(error, "error_string", error)).rstrip(". ")
        where = f" after {num_frames} samples" if num_frames else ""
        raise AudioFaultError(f"not readable as audio{where}: {reason}") from None
    if num_frames < told < UNKNOWN_FRAMES:
        raise AudioFaultError(f"truncated: its header tells {told} samples, {num_frames} could be decoded")
    if cut and int(cut[2]) < int(cut[1]) < STREAM_BYTES:
        raise AudioFaultError(f"truncated: its header tells {cut[1]} bytes of samples, {cut[2]} are there")
    if num_frames == 0:
        raise AudioFaultError("empty: holds no samples")
    if peak > UNSCALED_PEAK:
        raise AudioFaultError(f"samples up to {peak:.6g}, but audio is scaled to -1 .. 1")
    return AudioFacts(num_frames=num_frames, sample_rate=rate, channels=channels, peak=peak, content=content)


def decode_file(path: str, *, sample_rate: int) -> Int16s:
    """Return a file's samples, channels averaged, at the rate, int16 (T,); raises AudioFaultError."""
    try:
        samples_TC, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        raise AudioFaultError(str(getattr(error, "error_string", error)).rstrip(". ")) from None
    samples_T = samples_TC[:, 0] if samples_TC.shape[1] == 1 else samples_TC.mean(axis=1)
    return to_int16(resample(samples_T, from_rate=int(rate), to_rate=sample_rate))


def resample(samples_T: npt.NDArray[np.float32], *, from_rate: int, to_rate: int) -> npt.NDArray[np.float32]:
    """Return the samples at another rate, of length `num_samples_at`."""
    if from_rate == to_rate:
        return samples_T
    # Here and not above: the driver lists and checks corpora long before anything needs torch.
    import torch
    import torchaudio.functional

    resampled: npt.NDArray[np.float32] = torchaudio.functional.resample(
        torch.from_numpy(np.ascontiguousarray(samples_T)), from_rate, to_rate
    ).numpy()
    length = num_samples_at(len(samples_T), from_rate, to_rate)
    return np.pad(resampled[:length], (0, max(0, length - len(resampled))))


def to_int16(samples_T: npt.NDArray[np.float32]) -> Int16s:
    """Return samples of -1 .. 1 as int16, what is beyond clipped; 16-bit PCM comes back exactly."""
    scaled = np.rint(samples_T * np.float32(32768.0))
    clipped: Int16s = np.clip(scaled, -32768, 32767).astype(np.int16)
    return clipped
