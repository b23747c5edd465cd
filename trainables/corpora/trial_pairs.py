"""Which utterances are compared: pairs of one speaker (targets) and of two (non-targets).

Shapes: N pairs, G groups, U utterances.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainables.corpora.corpus import Corpus

MOST_PAIRS = 20_000  # where the study does not say it
MOST_LISTED = 500_000  # as many pairs are written out; of more, a sample is drawn
TARGET_KEY, NONTARGET_KEY = 1, 2
KEYS = 4  # the keys of one drawing are 1 to 4; those of women and men come after them
GENDERS = ("F", "M")

Int64s = npt.NDArray[np.int64]
Pairs = tuple[Int64s, Int64s]  # left and right


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
        digest = hashlib.sha256(corpus.fingerprint.encode())
        names = corpus.table["utterance"].combine_chunks()
        sides = (names.take(pa.array(rows)).to_pylist() for rows in (self.left, self.right))
        for left, right, label in zip(*sides, self.label.tolist(), strict=True):
            digest.update(repr((left, right, label)).encode())
        return digest.hexdigest()


def trial_pairs(corpus: Corpus, *, seed: int = 0, limit: int | None = None) -> TrialPairs:
    """Return trial pairs of a corpus; they depend on its utterances, not on the order of its rows.

    There are at most `limit` of them; without one, as many as the corpus asks for, else 20,000.

    Targets are all pairs of one speaker from different recordings; where no such pair exists, all pairs of one speaker.
    An utterance without a recording counts as one of its own. Non-targets are sampled from all other pairs.
    Targets take at most half of the limit.

    If the corpus asks for a balance over gender, both sides of a pair have the same gender, and there are as many
    targets of women as of men, and as many non-targets; utterances of unknown gender are in none.
    """
    return pairs_of(corpus.table, balance=corpus.balance, limit=limit or corpus.most_pairs or MOST_PAIRS, seed=seed)


def pairs_of(rows: pa.Table, *, balance: str | None, limit: int, seed: int = 0) -> TrialPairs:
    """Return the trial pairs of a table with the columns utterance, speaker, gender and recording."""
    sort_U = pc.sort_indices(rows["utterance"]).to_numpy().astype(np.int64)
    table = rows.select(["utterance", "speaker", "gender", "recording"]).take(pa.array(sort_U))
    # In the order of their names: the pairs are numbered speaker by speaker.
    speaker_U = pc.rank(table["speaker"], tiebreaker="dense").to_numpy().astype(np.int64) - 1
    of_speaker = pc.binary_join_element_wise(table["speaker"], table["recording"], " ")
    recording_U = _codes(pc.coalesce(of_speaker, table["utterance"]))
    if balance is None:
        target, nontarget = _draw(speaker_U, recording_U, targets=limit // 2, total=limit, seed=seed, first_key=0)
    else:
        gender_U = pc.index_in(table["gender"], pa.array(GENDERS)).fill_null(-1).to_numpy()
        target, nontarget = _balanced(speaker_U, recording_U, gender_U, limit=limit, seed=seed)
    label = np.repeat([True, False], [len(target[0]), len(nontarget[0])])
    left, right = (sort_U[np.concatenate(side)].astype(np.int32) for side in zip(target, nontarget, strict=True))
    return TrialPairs(left=left, right=right, label=label)


def _draw(
    speaker_U: Int64s, recording_U: Int64s, *, targets: int, total: int, seed: int, first_key: int
) -> tuple[Pairs, Pairs]:
    """Return places of targets, at most so many, and of non-targets, which fill up to the total."""
    order_U = np.argsort(speaker_U, kind="stable")
    one, two = (order_U[places] for places in _pairs(np.bincount(speaker_U), _generator(seed, first_key + TARGET_KEY)))
    apart = recording_U[one] != recording_U[two]
    if apart.any():
        one, two = one[apart], two[apart]
    target = _sample((one, two), targets, _generator(seed, first_key + TARGET_KEY + 2))
    one, two = _pairs(np.asarray([len(speaker_U)]), _generator(seed, first_key + NONTARGET_KEY))
    other = speaker_U[one] != speaker_U[two]
    most = total - len(target[0])
    return target, _sample((one[other], two[other]), most, _generator(seed, first_key + NONTARGET_KEY + 2))


def _balanced(
    speaker_U: Int64s, recording_U: Int64s, gender_U: Int64s, *, limit: int, seed: int
) -> tuple[Pairs, Pairs]:
    """Return targets and non-targets, those of women before those of men, as many of each; there may be none."""
    drawn = []
    for code in range(len(GENDERS)):
        places_U = np.flatnonzero(gender_U == code)
        keys = KEYS * (code + 1)
        found = _draw(
            speaker_U[places_U],
            recording_U[places_U],
            targets=limit // 4,
            total=limit // 2,
            seed=seed,
            first_key=keys,
        )
        drawn.append([(places_U[left], places_U[right]) for left, right in found])
    alike = []
    for kind, pairs in enumerate(zip(*drawn, strict=True)):
        fewest = min(len(left) for left, _ in pairs)
        cut = [_sample(each, fewest, _generator(seed, KEYS * (3 + kind) + code + 1)) for code, each in enumerate(pairs)]
        alike.append((np.concatenate([left for left, _ in cut]), np.concatenate([right for _, right in cut])))
    return alike[0], alike[1]


def _codes(names: pa.ChunkedArray) -> Int64s:
    """Return a number for each name, the same for the same."""
    codes: Int64s = names.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    return codes


def _generator(seed: int, key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, key]))


def _pairs(sizes_G: Int64s, rng: np.random.Generator) -> Pairs:
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


def _sample(pairs: Pairs, most: int, rng: np.random.Generator) -> Pairs:
    """Return at most so many pairs, in their order."""
    left, right = pairs
    if len(left) <= most:
        return pairs
    chosen = np.sort(np.argsort(rng.random(len(left)), kind="stable")[:most])
    return left[chosen], right[chosen]
