"""Error rates of speaker verification, from scores (higher = more alike) and labels (true = same speaker).

Every threshold that tells scores apart is tried once: accept nothing, then every distinct score downwards, the last of
which accepts all. Tied scores are accepted together, so results depend neither on the order of the trials nor on ties.
One sort, then counting: a million trials take a fraction of a second.

Shape suffixes: N trials, P operating points.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

Scores = Tensor | npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def equal_error_rate(*, scores: Scores, labels: Scores) -> float:
    """The error rate, a fraction, where as many impostors are accepted as targets are rejected.

    False acceptance and false rejection move from one threshold to the next; where they cross in between, the crossing
    is found on the straight line between the two operating points (all scores tied: 0.5).

    Raises ValueError for NaN scores, labels other than 0 and 1, unequal lengths, or a class that is missing.
    """
    misses_P, false_alarms_P = _error_rates(*_accepted(scores, labels))
    # The gap falls from 1 to -1, strictly: every threshold accepts at least one more trial.
    gap_P = misses_P - false_alarms_P
    after = int(np.argmax(gap_P <= 0.0))
    before = after - 1
    step = gap_P[before] / (gap_P[before] - gap_P[after])
    return float(false_alarms_P[before] + step * (false_alarms_P[after] - false_alarms_P[before]))


def minimum_detection_cost(*, scores: Scores, labels: Scores, target_prior: float = 0.05) -> float:
    """The least of prior * P(miss) + (1 - prior) * P(false alarm) over thresholds, both costs being 1.

    Divided by min(prior, 1 - prior), the cost of the better of accepting nothing and accepting all; both of these count
    as thresholds, so the result lies in [0, 1]. Raises ValueError as `equal_error_rate` does, or for a prior outside
    (0, 1).
    """
    if not 0.0 < target_prior < 1.0:
        raise ValueError(f"0 < target_prior < 1 must hold, but got target_prior={target_prior}.")
    misses_P, false_alarms_P = _error_rates(*_accepted(scores, labels))
    costs_P = target_prior * misses_P + (1.0 - target_prior) * false_alarms_P
    return float(costs_P.min() / min(target_prior, 1.0 - target_prior))


def eer_clovaai(*, scores: Scores, labels: Scores) -> float:
    """The equal error rate, a fraction, as the voxceleb_trainer code computes it: for comparison with its figures only.

    It takes the corner of scikit-learn's ROC curve where the two rates differ least, and there the larger of the two.
    Nothing is interpolated: it is never below `equal_error_rate`, and all scores tied give 1.
    """
    hits_P, alarms_P = _accepted(scores, labels)
    # scikit-learn drops the points on straight pieces of the curve, before it puts (0, 0) in front.
    corner_P = np.ones(len(hits_P) - 1, dtype=bool)
    if len(corner_P) > 2:
        corner_P[1:-1] = (np.diff(hits_P[1:], 2) != 0) | (np.diff(alarms_P[1:], 2) != 0)
    kept_P = np.concatenate([[True], corner_P])
    misses_P, false_alarms_P = _error_rates(hits_P[kept_P], alarms_P[kept_P])
    nearest = int(np.argmin(np.abs(misses_P - false_alarms_P)))
    return float(max(misses_P[nearest], false_alarms_P[nearest]))


def _accepted(scores: Scores, labels: Scores) -> tuple[Counts, Counts]:
    """The targets and the impostors accepted at each operating point, from nothing to all."""
    scores_N, labels_N = _checked(scores, labels)
    order_N = np.argsort(scores_N)[::-1]
    ordered_N = scores_N[order_N]
    hits_N = np.cumsum(labels_N[order_N], dtype=np.int64)
    # A threshold cuts after the last of equal scores.
    last_P = np.append(np.flatnonzero(ordered_N[1:] != ordered_N[:-1]), len(ordered_N) - 1)
    hits_P = np.concatenate([[0], hits_N[last_P]])
    return hits_P, np.concatenate([[0], last_P + 1]) - hits_P


def _error_rates(hits_P: Counts, alarms_P: Counts) -> tuple[Floats, Floats]:
    """The miss rate and the false-alarm rate at each operating point; the last point accepts all trials."""
    return (hits_P[-1] - hits_P) / hits_P[-1], alarms_P / alarms_P[-1]


def _checked(scores: Scores, labels: Scores) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    scores_N, labels_N = _as_numpy(scores), _as_numpy(labels)
    if scores_N.ndim != 1 or scores_N.shape != labels_N.shape:
        raise ValueError(
            "scores and labels must be of one dimension and equally long, "
            f"but got shapes {scores_N.shape} and {labels_N.shape}."
        )
    missing = int(np.isnan(scores_N).sum())
    if missing:
        raise ValueError(f"scores must be numbers, but {missing} of {len(scores_N)} are NaN.")
    truth_N = labels_N == 1
    targets, impostors = int(truth_N.sum()), int((labels_N == 0).sum())
    if targets + impostors != len(labels_N):
        wrong = len(labels_N) - targets - impostors
        raise ValueError(f"labels must be 0 or 1 (false or true), but {wrong} of {len(labels_N)} are neither.")
    if not targets or not impostors:
        raise ValueError(
            "there must be trials of the same speaker and trials of different speakers, "
            f"but got {targets} of the same and {impostors} of different speakers."
        )
    return scores_N, truth_N


def _as_numpy(values: Scores) -> npt.NDArray[Any]:
    if isinstance(values, Tensor):
        # numpy has no bfloat16.
        tensor = values.detach().cpu()
        return tensor.float().numpy() if tensor.is_floating_point() and tensor.itemsize < 4 else tensor.numpy()
    return np.asarray(values)
