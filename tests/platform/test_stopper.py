"""Early stopping against hand-worked cases and slow loops."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.study import Study
from voxstudy.ledger import Trial
from voxstudy.stopper import is_in_top, rungs, should_stop

BASE = {
    "title": "t",
    "trainable": "contrastive_mixup",
    "objective": [{"metric": "eer", "goal": "minimize"}],
    "corpus": {"train": "synthetic"},
    "config": {"epochs": 9},
}


def _study(stopper: str, **more: int) -> Study:
    search = {"trials": 8, "stopper": stopper, "space": {"beta_alpha": True}, **more}
    return Study.model_validate({**BASE, "search": search})


def _trial(study: Study, number: int, curve: list[float], phase: str = "search") -> Trial:
    metrics = {epoch: {"eer": value} for epoch, value in enumerate(curve)}
    return Trial(f"t{number}", f"c{number}", phase, None, number, number, {}, study.config_of({}), metrics=metrics)


class _Ledger:
    """The part of a ledger that the stopper reads."""

    def __init__(self, trials: list[Trial]):
        self.trials = {trial.trial_id: trial for trial in trials}


@pytest.mark.parametrize(
    ("grace", "reduction", "epochs", "expected"),
    [(1, 3, 10, [1, 3, 9]), (1, 3, 9, [1, 3]), (2, 2, 16, [2, 4, 8]), (5, 4, 5, [])],
)
def test_rungs(grace: int, reduction: int, epochs: int, expected: list[int]) -> None:
    """Rungs grow by the reduction factor and end before the last epoch."""
    assert expected == rungs(grace=grace, reduction=reduction, epochs=epochs)


@given(
    st.lists(st.floats(0, 1, width=16), max_size=30),
    st.floats(0, 1, width=16),
    st.integers(2, 4),
    st.sampled_from(["minimize", "maximize"]),
)
def test_top_share_against_sorting(others: list[float], value: float, reduction: int, goal: str) -> None:
    """A value stays if it stands within the first n // reduction places (at least one) of all values."""
    ranked = sorted([*others, value], reverse=goal == "maximize")
    places = max(1, len(ranked) // reduction)

    assert (ranked.index(value) < places) == is_in_top(value, others, reduction=reduction, goal=goal)


def test_nan_is_stopped_and_ignored() -> None:
    """A NaN never stays, and does not count as a competitor."""
    assert not is_in_top(float("nan"), [], reduction=2, goal="minimize")
    assert is_in_top(0.3, [float("nan"), float("nan")], reduction=2, goal="minimize")


def test_asha_stops_the_worse_at_a_rung_only() -> None:
    """At epoch 1 the worse of two is stopped; between rungs nobody is."""
    study = _study("asha", grace=1, reduction=2)
    good, bad = _trial(study, 0, [0.5, 0.2]), _trial(study, 1, [0.5, 0.4])
    between = _trial(study, 2, [0.5, 0.4, 0.4, 0.4])

    assert should_stop(study, _Ledger([good, bad]), bad)
    assert not should_stop(study, _Ledger([bad, good]), good)
    assert not should_stop(study, _Ledger([_trial(study, 0, [0.5, 0.2, 0.2, 0.2]), between]), between)


def test_arms_and_last_epochs_are_never_stopped() -> None:
    """The baseline runs to its end, and competes with nobody."""
    study = _study("asha", grace=1, reduction=2)
    arm = replace(_trial(study, 1, [0.5, 0.4], phase="arm"), number=None)
    lone = _trial(study, 2, [0.5, 0.45])
    last = _trial(study, 3, [0.5] * 10)

    assert not should_stop(study, _Ledger([_trial(study, 0, [0.5, 0.2]), arm]), arm)
    assert not should_stop(study, _Ledger([replace(arm, metrics={0: {"eer": 0.5}, 1: {"eer": 0.1}}), lone]), lone)
    assert not should_stop(study, _Ledger([_trial(study, 0, [0.1] * 10), last]), last)


def test_median_rule_by_hand() -> None:
    """Stopped when the best value is worse than the median of the running means of three others, epoch 0 left out."""
    study = _study("median", grace=2)
    others = [_trial(study, n, [0.9, v, v]) for n, v in enumerate((0.2, 0.3, 0.4))]
    worse, equal = _trial(study, 8, [0.1, 0.5, 0.31]), _trial(study, 9, [0.9, 0.5, 0.3])

    assert should_stop(study, _Ledger([*others, worse]), worse)
    assert not should_stop(study, _Ledger([*others, equal]), equal)
    assert not should_stop(study, _Ledger([*others[:2], worse]), worse)
    assert not should_stop(study, _Ledger([*others, early := _trial(study, 8, [0.9, 0.9])]), early)
