"""Noise and room responses held in memory, for augmentation in training.

A bank is a pure function of what it is opened with, so that every worker of a trial holds the same.

Shapes: N samples of all clips, C clips, T samples of one.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import soundfile

from trainables.corpora.audio import resample, to_int16
from trainables.corpora.corpus import CorpusError, Int16s
from trainables.corpora.noises import MUSAN_KINDS, NOISES, list_musan, make_babble, make_music, make_noise
from trainables.corpora.rooms import Floats, draw_room, list_rooms, room_response
from trainables.corpora.synthetic import SyntheticSource, read_options

SYNTHETIC = "synthetic"
ROLES: Mapping[str, tuple[str, ...]] = {"noise": MUSAN_KINDS, "rooms": ("rooms",)}
KINDS = tuple(kind for kinds in ROLES.values() for kind in kinds)
CLIP_S = 5.0  # long recordings are held in pieces, as voxceleb_trainer cuts them
MADE_CLIPS = 60  # of each kind, when they are made: 30 MB in all at 16 kHz
MAX_BYTES = 256 << 20
PEAK = 0.5
SEED_KEYS = {kind: number for number, kind in enumerate(KINDS)}


@dataclass(frozen=True)
class Clips:
    """Waveforms one behind the other: clip i ends before `ends_C[i]`."""

    samples_N: Int16s
    ends_C: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends_C)

    def clip(self, i: int) -> Int16s:
        """Return a clip, int16 (T,), a view."""
        return self.samples_N[self.ends_C[i - 1] if i else 0 : self.ends_C[i]]


@dataclass(frozen=True)
class Bank:
    """Clips by kind (music, noise, speech, rooms), a fingerprint of them all, and what was left out of them."""

    clips: Mapping[str, Clips]
    sample_rate: int
    fingerprint: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Held:
    """What a bank holds of a role: how many clips of how many hours, and a fingerprint of them."""

    clips: int
    hours: float
    fingerprint: str


def held_of(bank: Bank, role: str) -> Held:
    """Return what a bank holds of "noise" or of "rooms"."""
    clips = [bank.clips[kind] for kind in ROLES[role]]
    return Held(
        clips=sum(map(len, clips)),
        hours=sum(len(some.samples_N) for some in clips) / bank.sample_rate / 3600,
        fingerprint=_fingerprint(bank.clips, ROLES[role], sample_rate=bank.sample_rate),
    )


def folder_problems(*, noise: str, rooms: str) -> list[str]:
    """Return what is wrong with the folders, from their lists of files alone; nothing is read."""
    problems: list[str] = []
    for role, text in (("noise", noise), ("rooms", rooms)):
        try:
            if text != SYNTHETIC:
                FOUND[role](text)
        except CorpusError as error:
            problems += _told(role, error)
    return problems


def open_bank(
    *,
    noise: str = SYNTHETIC,
    rooms: str = SYNTHETIC,
    sample_rate: int,
    seed: int = 0,
    max_bytes: int = MAX_BYTES,
    made_clips: int = MADE_CLIPS,
) -> Bank:
    """Return a bank of the noise and the rooms that a study names: "synthetic", or a folder as MUSAN or RIRS_NOISES.

    Each of the four kinds takes at most a quarter of `max_bytes`; of a folder that holds more, pieces of 5 s (and whole
    responses) are drawn by the seed, one of every file before a second of any. Of what is made there are `made_clips`
    of each kind, as far as they fit.

    Raises CorpusError for folders that are not as they should be, and for files that cannot be read.
    """
    problems: list[str] = []
    drawn: dict[str, Iterator[Int16s]] = {}
    for role, text in (("noise", noise), ("rooms", rooms)):
        kinds = ROLES[role]
        if text == SYNTHETIC:
            drawn |= {kind: _made(kind, made_clips, sample_rate=sample_rate, seed=seed) for kind in kinds}
            continue
        try:
            files = FOUND[role](text)
        except CorpusError as error:
            problems += _told(role, error)
            continue
        drawn |= {kind: _pieces(files[kind], kind=kind, sample_rate=sample_rate, seed=seed) for kind in kinds}
    clips: dict[str, Clips] = {}
    notes: list[str] = []
    for kind, some in drawn.items():
        try:
            clips[kind], is_cut = _filled(some, max_bytes=max_bytes // len(KINDS))
        except CorpusError as error:
            problems += _told(next(role for role, kinds in ROLES.items() if kind in kinds), error)
            continue
        if is_cut:
            notes.append(
                f"{kind}: {len(clips[kind])} clips are held, more do not fit in its quarter of {max_bytes >> 20} MB"
            )
    if problems:
        raise CorpusError(*problems)
    fingerprint = _fingerprint(clips, KINDS, sample_rate=sample_rate)
    return Bank(clips=clips, sample_rate=sample_rate, fingerprint=fingerprint, notes=tuple(notes))


def _told(role: str, error: CorpusError) -> list[str]:
    return [f"{role}: {problem}" for problem in error.problems]


def _fingerprint(clips: Mapping[str, Clips], kinds: Sequence[str], *, sample_rate: int) -> str:
    digest = hashlib.sha256(str(sample_rate).encode())
    for kind in kinds:
        digest.update(clips[kind].ends_C.data)
        digest.update(clips[kind].samples_N.data)
    return digest.hexdigest()


def _noise_files(folder: str) -> dict[str, list[str]]:
    files = list_musan(folder)
    return {kind: [file.path for file in files if file.kind == kind] for kind in MUSAN_KINDS}


def _room_files(folder: str) -> dict[str, list[str]]:
    return {"rooms": list(list_rooms(folder))}


FOUND: Mapping[str, Callable[[str], dict[str, list[str]]]] = {"noise": _noise_files, "rooms": _room_files}


def _filled(clips: Iterator[Int16s], *, max_bytes: int) -> tuple[Clips, bool]:
    """Return the first clips that fit, at least one, and whether there were more."""
    kept: list[Int16s] = []
    used, is_cut = 0, False
    for clip in clips:
        if kept and used + clip.nbytes > max_bytes:
            is_cut = True
            break
        kept.append(clip)
        used += clip.nbytes
    samples_N, ends_C = np.concatenate(kept), np.cumsum([len(clip) for clip in kept])
    samples_N.flags.writeable = ends_C.flags.writeable = False
    return Clips(samples_N=samples_N, ends_C=ends_C), is_cut


def _pieces(files: Sequence[str], *, kind: str, sample_rate: int, seed: int) -> Iterator[Int16s]:
    """Yield pieces of the files in drawn order: one of each, then a second of each that is long enough, and so on."""
    rng = _generator(kind, seed)
    left: list[tuple[str, list[float]]] = []
    for i in rng.permutation(len(files)):
        seconds = _seconds(files[i])
        whole = max(1, int(seconds / CLIP_S)) if kind != "rooms" else 1
        left.append((files[i], [CLIP_S * k for k in rng.permutation(whole)]))
        yield _read(*left[-1], kind=kind, sample_rate=sample_rate)
    while left := [(file, starts) for file, starts in left if starts]:
        for file, starts in left:
            yield _read(file, starts, kind=kind, sample_rate=sample_rate)


def _seconds(file: str) -> float:
    try:
        return float(soundfile.info(file).duration)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        raise CorpusError(f"{file}: not readable as audio: {error}") from None


def _read(file: str, starts_s: list[float], *, kind: str, sample_rate: int) -> Int16s:
    """Return the piece at the last of the starts, which is taken off the list."""
    start_s = starts_s.pop()
    try:
        with soundfile.SoundFile(file) as audio:
            rate = int(audio.samplerate)
            audio.seek(int(start_s * rate))
            # A room's echo is kept whole; its first microphone alone, since the mean of several is another room.
            samples_TC = audio.read(-1 if kind == "rooms" else int(CLIP_S * rate), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        raise CorpusError(f"{file}: not readable as audio: {error}") from None
    samples_T = samples_TC[:, 0] if kind == "rooms" else samples_TC.mean(axis=1)
    if not len(samples_T) or not np.isfinite(samples_T).all():
        raise CorpusError(f"{file}: " + ("holds NaN or infinite samples" if len(samples_T) else "holds no samples"))
    return _scaled(resample(samples_T, from_rate=rate, to_rate=sample_rate))


def _made(kind: str, number: int, *, sample_rate: int, seed: int) -> Iterator[Int16s]:
    """Yield clips by recipe."""
    rng = _generator(kind, seed)
    num_samples = int(CLIP_S * sample_rate)
    voices = partial(_voices, number, sample_rate=sample_rate, seed=seed)
    if kind == "speech":
        yield from voices()
        return
    make = _makers(voices, num_samples=num_samples, sample_rate=sample_rate, rng=rng)[kind]
    for i in range(number):
        yield _scaled(make(i))


def _makers(
    voices: Callable[[], Iterator[Int16s]], *, num_samples: int, sample_rate: int, rng: np.random.Generator
) -> dict[str, Callable[[int], Floats]]:
    """Return what makes the i-th clip of a kind."""
    crowd: list[Int16s] = []

    def noise(i: int) -> Floats:
        # Babble is one of the kinds of noise, as MUSAN's noise holds crowds.
        kind = (*NOISES, "babble")[i % (len(NOISES) + 1)]
        if kind != "babble":
            return make_noise(kind, num_samples=num_samples, sample_rate=sample_rate, rng=rng)
        crowd.extend([] if crowd else voices())
        return make_babble(crowd, num_samples=num_samples, rng=rng)

    return {
        "music": lambda _: make_music(num_samples=num_samples, sample_rate=sample_rate, rng=rng),
        "noise": noise,
        "rooms": lambda _: room_response(draw_room(rng), sample_rate=sample_rate, rng=rng),
    }


def _voices(number: int, *, sample_rate: int, seed: int) -> Iterator[Int16s]:
    """Yield an utterance each of synthetic speakers; those of a seed of its own are in nobody's corpus."""
    text = f"{SYNTHETIC}?seed={(1 << 30) + seed}&speakers={number}&utterances=1&seconds={CLIP_S:g}"
    source = SyntheticSource(text=text, options=read_options(text))
    table = source.listing(number=0, sample_rate=sample_rate).table
    for index in table.filter(pc.equal(table["split"], "train"))["index"].to_pylist():
        yield source.waveform(path=None, index=index, sample_rate=sample_rate)


def _scaled(samples_T: Floats) -> Int16s:
    """Return the samples as int16 with a peak of half of full scale: levels are set when they are used."""
    peak = float(np.abs(samples_T).max())
    return to_int16(samples_T * np.float32(PEAK / peak) if peak > 0 else samples_T)


def _generator(kind: str, seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, SEED_KEYS[kind]]))
