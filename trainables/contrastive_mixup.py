"""A trial of speaker verification with angular prototypical loss and contrastive mixup (Zhang et al., ICASSP 2022).

A batch is S speakers x U utterances; the last utterance of a speaker is the query, the mean of the others' embeddings
his prototype. With several workers each reads its own share of the speakers, and the queries of their partners too:
mixing is local, and the result does not depend on the number of workers.

Letters: S speakers, U utterances; of dev or test: N utterances, P trial pairs, C crops; D embedding, B batch, T
samples.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from search_spaces.contrastive_mixup import MIXUPS, ContrastiveMixup
from trainables.batches import Batch, BatchPlan, plan_batches, share_of
from trainables.corpora.corpus import AudioCache, crop
from trainables.corpora.splits import Splits
from trainables.corpora.trial_pairs import TrialPairs, trial_pairs
from trainables.distributed import all_sum, world
from trainables.metrics import equal_error_rate, minimum_detection_cost
from trainables.scores import EvalCrops, mean_unit_vectors, plan_crops, score_pairs, scores_table
from trainables.task import Task
from trainables.verifier import Crops, Verifier

SMALLEST_SCALE = 1e-6
# Fixed: then a crop's embedding depends neither on the number of workers nor on what else is evaluated.
CROPS_AT_ONCE = 32
# Bounds the memory of embeddings; a multiple of CROPS_AT_ONCE.
CROPS_GATHERED = 8192
STAND_IN_SPEAKERS = 8


class ContrastiveMixupTask:
    """A trial of `contrastive_mixup` on one worker, as `trainables.task.Task` describes it."""

    def __init__(
        self,
        *,
        config: ContrastiveMixup,
        module: Verifier,
        plan: BatchPlan,
        pairs: Mapping[str, TrialPairs],
        audio: Mapping[str, AudioCache],
        device: torch.device,
        rank: int,
        size: int,
    ) -> None:
        self.module: nn.Module = module
        self.epochs = config.epochs
        self._config = config
        self._verifier = module
        self._plan = plan
        self._pairs = pairs
        self._audio = audio
        self._device = device
        self._rank, self._size = rank, size
        self._share = share_of(config.batch_speakers, rank=rank, size=size)
        self._crop_samples = _samples(config.crop_s, config)
        self._eval_crop_samples = _samples(config.eval_crop_s, config)
        self._dev_crops = self._plan_crops("dev")
        self._scores: dict[str, NDArray[np.float32]] = {}

    def optimizer(self) -> tuple[torch.optim.Optimizer, LRScheduler]:
        """Adam; the learning rate is multiplied by `lr_decay` every `lr_decay_epochs` epochs."""
        config = self._config
        optimizer = torch.optim.Adam(self.module.parameters(), lr=config.learning_rate)
        return optimizer, LambdaLR(optimizer, lambda done: config.lr_decay ** (done // config.lr_decay_epochs))

    def batches(self, epoch: int) -> Iterator[Crops]:
        """The worker's share of the epoch's batches, on its device."""
        for batch in self._plan.batches(epoch):
            yield self._read(batch)

    def after_step(self) -> None:
        """Keep the loss's scale positive (the paper's baseline code means to, but discards the clamped value)."""
        with torch.no_grad():
            self._verifier.scale.clamp_(min=SMALLEST_SCALE)

    def evaluate(self) -> dict[str, float]:
        """EER and minDCF (target prior 0.05) on the dev trials; NaN both when an embedding is not finite."""
        self._scores = {}
        return self._score("dev", self._dev_crops)

    def test(self) -> dict[str, float]:
        """The metrics of `evaluate` on the test trials."""
        return self._score("test", self._plan_crops("test"))

    def scores(self) -> pa.Table:
        """The dev trials and their scores by the last `evaluate`, then those of test if `test` came after it."""
        assert self._scores, "evaluate() comes before scores()"
        return pa.concat_tables(
            scores_table(
                split=split,
                utterances_N=self._audio[split].corpus.table["utterance"].to_pylist(),
                left_P=self._pairs[split].left,
                right_P=self._pairs[split].right,
                label_P=self._pairs[split].label,
                score_P=scores_P,
            )
            for split, scores_P in self._scores.items()
        )

    def _plan_crops(self, split: str) -> EvalCrops:
        """The crops of all utterances of a split that are compared."""
        pairs = self._pairs[split]
        return plan_crops(
            num_samples_N=self._audio[split].corpus.table["num_samples"].to_pylist(),
            rows=np.unique(np.concatenate([pairs.left, pairs.right])),
            crop_samples=self._eval_crop_samples,
            num_crops=self._config.eval_crops,
        )

    def _score(self, split: str, crops: EvalCrops) -> dict[str, float]:
        """Score a split's trials, keep the scores, return the metrics."""
        pairs = self._pairs[split]
        was_training = self.module.training
        self.module.eval()
        with torch.no_grad():
            vectors_ND = mean_unit_vectors(
                embeddings=self._embedded(self._audio[split], crops),
                utterance_C=torch.from_numpy(crops.utterance_C).to(self._device),
                num_utterances=len(self._audio[split].corpus),
            )
        self.module.train(was_training)
        left_P, right_P = (torch.from_numpy(rows).long().to(self._device) for rows in (pairs.left, pairs.right))
        scores_P = score_pairs(vectors_ND=vectors_ND, left_P=left_P, right_P=right_P)
        self._scores[split] = scores_P
        if not np.isfinite(scores_P).all():
            return {"eer": float("nan"), "min_dcf": float("nan")}
        return {
            "eer": equal_error_rate(scores=scores_P, labels=pairs.label),
            "min_dcf": minimum_detection_cost(scores=scores_P, labels=pairs.label),
        }

    def _read(self, batch: Batch) -> Crops:
        share = self._share
        partners_ST = None
        if self._plan.beta_alpha > 0:
            partner_S = batch.partner_S[share]
            partners_ST = self._crops(batch.utterances_SU[partner_S, -1], batch.starts_SU[partner_S, -1])
        return Crops(
            utterances_SUT=self._crops(batch.utterances_SU[share], batch.starts_SU[share]),
            partners_ST=partners_ST,
            partner_G=self._on_device(torch.from_numpy(batch.partner_S)),
            ratio=batch.ratio,
        )

    def _crops(self, rows: NDArray[np.int64], starts: NDArray[np.float64]) -> Tensor:
        """Training crops, int16 (*, T) for rows and start fractions of shape (*)."""
        return self._on_device(_read_crops(self._audio["train"], rows, starts, self._crop_samples))

    def _on_device(self, x: Tensor) -> Tensor:
        """A copy that a GPU makes while the CPU goes on reading, which needs pinned memory."""
        return x.pin_memory().to(self._device, non_blocking=True) if self._device.type == "cuda" else x.to(self._device)

    def _embedded(self, audio: AudioCache, crops: EvalCrops) -> Iterator[Tensor]:
        """The embeddings of all crops, (*, D), piece by piece, the same on every worker."""
        for first in range(0, len(crops), CROPS_GATHERED):
            after = min(first + CROPS_GATHERED, len(crops))
            embeddings_BD = torch.zeros(
                after - first, self._config.embedding_size, device=self._device, dtype=self._verifier.scale.dtype
            )
            # Whole chunks are shared over the workers: each is embedded in the same company whatever their number.
            for start in range(first, after, CROPS_AT_ONCE)[self._rank :: self._size]:
                rows = slice(start, min(start + CROPS_AT_ONCE, after))
                samples_BT = _read_crops(audio, crops.utterance_C[rows], crops.start_C[rows], self._eval_crop_samples)
                embeddings_BD[start - first : rows.stop - first] = self._verifier.embed(self._on_device(samples_BT))
            yield all_sum(embeddings_BD)


