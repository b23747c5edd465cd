"""How sure an error rate is, when the speakers of a test set are a sample of all speakers.

Pairs that share a speaker are not independent, so speakers are drawn with replacement, not pairs: of S speakers S are
drawn, and speaker i is there c_i times. A pair of two speakers then counts c_i * c_j times, the product of the weights
of the units it joins, as Owen and Eckles have it ("Bootstrapping data arrays of arbitrary order", Annals of Applied
Statistics 6(3), 2012); that this is right where both sides of a pair are drawn from one population, as here, show
Davezies, D'Haultfoeuille and Guyonvarch ("Empirical process results for exchangeable arrays", Annals of Statistics
49(2), 2021). A pair of one speaker counts c_i times: he is one unit, and his copies are never compared with each other.
The interval is that of percentiles. It is wide rather than narrow: where the pairs' own noise outweighs that of the
speakers, products of weights overstate it (Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007).

Letters: N trials, S speakers, P operating points, R replicates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
REPLICATES = 1000
FEWEST_SPEAKERS = 5
CELLS_AT_ONCE = 1 << 20  # weights of pairs in memory at a time

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """The middle 95 % of the values that other speakers might have given."""

    low: float
    high: float


@dataclass(frozen=True)
class Bootstrap:
    """Intervals by metric; `replicates` had both sorts of pairs. Without intervals `why` says what was missing."""

    speakers: int
    replicates: int
    eer: Interval | None
    min_dcf: Interval | None
    why: str = ""


def speaker_bootstrap(
    *,
    scores_N: npt.NDArray[np.floating],
    labels_N: npt.NDArray[np.bool_],
    left_N: Int64s,
    right_N: Int64s,
    target_prior: float = 0.05,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Bootstrap:
    """The 95 % intervals of EER and minDCF over speakers; `left_N` and `right_N` are the speakers' numbers, from 0.

    Replicates in which no target, or no non-target, is left are not counted.
    """
    speakers = np.unique(np.concatenate([left_N, right_N]))
    if len(speakers) < FEWEST_SPEAKERS:
        why = f"{len(speakers)} speakers are too few for an interval, which needs {FEWEST_SPEAKERS}"
        return Bootstrap(len(speakers), 0, None, None, why)
    errors = WeightedErrors(scores_N, labels_N)
    left_N, right_N = (np.searchsorted(speakers, side)[errors.order_N] for side in (left_N, right_N))
    is_one_N = left_N == right_N
    values = []
    step = max(1, CELLS_AT_ONCE // len(labels_N))
    counts_RS = speaker_counts(len(speakers), replicates=replicates, seed=seed).astype(np.int32)
    for first in range(0, replicates, step):
        some_RS = counts_RS[first : first + step]
        weights_RN = some_RS[:, left_N] * np.where(is_one_N, 1, some_RS[:, right_N])
        values.append(errors.rates(weights_RN, target_prior=target_prior))
    found_RM = np.concatenate(values)
    found_RM = found_RM[np.isfinite(found_RM).all(axis=1)]
    if len(found_RM) < replicates / 2:
        why = "most draws of speakers leave no pair of one speaker, or of two"
        return Bootstrap(len(speakers), len(found_RM), None, None, why)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found_RM, [tail, 1 - tail], axis=0)
    eer, min_dcf = (Interval(float(low[m]), float(high[m])) for m in range(2))
    return Bootstrap(len(speakers), len(found_RM), eer, min_dcf)


def speaker_counts(num_speakers: int, *, replicates: int, seed: int) -> Int64s:
    """How often each speaker is drawn in each replicate: (R, S), each row of sum S."""
    generator = np.random.default_rng(seed)
    chances = np.full(num_speakers, 1 / num_speakers)
    counts_RS: Int64s = generator.multinomial(num_speakers, chances, size=replicates)
    return counts_RS


class WeightedErrors:
    """Error rates of weighted trials: scores are sorted once, whatever the weights. Trials stand in `order_N`."""

    def __init__(self, scores_N: npt.NDArray[np.floating], labels_N: npt.NDArray[np.bool_]) -> None:
        self.order_N: Int64s = np.argsort(scores_N, kind="stable")[::-1]
        ordered_N = scores_N[self.order_N]
        self._is_target_N = labels_N[self.order_N]
        # A threshold cuts after the last of equal scores.
        self._last_P = np.append(np.flatnonzero(ordered_N[1:] != ordered_N[:-1]), len(ordered_N) - 1)

    def accepted(self, weights_RN: npt.NDArray[np.integer]) -> tuple[Int64s, Int64s]:
        """The weight of targets and of non-targets that each operating point accepts, from nothing to all: (R, P)."""
        all_RP = self._sums(weights_RN)
        hits_RP = self._sums(weights_RN * self._is_target_N)
        return hits_RP, all_RP - hits_RP

    def _sums(self, weights_RN: npt.NDArray[np.integer]) -> Int64s:
        total_RN = np.cumsum(weights_RN, axis=1, dtype=np.int64)
        if len(self._last_P) < total_RN.shape[1]:
            total_RN = total_RN[:, self._last_P]
        return np.concatenate([np.zeros((len(total_RN), 1), dtype=np.int64), total_RN], axis=1)

    def rates(self, weights_RN: npt.NDArray[np.integer], *, target_prior: float) -> Floats:
        """EER and minDCF of each replicate, (R, 2), as in `trainables.metrics`; NaN without one sort of trials."""
        hits_RP, alarms_RP = self.accepted(weights_RN)
        with np.errstate(invalid="ignore", divide="ignore"):
            misses_RP = (hits_RP[:, -1:] - hits_RP) / hits_RP[:, -1:]
            false_alarms_RP = alarms_RP / alarms_RP[:, -1:]
            gap_RP = misses_RP - false_alarms_RP
            after_R1 = np.argmax(gap_RP <= 0.0, axis=1)[:, None]
            after_R1 = np.maximum(after_R1, 1)  # 0 only without one sort of trials, where all is NaN
            before_R1 = after_R1 - 1
            above_R1, below_R1 = (np.take_along_axis(gap_RP, at, axis=1) for at in (before_R1, after_R1))
            first_R1, second_R1 = (np.take_along_axis(false_alarms_RP, at, axis=1) for at in (before_R1, after_R1))
            eer_R = (first_R1 + above_R1 / (above_R1 - below_R1) * (second_R1 - first_R1))[:, 0]
            misses_RP *= target_prior
            false_alarms_RP *= 1.0 - target_prior
            costs_RP = np.add(misses_RP, false_alarms_RP, out=gap_RP)
            min_dcf_R = costs_RP.min(axis=1) / min(target_prior, 1.0 - target_prior)
        return np.stack([eer_R, min_dcf_R], axis=1)
