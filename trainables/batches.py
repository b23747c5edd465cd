"""What an epoch trains on: batches of speakers x utterances, planned globally before anything is read.

The plan of an epoch is a pure function of (the corpus's speakers, the settings, seed, epoch): numpy's counter-based
Philox with the key (seed, epoch), nothing else. So every worker computes the whole plan and takes its share of it, and
neither the number of workers nor a restart in the middle changes what is trained on.

Letters: S speakers of a batch, U utterances a speaker (the paper's N and M). The last utterance is the query.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Epochs of training count from 1 (0 is the untrained net): the stream of epoch 0 is free for the choice of the subset.
SUBSET_STREAM = 0


@dataclass(frozen=True)
class Batch:
    """One step's work, the same on every worker.

    utterances_SU: rows of the train corpus; starts_SU: where each crop starts, as a fraction of what is left beside it;
    ratio: λ, the share of a query's own speaker; partner_S: whose query is mixed into this speaker's (a permutation).
    """

    utterances_SU: NDArray[np.int64]
    starts_SU: NDArray[np.float64]
    ratio: float
    partner_S: NDArray[np.int64]


@dataclass(frozen=True)
class BatchPlan:
    """The pair sampler over a train corpus; `batches(epoch)` is one pass of it."""

    speakers: tuple[NDArray[np.int64], ...]
    num_left_out: int
    batch_speakers: int
    batch_utterances: int
    beta_alpha: float
    seed: int

    def batches(self, epoch: int) -> list[Batch]:
        """All batches of an epoch (from 1), in order.

        Each speaker's utterances are shuffled and cut into groups of `batch_utterances`; a batch is `batch_speakers`
        groups of distinct speakers; groups that fill no batch are left for another epoch.
        """
        generator = _generator(self.seed, epoch)
        groups = self._groups(generator)
        batches_SU = [np.stack(batch) for batch in _fill(groups, batch_speakers=self.batch_speakers)]
        shape = (len(batches_SU), self.batch_speakers, self.batch_utterances)
        starts = generator.random(shape)
        partners = [generator.permutation(self.batch_speakers) for _ in batches_SU]
        # λ is drawn last: order, crops and partners are then the same for every α, and arms of a study are paired.
        ratios = [draw_ratio(generator, beta_alpha=self.beta_alpha) for _ in batches_SU]
        return [
            Batch(utterances_SU=utterances_SU, starts_SU=starts_SU, ratio=ratio, partner_S=partner_S)
            for utterances_SU, starts_SU, ratio, partner_S in zip(batches_SU, starts, ratios, partners, strict=True)
        ]

    def _groups(self, generator: np.random.Generator) -> list[tuple[int, NDArray[np.int64]]]:
        groups: list[tuple[int, NDArray[np.int64]]] = []
        for speaker, utterances in enumerate(self.speakers):
            shuffled = generator.permutation(utterances)
            num_groups = len(shuffled) // self.batch_utterances
            whole = shuffled[: num_groups * self.batch_utterances].reshape(num_groups, self.batch_utterances)
            groups.extend((speaker, group) for group in whole)
        return [groups[i] for i in generator.permutation(len(groups))]


def plan_batches(
    *,
    speakers: Sequence[str],
    train_utterances: int,
    batch_speakers: int,
    batch_utterances: int,
    beta_alpha: float,
    seed: int,
) -> BatchPlan:
    """The batch plan over a corpus whose row i is spoken by `speakers[i]`.

    `train_utterances` limits a speaker's utterances (0: all). The choice depends on (corpus, seed) alone and is
    nested: the 2 of a speaker are among his 3, the 3 among his 5. Speakers with fewer than `batch_utterances` cannot
    form a group; they are counted in `num_left_out`.

    Raises ValueError if fewer speakers than `batch_speakers` can form a group: no batch would ever be full.
    """
    rows_of: dict[str, list[int]] = {}
    for row, speaker in enumerate(speakers):
        rows_of.setdefault(speaker, []).append(row)
    generator = _generator(seed, SUBSET_STREAM)
    chosen: list[NDArray[np.int64]] = []
    for speaker in sorted(rows_of):
        # All of it is drawn even for a small subset, so that the next speaker's does not depend on its size.
        shuffled = generator.permutation(np.asarray(rows_of[speaker], dtype=np.int64))
        chosen.append(np.sort(shuffled[: train_utterances or None]))
    usable = tuple(rows for rows in chosen if len(rows) >= batch_utterances)
    if len(usable) < batch_speakers:
        limit = f" of train_utterances={train_utterances}" if train_utterances else ""
        raise ValueError(
            f"batch_speakers: must be at most the number of train speakers with {batch_utterances} utterances{limit}, "
            f"but got batch_speakers={batch_speakers} and {len(usable)} speakers"
        )
    return BatchPlan(
        speakers=usable,
        num_left_out=len(chosen) - len(usable),
        batch_speakers=batch_speakers,
        batch_utterances=batch_utterances,
        beta_alpha=beta_alpha,
        seed=seed,
    )


def share_of(num_speakers: int, *, rank: int, size: int) -> slice:
    """The contiguous part of a batch's speakers that worker `rank` of `size` reads.

    Raises ValueError if the speakers cannot be shared evenly.
    """
    if num_speakers % size:
        raise ValueError(
            "batch_speakers: must be a multiple of the number of workers, "
            f"but got batch_speakers={num_speakers} and {size} workers"
        )
    each = num_speakers // size
    return slice(rank * each, (rank + 1) * each)


def draw_ratio(generator: np.random.Generator, *, beta_alpha: float) -> float:
    """λ ~ Beta(α, α), one a batch; α = 0 means no mixing, λ = 1 exactly."""
    return float(generator.beta(beta_alpha, beta_alpha)) if beta_alpha > 0 else 1.0


def _fill(groups: Sequence[tuple[int, NDArray[np.int64]]], *, batch_speakers: int) -> Iterator[list[NDArray[np.int64]]]:
    """Full batches of distinct speakers from shuffled groups; a speaker's second group waits for the next batch."""
    waiting: dict[int, list[NDArray[np.int64]]] = {}
    queue = iter(groups)
    while True:
        batch: dict[int, NDArray[np.int64]] = {}
        for speaker in list(waiting)[:batch_speakers]:
            batch[speaker] = waiting[speaker].pop(0)
            if not waiting[speaker]:
                del waiting[speaker]
        while len(batch) < batch_speakers:
            drawn = next(queue, None)
            if drawn is None:
                return  # the last batch is incomplete
            speaker, group = drawn
            if speaker in batch:
                waiting.setdefault(speaker, []).append(group)
            else:
                batch[speaker] = group
        yield list(batch.values())


def _generator(seed: int, stream: int) -> np.random.Generator:
    key = np.array([seed, stream], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))
