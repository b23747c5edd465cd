"""What an epoch trains on: batches of speakers x utterances, planned globally before anything is read.

The plan of an epoch is a pure function of (the corpus's speakers, the settings, seed, epoch): numpy's counter-based
Philox with the key (seed, epoch), nothing else. So every worker computes the whole plan and takes its share of it, and
neither the number of workers nor a restart in the middle changes what is trained on. (Partners drawn within the
workers' shares depend on the number of shares, and nothing else does.)

Letters: S speakers of a batch, U utterances a speaker (the paper's N and M). The last utterance is the query.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

# Epochs of training count from 1 (0 is the untrained net): the key of epoch 0 is free for the choice of the subset.
SUBSET_EPOCH = 0
# Streams of an epoch's key, told apart by the counter's last word; the subset has the first one of its key.
FIRST_STREAM, AUGMENTATION_STREAM, PASS_STREAM, PARTNER_STREAM = range(4)


class PlanError(ValueError):
    """A corpus and knobs that no batch can be made of, or workers that cannot share it: the same on every worker."""


@dataclass(frozen=True)
class Batch:
    """One step's work, the same on every worker.

    utterances_SU: rows of the train corpus; starts_SU: where each crop starts, as a fraction of what is left beside it;
    ratio: λ, the share of a query's own speaker; partner_S: whose query is mixed into this speaker's, a permutation of
    the batch or of each worker's share of it.
    """

    utterances_SU: NDArray[np.int64]
    starts_SU: NDArray[np.float64]
    ratio: float
    partner_S: NDArray[np.int64]


@dataclass(frozen=True)
class BatchPlan:
    """The pair sampler over a train corpus; `batches(epoch)` is `passes` passes of it, or the first `steps` batches of
    as many passes as they take.

    `partner` is "permutation" (oneself possible) or "derangement" (never oneself), drawn within each of `shares` equal
    parts of a batch.
    """

    speakers: tuple[NDArray[np.int64], ...]
    num_left_out: int
    batch_speakers: int
    batch_utterances: int
    beta_alpha: float
    seed: int
    partner: str = "permutation"
    shares: int = 1
    passes: int = 1
    steps: int = 0

    def batches(self, epoch: int) -> Iterator[Batch]:
        """All batches of an epoch (from 1), in order, pass after pass; one pass at a time is held in memory.

        In a pass each speaker's utterances are shuffled and cut into groups of `batch_utterances`; a batch is
        `batch_speakers` groups of distinct speakers; groups that fill no batch are left for another pass.
        """
        numbers = itertools.count() if self.steps else range(self.passes)
        every = itertools.chain.from_iterable(self._pass(epoch, number) for number in numbers)
        return itertools.islice(every, self.steps or None)

    def num_batches(self, epoch: int) -> int:
        """How many batches an epoch has: filled, and neither drawn nor kept."""
        if self.steps:
            return self.steps  # a pass fills one batch at least
        filled = (self._filled(self._pass_generator(epoch, number))[1] for number in range(self.passes))
        return sum(1 for batches in filled for _ in batches)

    def _pass(self, epoch: int, number: int) -> list[Batch]:
        generator = self._pass_generator(epoch, number)
        groups_GU, batches = self._filled(generator)
        batches_SU = [groups_GU[batch] for batch in batches]
        shape = (len(batches_SU), self.batch_speakers, self.batch_utterances)
        starts = generator.random(shape)
        partners = [generator.permutation(self.batch_speakers) for _ in batches_SU]
        # λ is drawn last: order, crops and partners are then the same for every α, and arms of a study are paired.
        ratios = [draw_ratio(generator, beta_alpha=self.beta_alpha) for _ in batches_SU]
        if self.partner == "derangement" or self.shares > 1:
            # From a stream of their own: how many numbers they take must not move the λ of an arm that is compared.
            generator = _generator(self.seed, epoch, stream=PARTNER_STREAM, part=number)
            partners = [self._partners(generator) for _ in batches_SU]
        return [
            Batch(utterances_SU=utterances_SU, starts_SU=starts_SU, ratio=ratio, partner_S=partner_S)
            for utterances_SU, starts_SU, ratio, partner_S in zip(batches_SU, starts, ratios, partners, strict=True)
        ]

    def _pass_generator(self, epoch: int, number: int) -> np.random.Generator:
        return _generator(self.seed, epoch, stream=PASS_STREAM if number else FIRST_STREAM, part=number)

    def _filled(self, generator: np.random.Generator) -> tuple[NDArray[np.int64], Iterator[list[int]]]:
        """Return the utterances of each group (G, U), and of each batch of a pass its groups."""
        groups_GU, speaker_G = self._groups(generator)
        return groups_GU, _fill(speaker_G.tolist(), batch_speakers=self.batch_speakers)

    def _partners(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """Partners within each share (S,)."""
        each = self.batch_speakers // self.shares
        draw = draw_derangement if self.partner == "derangement" else np.random.Generator.permutation
        return np.concatenate([share * each + draw(generator, each) for share in range(self.shares)])

    def _groups(self, generator: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the utterances of each group (G, U) and its speaker (G,), in the order in which they are drawn."""
        U = self.batch_utterances
        # Each speaker is shuffled for himself, so that his groups need no look at the others'.
        groups = [generator.permutation(rows)[: len(rows) // U * U].reshape(-1, U) for rows in self.speakers]
        speaker_G = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
        order_G = generator.permutation(len(speaker_G))
        return np.concatenate(groups)[order_G], speaker_G[order_G]


def plan_batches(
    *,
    speakers: Sequence[str] | pa.Array | pa.ChunkedArray,
    recordings: Sequence[str | None] | pa.Array | pa.ChunkedArray | None = None,
    train_utterances: int,
    batch_speakers: int,
    batch_utterances: int,
    beta_alpha: float,
    seed: int,
    partner: str = "permutation",
    shares: int = 1,
    passes: int = 1,
    steps: int = 0,
) -> BatchPlan:
    """The batch plan over a corpus whose row i is spoken by `speakers[i]`, in `recordings[i]` where that is known.

    `train_utterances` limits a speaker's utterances (0: all). The choice depends on (corpus, seed) alone and is
    nested: the 2 of a speaker are among his 3, the 3 among his 5. It takes different recordings first, a second
    utterance of a recording only where every one has given its first: utterances of one recording share its room and
    channel, and a pair of them teaches these. An utterance without a recording counts as one of its own.
    Speakers with fewer than `batch_utterances` cannot form a group; they are counted in `num_left_out`.

    Raises PlanError if fewer speakers than `batch_speakers` can form a group (no batch would ever be full), and if a
    batch has no equal `shares` of at least 2 speakers (a share of one has nobody to be told apart from).
    """
    _require_shares(batch_speakers, shares)
    names = pa.array(speakers, pa.string()) if isinstance(speakers, Sequence) else speakers
    recording_N = None if recordings is None or not train_utterances else _recording_codes(recordings)
    generator = _generator(seed, SUBSET_EPOCH)
    chosen: list[NDArray[np.int64]] = []
    for rows in _rows_by_speaker(names):
        # All of it is drawn even for a small subset, so that the next speaker's does not depend on its size.
        shuffled = generator.permutation(rows)
        if recording_N is not None:
            shuffled = shuffled[np.argsort(_repeats(recording_N[shuffled]), kind="stable")]
        chosen.append(np.sort(shuffled[: train_utterances or None]))
    usable = tuple(rows for rows in chosen if len(rows) >= batch_utterances)
    if len(usable) < batch_speakers:
        limit = f" of train_utterances={train_utterances}" if train_utterances else ""
        raise PlanError(
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
        partner=partner,
        shares=shares,
        passes=passes,
        steps=steps,
    )


def _require_shares(batch_speakers: int, shares: int) -> None:
    if shares > 1 and (batch_speakers % shares or batch_speakers < 2 * shares):
        raise PlanError(
            "batch_speakers: must be a multiple of the number of workers, and at least twice it, with "
            f'negatives="local", but got batch_speakers={batch_speakers} and {shares} workers'
        )


def _rows_by_speaker(names: pa.Array | pa.ChunkedArray) -> list[NDArray[np.int64]]:
    """Return the rows of each speaker, the speakers in the order of their names."""
    whole = names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names
    encoded = whole.dictionary_encode()
    known = encoded.dictionary.to_pylist()
    place_of = np.empty(len(known), dtype=np.int64)
    place_of[sorted(range(len(known)), key=known.__getitem__)] = np.arange(len(known))
    speaker_N = place_of[encoded.indices.to_numpy()]
    ends = np.cumsum(np.bincount(speaker_N, minlength=len(known)))
    return np.split(np.argsort(speaker_N, kind="stable"), ends[:-1])


def _recording_codes(recordings: Sequence[str | None] | pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
    """Return a number of each utterance's recording (N,), a number of its own where it has none."""
    names = pa.array(recordings, pa.string()) if isinstance(recordings, Sequence) else recordings
    whole = names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names
    codes = whole.dictionary_encode().indices
    own = pa.array(np.arange(len(codes)) + len(codes))
    found: NDArray[np.int64] = pc.coalesce(codes.cast(pa.int64()), own).to_numpy()
    return found


def _repeats(code_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many times each code has come before (N,)."""
    order_N = np.argsort(code_N, kind="stable")
    sorted_N = code_N[order_N]
    is_first_N = np.r_[True, sorted_N[1:] != sorted_N[:-1]]
    place_N = np.arange(len(code_N))
    repeats_N = np.empty_like(place_N)
    repeats_N[order_N] = place_N - np.maximum.accumulate(np.where(is_first_N, place_N, 0))
    return repeats_N


def share_of(num_speakers: int, *, rank: int, size: int) -> slice:
    """The contiguous part of a batch's speakers that worker `rank` of `size` reads.

    Raises PlanError if the speakers cannot be shared evenly.
    """
    if num_speakers % size:
        raise PlanError(
            "batch_speakers: must be a multiple of the number of workers, "
            f"but got batch_speakers={num_speakers} and {size} workers"
        )
    each = num_speakers // size
    return slice(rank * each, (rank + 1) * each)


def draw_ratio(generator: np.random.Generator, *, beta_alpha: float) -> float:
    """λ ~ Beta(α, α), one a batch; α = 0 means no mixing, λ = 1 exactly."""
    return float(generator.beta(beta_alpha, beta_alpha)) if beta_alpha > 0 else 1.0


def draw_derangement(generator: np.random.Generator, size: int) -> NDArray[np.int64]:
    """A permutation of `size` >= 2 without fixed points, each as likely as any other.

    Permutations are drawn until one has none: two or three of them on average, whatever the size.
    """
    while True:
        drawn: NDArray[np.int64] = generator.permutation(size)
        if not (drawn == np.arange(size)).any():
            return drawn


def _fill(speaker_G: Sequence[int], *, batch_speakers: int) -> Iterator[list[int]]:
    """Full batches of groups of distinct speakers from shuffled groups; a speaker's second one waits for the next."""
    waiting: dict[int, list[int]] = {}
    queue = enumerate(speaker_G)
    while True:
        batch: dict[int, int] = {}
        for speaker in list(itertools.islice(waiting, batch_speakers)):
            batch[speaker] = waiting[speaker].pop(0)
            if not waiting[speaker]:
                del waiting[speaker]
        while len(batch) < batch_speakers:
            group, speaker = next(queue, (-1, -1))
            if group < 0:
                return  # the last batch is incomplete
            if speaker in batch:
                waiting.setdefault(speaker, []).append(group)
            else:
                batch[speaker] = group
        yield list(batch.values())


def _generator(seed: int, epoch: int, *, stream: int = FIRST_STREAM, part: int = 0) -> np.random.Generator:
    key = np.array([seed, epoch], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, part, stream]))
