"""A trial of speaker verification with angular prototypical loss and contrastive mixup (Zhang et al., ICASSP 2022).

A batch is S speakers x U utterances; the last utterance of a speaker is the query, the mean of the others' embeddings
his prototype. With several workers each reads its own share of the speakers, and the queries of their partners too:
mixing is local, and the result does not depend on the number of workers.

Letters: S speakers, U utterances, N dev utterances, P dev trials, C crops, D embedding, B batch, T samples.
"""

from collections.abc import Iterator

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


class ContrastiveMixupTask:
    """A trial of `contrastive_mixup` on one worker, as `trainables.task.Task` describes it."""

    def __init__(
        self,
        *,
        config: ContrastiveMixup,
        module: Verifier,
        plan: BatchPlan,
        pairs: TrialPairs,
        eval_crops: EvalCrops,
        audio: tuple[AudioCache, AudioCache],
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
        self._eval_crops = eval_crops
        self._train_audio, self._dev_audio = audio
        self._device = device
        self._rank, self._size = rank, size
        self._share = share_of(config.batch_speakers, rank=rank, size=size)
        self._crop_samples = _samples(config.crop_s, config)
        self._eval_crop_samples = _samples(config.eval_crop_s, config)
        self._scores_P: NDArray[np.float32] | None = None

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
        vectors_ND = self._utterance_vectors()
        left_P, right_P = (
            torch.from_numpy(rows).long().to(self._device) for rows in (self._pairs.left, self._pairs.right)
        )
        self._scores_P = score_pairs(vectors_ND=vectors_ND, left_P=left_P, right_P=right_P)
        if not np.isfinite(self._scores_P).all():
            return {"eer": float("nan"), "min_dcf": float("nan")}
        labels_P = self._pairs.label
        return {
            "eer": equal_error_rate(scores=self._scores_P, labels=labels_P),
            "min_dcf": minimum_detection_cost(scores=self._scores_P, labels=labels_P),
        }

    def scores(self) -> pa.Table:
        """The dev trials and their scores by the last `evaluate`."""
        assert self._scores_P is not None, "evaluate() comes before scores()"
        return scores_table(
            split="dev",
            utterances_N=self._dev_audio.corpus.table["utterance"].to_pylist(),
            left_P=self._pairs.left,
            right_P=self._pairs.right,
            label_P=self._pairs.label,
            score_P=self._scores_P,
        )

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
        return self._on_device(_read_crops(self._train_audio, rows, starts, self._crop_samples))

    def _on_device(self, x: Tensor) -> Tensor:
        """A copy that a GPU makes while the CPU goes on reading, which needs pinned memory."""
        return x.pin_memory().to(self._device, non_blocking=True) if self._device.type == "cuda" else x.to(self._device)

    @torch.no_grad()
    def _utterance_vectors(self) -> Tensor:
        """The mean unit vector of every dev utterance, (N, D), the same on every worker."""
        crops = self._eval_crops
        chunks = range(0, len(crops), CROPS_AT_ONCE)
        embeddings_CD = torch.zeros(
            len(crops), self._config.embedding_size, device=self._device, dtype=self._verifier.scale.dtype
        )
        was_training = self.module.training
        self.module.eval()
        # Whole chunks are shared over the workers, so that each is embedded in the same company whatever their number.
        for first in chunks[self._rank :: self._size]:
            rows = slice(first, first + CROPS_AT_ONCE)
            samples_BT = _read_crops(
                self._dev_audio, crops.utterance_C[rows], crops.start_C[rows], self._eval_crop_samples
            )
            embeddings_CD[rows] = self._verifier.embed(self._on_device(samples_BT))
        self.module.train(was_training)
        return mean_unit_vectors(
            embeddings_CD=all_sum(embeddings_CD),
            utterance_C=torch.from_numpy(crops.utterance_C).to(self._device),
            num_utterances=len(self._dev_audio.corpus),
        )


def build(
    config: ContrastiveMixup,
    *,
    seed: int,
    splits: Splits,
    audio: tuple[AudioCache, AudioCache],
    device: torch.device,
    rank: int,
    size: int,
) -> Task:
    """A trial's task on worker `rank` of `size`; `audio` are the caches of splits.train and splits.dev.

    The seed alone draws the initial weights, the utterance subset, and every epoch's batches, crops and λ.

    Raises ValueError if no batch can be filled, or the speakers of a batch cannot be shared evenly by the workers.
    """
    assert (rank, size) == world(), f"built for worker {rank} of {size}, but this is {world()}"
    plan = plan_batches(
        speakers=splits.train.table["speaker"].to_pylist(),
        train_utterances=config.train_utterances,
        batch_speakers=config.batch_speakers,
        batch_utterances=config.batch_utterances,
        beta_alpha=config.beta_alpha if config.loss in MIXUPS else 0.0,
        seed=seed,
    )
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
    pairs = trial_pairs(splits.dev)
    return ContrastiveMixupTask(
        config=config,
        module=module.to(device),
        plan=plan,
        pairs=pairs,
        eval_crops=plan_crops(
            num_samples_N=splits.dev.table["num_samples"].to_pylist(),
            rows=np.unique(np.concatenate([pairs.left, pairs.right])),
            crop_samples=_samples(config.eval_crop_s, config),
            num_crops=config.eval_crops,
        ),
        audio=audio,
        device=device,
        rank=rank,
        size=size,
    )


def _samples(seconds: float, config: ContrastiveMixup) -> int:
    return round(seconds * config.sample_rate)


def _read_crops(audio: AudioCache, rows: NDArray[np.int64], starts: NDArray[np.float64], num_samples: int) -> Tensor:
    crops = [
        crop(audio.waveform(int(row)), float(start), num_samples)
        for row, start in zip(rows.flat, starts.flat, strict=True)
    ]
    return torch.from_numpy(np.stack(crops)).view(*rows.shape, num_samples)
