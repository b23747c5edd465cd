"""One audio file: is it sound, and what are its samples. Any format of libsndfile: WAV, FLAC, OGG and more.

Shapes: T samples, C channels.
"""

import hashlib
import io
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from trainables.corpora.corpus import Int16s

BLOCK_FRAMES = 1 << 20
UNSCALED_PEAK = 10.0  # float files hold -1 to 1; above this they hold something else (int16 values mostly)
# libsndfile shortens a cut WAV silently, but says so in its log; streams write a size near 2**32 and are whole.
CUT_WAV = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)
STREAM_BYTES = 0x7FFFFFF0
FFMPEG_ENDINGS = (".m4a", ".mp4", ".aac")
UNKNOWN_FRAMES = 1 << 48  # libsndfile gives a huge number where a stream does not tell its length


class AudioFaultError(Exception):
    """Why a file is no usable audio; the text is the reason alone.

    `is_of_the_file` is false where the cause lies outside the file: no ffmpeg, no permission, a disk or network that
    fails. Once that is mended the file may well be sound.
    """

    def __init__(self, reason: str, *, is_of_the_file: bool = True) -> None:
        super().__init__(reason)
        self.is_of_the_file = is_of_the_file


SILENCE = "digital silence: no embedding of it means anything"


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


def remarks_of(facts: AudioFacts, *, sample_rate: int) -> tuple[str, ...]:
    """What is worth telling of a file that can be used: what is done to its samples, or that it is silent."""
    remarks = []
    if facts.channels > 1:
        remarks.append(f"{facts.channels} channels, averaged")
    if facts.sample_rate != sample_rate:
        remarks.append(f"{facts.sample_rate} Hz, resampled to {sample_rate} Hz")
    if facts.peak > 1.001:
        remarks.append("samples beyond full scale, clipped")
    if facts.peak == 0:
        remarks.append(SILENCE)
    return tuple(remarks)


def examine_file(path: str) -> AudioFacts:
    """Decode a file block by block and return its facts; raises AudioFaultError with the reason."""
    try:
        _refuse_nothing(path)
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _refused(error) from None
    return _decode(path, content=content, take=lambda _: None)


def decode_file(path: str, *, sample_rate: int) -> Int16s:
    """Return a file's samples, channels averaged, at the rate, int16 (T,); raises AudioFaultError."""
    try:
        samples_TC, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        raise AudioFaultError(str(getattr(error, "error_string", error)).rstrip(". ")) from None
    return _mono(samples_TC, from_rate=int(rate), to_rate=sample_rate)


def hear_file(path: str, *, sample_rate: int) -> tuple[Int16s, AudioFacts]:
    """Return what decode_file does, and the file's facts (without `content`), in one pass.

    What libsndfile cannot read, AAC in MPEG-4 (.m4a, .mp4, .aac), goes through ffmpeg. Raises AudioFaultError.
    """
    try:
        _refuse_nothing(path)
        try:
            blocks, facts = _all_of(_through_ffmpeg(path) if needs_ffmpeg(path) else path)
        except AudioFaultError as fault:
            # libsndfile and ffmpeg do not tell a damaged file from one that the system did not give them.
            content = Path(path).read_bytes()
            if needs_ffmpeg(path) or not fault.is_of_the_file:
                raise
            blocks, facts = _all_of(io.BytesIO(content))
    except OSError as error:
        raise _refused(error) from None
    samples_TC = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    return _mono(samples_TC, from_rate=facts.sample_rate, to_rate=sample_rate), facts


def needs_ffmpeg(path: str) -> bool:
    """Whether a file is read through ffmpeg, by its ending."""
    return path.lower().endswith(FFMPEG_ENDINGS)


def _all_of(audio: str | io.BytesIO) -> tuple[list[npt.NDArray[np.float32]], AudioFacts]:
    blocks: list[npt.NDArray[np.float32]] = []
    facts = _decode(audio, content="", take=blocks.append)
    return blocks, facts


def _refuse_nothing(path: str) -> None:
    if os.path.isdir(path):
        raise AudioFaultError("is a folder, not a file")
    if os.path.getsize(path) == 0:
        raise AudioFaultError("empty file (0 bytes)")


def _refused(error: OSError) -> AudioFaultError:
    if isinstance(error, FileNotFoundError):
        return AudioFaultError("no such file")
    return AudioFaultError(f"cannot be read: {error.strerror}", is_of_the_file=False)


def _decode(audio: str | io.BytesIO, *, content: str, take: Callable[[npt.NDArray[np.float32]], object]) -> AudioFacts:
    """Decode all of a file, checked, and give each block (T, C) away; raises AudioFaultError."""
    num_frames, peak = 0, 0.0
    try:
        with soundfile.SoundFile(audio) as opened:
            told = int(opened.frames)
            cut = CUT_WAV.search(opened.extra_info)
            while len(block_TC := opened.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
                num_frames += len(block_TC)
                if not np.isfinite(block_TC).all():
                    raise AudioFaultError("holds NaN or infinite samples")
                peak = max(peak, float(np.abs(block_TC).max()))
                take(block_TC)
            rate, channels = int(opened.samplerate), int(opened.channels)
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


def _through_ffmpeg(path: str) -> io.BytesIO:
    """Return the file as a WAV of its own rate and channels; raises AudioFaultError, without ffmpeg too."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", path, "-vn", "-c:a", "pcm_s16le"]
    try:
        done = subprocess.run([*command, "-f", "wav", "pipe:1"], capture_output=True, check=False)
    except FileNotFoundError:
        raise AudioFaultError(
            "needs ffmpeg: this format is read through it, and it is not installed; install it, or convert to WAV",
            is_of_the_file=False,
        ) from None
    told = done.stderr.decode(errors="replace").strip().splitlines()
    if done.returncode != 0 or told:
        raise AudioFaultError(f"not readable by ffmpeg: {told[-1] if told else f'exit code {done.returncode}'}")
    return io.BytesIO(done.stdout)


def _mono(samples_TC: npt.NDArray[np.float32], *, from_rate: int, to_rate: int) -> Int16s:
    samples_T = samples_TC[:, 0] if samples_TC.shape[1] == 1 else samples_TC.mean(axis=1)
    return to_int16(resample(samples_T, from_rate=from_rate, to_rate=to_rate))


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
