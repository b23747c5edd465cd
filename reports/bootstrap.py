"""How sure an error rate is, when the speakers of a test set are a sample of all speakers.

Pairs that share a speaker are not independent, so speakers are drawn with replacement, not pairs: of S speakers S are
drawn, and speaker i is there c_i times. A pair of two speakers then counts c_i * c_j times, the product of the weights
of the units it joins, as Owen and Eckles have it ("Bootstrapping data arrays of arbitrary order", Annals of Applied
Statistics 6(3), 2012); that this is right where both sides of a pair are drawn from one population, as here, show
Davezies, D'Haultfoeuille and Guyonvarch ("Empirical process results for exchangeable arrays", Annals of Statistics
49(2), 2021). A pair of one speaker counts c_i times: he is one unit, and his copies are never compared with each other.
The draws give a standard error. The interval is that of a proportion, Clopper and Pearson's, of as many independent
trials as have that standard error, fewer by the quantile of t with as many degrees of freedom as there are speakers
but one (Korn and Graubard, "Confidence intervals for proportions with small expected number of positive counts
estimated from survey data", Survey Methodology 24(2), 1998). A speaker counts for SPEAKER_WORTH such trials at most: a
test set that by luck has few bad speakers looks surer than it is. Percentiles of the draws, which need no such care,
are far too narrow where errors are few: at an EER of 3 % and 25 speakers they held the true EER in 72 of 100 test sets.

Measured: the share (%) of 200 simulated test sets whose interval held the EER of the population, by 100 draws each. In
the first rows a score is the sum of what is a speaker's own and noise, with three utterances a speaker; in the last two
it is the cosine of embeddings whose spread differs by speaker.

    EER (%)            8 speakers   20     25     60 (100 test sets)
    2.6                99.5         99     99.5   93
    12                 98.5         93     96.5   95
    26                 98           97.5   98.5   94
    4.7, embeddings    99           100    98.5   99
    6.7, embeddings    99           99.5   99     99

At 8 speakers it is no help, 35 points wide on average at an EER of 2.6 %. So there is none for fewer speakers than
FEWEST_SPEAKERS; nor for minDCF, which hangs on the few false alarms of the highest scores: percentiles held it in 15 to
71 of 100 test sets, and no other interval of it was tried.

Letters: N trials, S speakers, P operating points, R replicates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, ndtri, stdtrit

CONFIDENCE = 0.95
REPLICATES = 1000
FEWEST_SPEAKERS = 20
SPEAKER_WORTH = 6  # independent trials that a speaker counts for at most
CELLS_AT_ONCE = 1 << 20  # weights of pairs in memory at a time

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Interval:
    """Where the EER over all speakers lies, as far as these ones tell: with a confidence of 95 %."""

    low: float
    high: float


@dataclass(frozen=True)
class Bootstrap:
    """The interval of the EER; `replicates` had both sorts of pairs. Without one `why` says what was missing."""

    speakers: int
    replicates: int
    eer: Interval | None
    why: str = ""


def speaker_bootstrap(
    *,
    scores_N: npt.NDArray[np.floating],
    labels_N: npt.NDArray[np.bool_],
    left_N: Int64s,
    right_N: Int64s,
    replicates: int = REPLICATES,
    seed: int = 0,
    progress: Progress | None = None,
) -> Bootstrap:
    """The 95 % interval of the EER over speakers; `left_N` and `right_N` are the speakers' numbers, from 0.

    Replicates in which no target, or no non-target, is left are not counted. `progress` is called with (draws made,
    draws in all).
    """
    speakers = np.unique(np.concatenate([left_N, right_N]))
    if len(speakers) < FEWEST_SPEAKERS:
        why = f"{len(speakers)} speakers are too few for an interval, which needs {FEWEST_SPEAKERS}"
        return Bootstrap(len(speakers), 0, None, why)
    errors = WeightedErrors(scores_N, labels_N)
    left_N, right_N = (np.searchsorted(speakers, side)[errors.order_N] for side in (left_N, right_N))
    is_one_N = left_N == right_N
    values = []
    step = max(1, CELLS_AT_ONCE // len(labels_N))
    counts_RS = speaker_counts(len(speakers), replicates=replicates, seed=seed).astype(np.int32)
    for first in range(0, replicates, step):
        some_RS = counts_RS[first : first + step]
        weights_RN = some_RS[:, left_N] * np.where(is_one_N, 1, some_RS[:, right_N])
        values.append(errors.eers(weights_RN))
        if progress is not None:
            progress(min(first + step, replicates), replicates)
    found_R = np.concatenate(values)
    found_R = found_R[np.isfinite(found_R)]
    if len(found_R) < replicates / 2:
        why = "most draws of speakers leave no pair of one speaker, or of two"
        return Bootstrap(len(speakers), len(found_R), None, why)
    eer = float(errors.eers(np.ones((1, len(labels_N)), dtype=np.int64))[0])
    interval = proportion_interval(eer, standard_error=float(found_R.std(ddof=1)), speakers=len(speakers))
    return Bootstrap(len(speakers), len(found_R), interval)


def proportion_interval(rate: float, *, standard_error: float, speakers: int) -> Interval:
    """Clopper and Pearson's interval of a rate, of as many trials as have its standard error, as Korn and Graubard do.

    A standard error of 0 says nothing, so that each speaker counts for one trial then.
    """
    trials = float(speakers)
    if standard_error > 0:
        trials = min(rate * (1 - rate) / standard_error**2, float(SPEAKER_WORTH * speakers))
    tail = (1 - CONFIDENCE) / 2
    trials *= float((ndtri(tail) / stdtrit(speakers - 1, tail)) ** 2)
    wrong = trials * rate
    low = float(betaincinv(wrong, trials - wrong + 1, tail)) if wrong > 0 else 0.0
    high = float(betaincinv(wrong + 1, trials - wrong, 1 - tail)) if wrong < trials else 1.0
    return Interval(low, high)


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

    def eers(self, weights_RN: npt.NDArray[np.integer]) -> Floats:
        """The EER of each replicate, (R,), as in `trainables.metrics`; NaN without one sort of trials."""
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
            eer_R: Floats = (first_R1 + above_R1 / (above_R1 - below_R1) * (second_R1 - first_R1))[:, 0]
        return eer_R
