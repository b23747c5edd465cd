"""When a trial is stopped early: decisions that follow from the recorded epochs alone.

Ray's own ASHA keeps its rungs in memory under Tune's trial ids and is empty after a restart; these two read the ledger,
so a killed study goes on with the same rungs.
"""

from collections.abc import Sequence
from statistics import fmean, median

from search_spaces.study import Study
from voxstudy.ledger import Ledger, Trial


def rungs(*, grace: int, reduction: int, epochs: int) -> list[int]:
    """The epochs at which ASHA decides: grace, grace*reduction, ... below the last epoch.

    >>> rungs(grace=1, reduction=3, epochs=10)
    [1, 3, 9]
    """
    found, rung = [], grace
    while rung < epochs:
        found.append(rung)
        rung *= reduction
    return found


def is_in_top(value: float, others: Sequence[float], *, reduction: int, goal: str) -> bool:
    """Whether a value is among the best 1/reduction of all values seen at a rung (Li et al. 2020, stopping variant).

    The first `reduction` values compete for one place. NaN is never in the top.
    """
    if value != value:
        return False
    sign = -1.0 if goal == "maximize" else 1.0
    finite = [v for v in others if v == v]
    places = max(1, (len(finite) + 1) // reduction)
    better = sum(sign * v < sign * value for v in finite)
    return better < places


def should_stop(study: Study, ledger: Ledger, trial: Trial) -> bool:
    """The decision for a trial that has just reported its last known epoch.

    Only search trials are judged, against search trials alone: arms and the baseline always run to their end.
    """
    if study.search is None or study.search.stopper == "none" or trial.phase != "search" or trial.is_last:
        return False
    objective, epoch = study.objective[0], trial.last_epoch
    value = trial.value(objective.metric)
    if value is None:
        return False
    others = [t for t in ledger.trials.values() if t.phase == "search" and t.trial_id != trial.trial_id]
    if study.search.stopper == "asha":
        grace, reduction = study.search.grace, study.search.reduction
        if epoch not in rungs(grace=grace, reduction=reduction, epochs=trial.config.epochs):
            return False
        seen = [v for t in others if (v := t.value(objective.metric, epoch)) is not None]
        return not is_in_top(value, seen, reduction=reduction, goal=objective.goal)
    return _is_under_median(trial, others, metric=objective.metric, goal=objective.goal, grace=study.search.grace)


def _is_under_median(trial: Trial, others: Sequence[Trial], *, metric: str, goal: str, grace: int) -> bool:
    """Whether a trial's best value is worse than the median of the others' running means (Vizier's median rule).

    Epoch 0, the untrained net, is left out of the means; fewer than three others at this epoch stop nothing.
    """
    epoch = trial.last_epoch
    if epoch < grace:
        return False
    means = [
        fmean(v for e in range(1, epoch + 1) if (v := t.value(metric, e)) is not None)
        for t in others
        if t.last_epoch >= epoch
    ]
    if len(means) < 3:
        return False
    own = [v for e in range(1, epoch + 1) if (v := trial.value(metric, e)) is not None]
    best = max(own) if goal == "maximize" else min(own)
    return best < median(means) if goal == "maximize" else best > median(means)
