"""A trial of speaker verification with angular prototypical loss and contrastive mixup (Zhang et al., ICASSP 2022).

A batch is S speakers x U utterances; the last utterance of a speaker is the query, the mean of the others' embeddings
his prototype. With several workers each reads (and augments) its own share of the speakers, and the queries of their
partners too: mixing is local, and the result does not depend on the number of workers. With `negatives = "local"` it
does: partners, negatives and batch statistics are then those of a worker's share.

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
from trainables.augmentation import augment, plan_augmentation
from trainables.batches import Batch, BatchPlan, plan_batches, share_of
from trainables.corpora.banks import Bank
from trainables.corpora.corpus import AudioCache
from trainables.corpora.splits import Splits
from trainables.corpora.synthetic import MOST
from trainables.corpora.trial_pairs import TrialPairs, trial_pairs
from trainables.distributed import buffers_from_rank_0, world
from trainables.embedding import build_net, on_device, plan_pairs, read_crops, samples_of, score_trials
from trainables.metrics import equal_error_rate, minimum_detection_cost
from trainables.scores import EvalCrops, scores_table
from trainables.task import Task
from trainables.verifier import Crops, Verifier

SMALLEST_SCALE = 1e-6
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
        bank: Bank | None,
        device: torch.device,
        rank: int,
        size: int,
    ) -> None:
        self.module: nn.Module = module
        self.epochs = config.epochs
        self.gradient_clip = config.gradient_clip
        self._config = config
        self._verifier = module
        self._plan = plan
        self._pairs = pairs
        self._audio = audio
        self._bank = bank
        self._device = device
        self._rank, self._size = rank, size
        self._share = share_of(config.batch_speakers, rank=rank, size=size)
        self._crop_samples = samples_of(config.crop_s, config)
        self._dev_crops = self._plan_crops("dev")
        self._scores: dict[str, NDArray[np.float32]] = {}

    def optimizer(self) -> tuple[torch.optim.Optimizer, LRScheduler]:
        """Adam; the learning rate is multiplied by `lr_decay` every `lr_decay_epochs` epochs."""
        config = self._config
        # Fused: the same to the last digit or so, and a tenth of a small net's step less.
        optimizer = torch.optim.Adam(self.module.parameters(), lr=config.learning_rate, fused=True)
        return optimizer, LambdaLR(optimizer, lambda done: config.lr_decay ** (done // config.lr_decay_epochs))

    def batches(self, epoch: int) -> Iterator[Crops]:
        """The worker's share of the epoch's batches, on its device."""
        for number, batch in enumerate(self._plan.batches(epoch)):
            yield self._read(batch, epoch=epoch, number=number)

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
        return plan_pairs(self._config, self._audio[split], self._pairs[split])

    def _score(self, split: str, crops: EvalCrops) -> dict[str, float]:
        """Score a split's trials, keep the scores, return the metrics."""
        pairs = self._pairs[split]
        if not self._verifier.is_gathered:
            # Each forward starts from rank 0's statistics (DDP sends them to all) and adds those of the worker's own
            # share: only what the last forward added differs. Rank 0's are scored with, and saved.
            buffers_from_rank_0(self.module)
        scores_P = score_trials(
            self._verifier,
            config=self._config,
            audio=self._audio[split],
            pairs=pairs,
            crops=crops,
            device=self._device,
            rank=self._rank,
            size=self._size,
        )
        self._scores[split] = scores_P
        if not np.isfinite(scores_P).all():
            return {"eer": float("nan"), "min_dcf": float("nan")}
        return {
            "eer": equal_error_rate(scores=scores_P, labels=pairs.label),
            "min_dcf": minimum_detection_cost(scores=scores_P, labels=pairs.label),
        }

    def _read(self, batch: Batch, *, epoch: int, number: int) -> Crops:
        """The crops that the worker needs of batch `number` of an epoch, its partners' among them, each worked on once.

        Utterance u of speaker s is crop s * U + u of the whole batch.
        """
        share = self._share
        crop_SU = np.arange(batch.utterances_SU.size).reshape(batch.utterances_SU.shape)
        own_SU = crop_SU[share]
        is_mixed = self._plan.beta_alpha > 0
        partners_S = crop_SU[batch.partner_S[share], -1] if is_mixed else own_SU[:0, -1]
        needed_B, places = np.unique(np.concatenate([own_SU.ravel(), partners_S]), return_inverse=True)
        crops_BT = self._crops(batch, needed_B, epoch=epoch, number=number)
        place_B = self._on_device(torch.from_numpy(places))
        # Without `is_gathered` a worker's partners are in its own share, and it counts them from the share's first.
        partner_G = batch.partner_S if self._verifier.is_gathered else batch.partner_S[share] - share.start
        return Crops(
            utterances_SUT=crops_BT[place_B[: own_SU.size]].view(*own_SU.shape, -1),
            partners_ST=crops_BT[place_B[own_SU.size :]] if is_mixed else None,
            partner_G=self._on_device(torch.from_numpy(partner_G)),
            ratio=batch.ratio,
        )

    def _crops(self, batch: Batch, wanted_B: NDArray[np.int64], *, epoch: int, number: int) -> Tensor:
        """The crops of these numbers, (B, T): int16, or floats of the same scale where they are augmented."""
        rows_B, starts_B = batch.utterances_SU.ravel()[wanted_B], batch.starts_SU.ravel()[wanted_B]
        crops_BT = self._on_device(read_crops(self._audio["train"], rows_B, starts_B, self._crop_samples))
        if self._bank is None:
            return crops_BT
        plan = plan_augmentation(
            seed=self._plan.seed, epoch=epoch, batch=number, num_crops=batch.utterances_SU.size, bank=self._bank
        )
        return augment(crops_BT.to(self._verifier.scale.dtype), plan=plan.take(wanted_B), bank=self._bank)

    def _on_device(self, x: Tensor) -> Tensor:
        return on_device(x, self._device)


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

    The seed alone draws the initial weights, the utterance subset, and every epoch's batches, crops, λ and
    augmentation.

    Raises PlanError if no batch can be filled, or the speakers of a batch cannot be shared evenly by the workers.
    """
    assert (rank, size) == world(), f"built for worker {rank} of {size}, but this is {world()}"
    assert splits.bank is not None or not config.augmentation, "a study that augments has the roles noise and rooms"
    plan = _plan(config, splits.train.table, seed=seed, size=size)
    if plan.num_left_out and rank == 0:
        print(f"{plan.num_left_out} train speakers are left out: fewer than {config.batch_utterances} utterances")
    # The seed is for this module alone: the process's own stream of random numbers goes on where it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build_net(config)
    pairs = {"dev": trial_pairs(splits.dev)}
    if splits.trials is not None:
        pairs["test"] = splits.trials
    return ContrastiveMixupTask(
        config=config,
        module=module.to(device),
        plan=plan,
        pairs=pairs,
        audio=audio,
        bank=splits.bank if config.augmentation else None,
        device=device,
        rank=rank,
        size=size,
    )


def stand_in(config: ContrastiveMixup) -> tuple[ContrastiveMixup, str]:
    """What to measure a step on: the same net and crops, few speakers, voices for them, and next to nothing to plan.

    Crops are shorter than a voice, so that as many are scored as of any long utterance; the longest are cut for it.
    """
    few = min(config.batch_speakers, STAND_IN_SPEAKERS)
    crop_s, eval_crop_s = (min(seconds, MOST["seconds"] - 1) for seconds in (config.crop_s, config.eval_crop_s))
    seconds = math.ceil(max(crop_s, eval_crop_s)) + 1
    voices = (
        f"synthetic?speakers={few}&utterances={config.batch_utterances}&dev_speakers=2&dev_utterances=2"
        f"&test_speakers=0&seconds={seconds}"
    )
    small = dataclasses.replace(
        config,
        batch_speakers=few,
        train_utterances=0,
        crop_s=crop_s,
        eval_crop_s=eval_crop_s,
        passes=1,
        epoch_steps=0,
    )
    return small, voices


def utterances_of_step(config: ContrastiveMixup) -> int:
    """How many crops a full step trains on."""
    return config.batch_speakers * config.batch_utterances


def steps_of_epoch(config: ContrastiveMixup, table: pa.Table) -> int:
    """The batches of an epoch over a listing's table; PlanError if none can be filled."""
    return _plan(config, table, seed=0, size=1).num_batches(1)


def require_plan(config: ContrastiveMixup, table: pa.Table) -> None:
    """Raise PlanError if no batch can be filled from a listing's table, whatever the seed."""
    _plan(config, table, seed=0, size=1)


def _plan(config: ContrastiveMixup, table: pa.Table, *, seed: int, size: int) -> BatchPlan:
    return plan_batches(
        speakers=table["speaker"],
        recordings=table["recording"],
        train_utterances=config.train_utterances,
        batch_speakers=config.batch_speakers,
        batch_utterances=config.batch_utterances,
        beta_alpha=config.beta_alpha if config.loss in MIXUPS else 0.0,
        seed=seed,
        partner=config.partner,
        shares=size if config.negatives == "local" else 1,
        passes=config.passes,
        steps=config.epoch_steps,
    )
