"""Which utterances are compared: pairs of one speaker (targets) and of two (non-targets).

Shapes: N pairs, G groups, U utterances.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainables.corpora.corpus import Corpus

MOST_LISTED = 500_000  # as many pairs are written out; of more, a sample is drawn
TARGET_KEY, NONTARGET_KEY = 1, 2

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TrialPairs:
    """Pairs of rows of a corpus: those of `trial_pairs`, targets first, or a given list's, in its order."""

    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    label: npt.NDArray[np.bool_]  # the same speaker

    def __len__(self) -> int:
        return len(self.label)

    def fingerprint(self, corpus: Corpus) -> str:
        """Return a hash of what is compared: the corpus, and the names and labels of its pairs in their order."""
        names = corpus.table["utterance"].to_pylist()
        digest = hashlib.sha256(corpus.fingerprint.encode())
        for left, right, label in zip(self.left.tolist(), self.right.tolist(), self.label.tolist(), strict=True):
            digest.update(repr((names[left], names[right], label)).encode())
        return digest.hexdigest()


def trial_pairs(corpus: Corpus, *, seed: int = 0, limit: int = 20000) -> TrialPairs:
    """Return at most `limit` trial pairs of a corpus; they depend on its utterances, not on the order of its rows.

    Targets are all pairs of one speaker from different recordings; where no such pair exists, all pairs of one speaker.
    An utterance without a recording counts as one of its own. Non-targets are sampled from all other pairs.
    Targets take at most half of the limit.
    """
    names = corpus.table["utterance"].to_pylist()
    row_U = np.asarray(sorted(range(len(names)), key=lambda i: names[i]), dtype=np.int64)
    table = corpus.table.take(row_U)
    speaker_U = np.unique(np.asarray(table["speaker"].to_pylist(), dtype=str), return_inverse=True)[1]
    recordings = [
        name if recording is None else f"{speaker} {recording}"
        for name, speaker, recording in zip(
            *(table[c].to_pylist() for c in ("utterance", "speaker", "recording")), strict=True
        )
    ]
    recording_U = np.unique(np.asarray(recordings, dtype=str), return_inverse=True)[1]

    order_U = np.argsort(speaker_U, kind="stable")
    sizes_G = np.bincount(speaker_U) if len(speaker_U) else np.zeros(0, dtype=np.int64)
    one, two = (order_U[places] for places in _pairs(sizes_G, _generator(seed, TARGET_KEY)))
    apart = recording_U[one] != recording_U[two]
    if apart.any():
        one, two = one[apart], two[apart]
    target = _sample(one, two, limit // 2, _generator(seed, TARGET_KEY + 2))
    one, two = _pairs(np.asarray([len(names)]), _generator(seed, NONTARGET_KEY))
    other = speaker_U[one] != speaker_U[two]
    nontarget = _sample(one[other], two[other], limit - len(target[0]), _generator(seed, NONTARGET_KEY + 2))
    label = np.repeat([True, False], [len(target[0]), len(nontarget[0])])
    left, right = (row_U[np.concatenate(side)].astype(np.int32) for side in zip(target, nontarget, strict=True))
    return TrialPairs(left=left, right=right, label=label)


def _generator(seed: int, key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, key]))


def _pairs(sizes_G: Int64s, rng: np.random.Generator) -> tuple[Int64s, Int64s]:
    """Return places (left < right) of the pairs inside groups that lie one after another; a sample of very many."""
    pairs_G = sizes_G * (sizes_G - 1) // 2
    ends_G = np.cumsum(pairs_G)
    total = int(ends_G[-1]) if len(ends_G) else 0
    flat = np.arange(total) if total <= MOST_LISTED else np.unique(rng.integers(total, size=MOST_LISTED))
    group = np.searchsorted(ends_G, flat, side="right")
    within = flat - (ends_G - pairs_G)[group]
    # Pair number k of a group is (j, i) with j < i and k = i (i - 1) / 2 + j; the root may be off by rounding.
    i = ((1 + np.sqrt(1 + 8 * within.astype(np.float64))) / 2).astype(np.int64)
    i -= i * (i - 1) // 2 > within
    i += i * (i + 1) // 2 <= within
    start = (np.cumsum(sizes_G) - sizes_G)[group]
    return start + within - i * (i - 1) // 2, start + i


def _sample(left: Int64s, right: Int64s, most: int, rng: np.random.Generator) -> tuple[Int64s, Int64s]:
    """Return at most so many pairs, in their order."""
    if len(left) <= most:
        return left, right
    chosen = np.sort(np.argsort(rng.random(len(left)), kind="stable")[:most])
    return left[chosen], right[chosen]