def build(
    config: ContrastiveMixup,
    *,
    seed: int,
    splits: Splits,
    audio: Mapping[str, AudioCache],
    device: torch.device,
    rank: int,
    size: int,
) -> Task:
    """A trial's task on worker `rank` of `size`; `audio` are the caches of the splits, by name.

    The seed alone draws the initial weights, the utterance subset, and every epoch's batches, crops and λ.

    Raises ValueError if no batch can be filled, or the speakers of a batch cannot be shared evenly by the workers.
    """
    assert (rank, size) == world(), f"built for worker {rank} of {size}, but this is {world()}"
    plan = _plan(config, splits.train.table, seed=seed)
    if plan.num_left_out and rank == 0:
        print(f"{plan.num_left_out} train speakers are left out: fewer than {config.batch_utterances} utterances")
    # The seed is for this module alone: the process's own stream of random numbers goes on where it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = Verifier(
            loss=config.loss,
            mixup_level=config.mixup_level,
            volume=config.volume,
            mels=config.mels,
            width=config.width,
            embedding_size=config.embedding_size,
            precision=config.precision,
        )
    pairs = {"dev": trial_pairs(splits.dev)}
    if splits.trials is not None:
        pairs["test"] = splits.trials
    return ContrastiveMixupTask(
        config=config,
        module=module.to(device),
        plan=plan,
        pairs=pairs,
        audio=audio,
        device=device,
        rank=rank,
        size=size,
    )


def stand_in(config: ContrastiveMixup) -> tuple[ContrastiveMixup, str]:
    """What to measure a step on: the same net and crops, few speakers, and voices for them."""
    few = min(config.batch_speakers, STAND_IN_SPEAKERS)
    seconds = math.ceil(max(config.crop_s, config.eval_crop_s)) + 1
    voices = (
        f"synthetic?speakers={few}&utterances={config.batch_utterances}&dev_speakers=2&dev_utterances=2"
        f"&test_speakers=0&seconds={seconds}"
    )
    return dataclasses.replace(config, batch_speakers=few, train_utterances=0), voices


def utterances_of_step(config: ContrastiveMixup) -> int:
    """How many crops a full step trains on."""
    return config.batch_speakers * config.batch_utterances


def steps_of_epoch(config: ContrastiveMixup, table: pa.Table) -> int:
    """The batches of an epoch over a listing's table; ValueError if none can be filled."""
    return len(_plan(config, table, seed=0).batches(1))


def _plan(config: ContrastiveMixup, table: pa.Table, *, seed: int) -> BatchPlan:
    return plan_batches(
        speakers=table["speaker"],
        recordings=table["recording"],
        train_utterances=config.train_utterances,
        batch_speakers=config.batch_speakers,
        batch_utterances=config.batch_utterances,
        beta_alpha=config.beta_alpha if config.loss in MIXUPS else 0.0,
        seed=seed,
    )


def _samples(seconds: float, config: ContrastiveMixup) -> int:
    return round(seconds * config.sample_rate)


def _read_crops(audio: AudioCache, rows: NDArray[np.int64], starts: NDArray[np.float64], num_samples: int) -> Tensor:
    crops = [
        crop(audio.waveform(int(row)), float(start), num_samples)
        for row, start in zip(rows.flat, starts.flat, strict=True)
    ]
    return torch.from_numpy(np.stack(crops)).view(*rows.shape, num_samples)
