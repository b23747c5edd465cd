"""A corpus of hand-made voices, a bank of noise, a store in memory, and tasks small enough to train in a second."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from search_spaces.contrastive_mixup import ContrastiveMixup
from trainables.contrastive_mixup import build
from trainables.corpora.banks import KINDS, Bank, Clips
from trainables.corpora.corpus import Corpus, Row, build_corpus, table_of
from trainables.corpora.splits import Splits, audio_caches
from trainables.corpora.trial_pairs import TrialPairs
from trainables.task import Task

SAMPLE_RATE = 16_000
SMALL = ContrastiveMixup(
    width=4,
    embedding_size=16,
    mels=20,
    batch_speakers=4,
    crop_s=0.4,
    eval_crop_s=0.5,
    eval_crops=3,
    epochs=3,
)


@dataclass(frozen=True)
class Hums:
    """A source of buzzing voices: each speaker has a pitch and a timbre, each utterance some noise."""

    text: str = "hums"

    def listing(self, *, number, sample_rate, wheres=()):
        raise NotImplementedError

    def examine(self, row, *, sample_rate, min_s):
        raise NotImplementedError

    def waveform(self, *, path, index, sample_rate):
        """Utterance `index`, of speaker index // 100."""
        speaker, utterance = divmod(index, 100)
        if path == "silence":
            return np.zeros(num_samples_of(index), dtype=np.int16)
        generator = np.random.default_rng((speaker, utterance))
        time_T = np.arange(num_samples_of(index)) / sample_rate
        timbre = np.random.default_rng(speaker).uniform(0.2, 1.0, size=12)
        pitch = 90 + 17 * speaker + generator.normal(0, 1.5)
        wave_T = sum(a * np.sin(2 * np.pi * k * pitch * time_T) for k, a in enumerate(timbre, start=1))
        wave_T = wave_T * generator.uniform(400, 900) + generator.normal(0, 150, size=len(time_T))
        return np.clip(wave_T, -32768, 32767).astype(np.int16)


def num_samples_of(index: int) -> int:
    """0.35 s to 0.8 s: some are shorter than a crop."""
    return 5_600 + 1_200 * (index % 7)


def corpus_of(counts: dict[int, int], path: str | None = None) -> Corpus:
    """A corpus of so many utterances of each speaker."""
    rows = [
        Row(
            source=0,
            index=100 * speaker + utterance,
            utterance=f"s{speaker:02d}-u{utterance}",
            speaker=f"s{speaker:02d}",
            path=path,
            num_samples=num_samples_of(100 * speaker + utterance),
        )
        for speaker, count in counts.items()
        for utterance in range(count)
    ]
    return build_corpus(table_of(rows), sources=(Hums(),), sample_rate=SAMPLE_RATE)


def small_bank() -> Bank:
    """Eight clips of noise of each kind: some shorter than a crop, some longer."""
    generator = np.random.default_rng(0)
    lengths = [2_000 + 1_500 * i for i in range(8)]
    clips = {
        kind: Clips(
            samples_N=(generator.standard_normal(sum(lengths)) * 2000).astype(np.int16), ends_C=np.cumsum(lengths)
        )
        for kind in KINDS
    }
    return Bank(clips=clips, sample_rate=SAMPLE_RATE, fingerprint="small bank")


def small_splits(**train: Any) -> Splits:
    """8 train speakers of 2 to 4 utterances, 4 dev speakers of 5, 3 test speakers of 4 with trials, and a bank."""
    return Splits(
        train=corpus_of({speaker: 2 + speaker % 3 for speaker in range(8)}, **train),
        dev=corpus_of(dict.fromkeys(range(20, 24), 5)),
        test=corpus_of(dict.fromkeys(range(30, 33), 4)),
        trials=given_trials(),
        rejected=(),
        notes=(),
        fingerprint="small",
        test_fingerprint="small test",
        bank=small_bank(),
    )


def given_trials() -> TrialPairs:
    """A list as people write them: targets and others mixed, some trials twice, one utterance in none."""
    pairs = [(right, left) for right in range(11) for left in range(right)]
    left, right = np.array([*pairs[::-2], *pairs[1::2], *pairs[:5]], dtype=np.int32).T
    return TrialPairs(left=left, right=right, label=left // 4 == right // 4)


def small_task(
    splits: Splits, *, seed: int = 0, config: ContrastiveMixup = SMALL, rank: int = 0, size: int = 1, **knobs: Any
) -> Task:
    """A task on these splits, some knobs changed."""
    return build(
        replace(config, **knobs),
        seed=seed,
        splits=splits,
        audio=audio_caches(splits),
        device=torch.device("cpu"),
        rank=rank,
        size=size,
    )


@dataclass(frozen=True)
class MemoryStore:
    """A store in memory."""

    objects: dict[str, bytes] = field(default_factory=dict)

    def write(self, path: str, data: bytes) -> None:
        self.objects[path] = data

    def read(self, path: str) -> bytes:
        return self.objects[path]

    def names(self, folder: str) -> list[str]:
        return sorted(p.removeprefix(f"{folder}/") for p in self.objects if p.startswith(f"{folder}/"))

    def delete(self, path: str) -> None:
        del self.objects[path]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Results to the last bit need a fixed number of threads."""
    torch.set_num_threads(1)


@pytest.fixture
def store() -> MemoryStore:
    """An empty store in memory."""
    return MemoryStore()


@pytest.fixture(scope="session")
def splits() -> Splits:
    """The small corpus; see `small_splits`."""
    return small_splits()


@pytest.fixture
def silent_splits() -> Splits:
    """The small corpus with train utterances of zeros."""
    return small_splits(path="silence")


@pytest.fixture
def make_task(splits: Splits) -> Callable[..., Task]:
    """`make_task(seed=0, **knobs)`: a task of `contrastive_mixup` on the small corpus."""
    return partial(small_task, splits)
