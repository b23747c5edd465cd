"""Optuna rebuilt from the trial table asks and learns as if it had never stopped."""

from dataclasses import replace

import optuna
import pytest

from search_spaces.study import Study
from voxstudy.ledger import COMPLETE, FAILED, PRUNED, RUNNING, Trial
from voxstudy.sampler import Asker


def _study(sampler: str) -> Study:
    return Study.model_validate(
        {
            "title": "t",
            "trainable": "contrastive_mixup",
            "objective": [{"metric": "eer", "goal": "minimize"}],
            "corpus": {"train": "synthetic"},
            "config": {"epochs": 3},
            "search": {
                "trials": 20,
                "sampler": sampler,
                "space": {"loss": True, "beta_alpha": True, "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}},
            },
        }
    )


def _asked(study: Study, asker: Asker) -> Trial:
    number, params = asker.ask()
    return Trial(f"t{number}", "c", "search", None, number, number, params, study.config_of(params))


def _ended(trial: Trial) -> Trial:
    """An end that depends on the config alone: some fail, some are stopped, most are complete."""
    number = trial.number or 0
    value = abs(trial.params["learning_rate"] - 1e-3) * 100 + 0.1
    if number % 5 == 4:
        return replace(trial, state=FAILED)
    epochs = 2 if number % 3 == 2 else 4
    curve = {epoch: {"eer": value + 0.3 / (epoch + 1)} for epoch in range(epochs)}
    return replace(trial, state=PRUNED if epochs == 2 else COMPLETE, metrics=curve)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_rebuilt_asker_goes_on_as_the_first(sampler: str) -> None:
    """After any number of ended trials, an asker rebuilt from them suggests what the first one would have."""
    study = _study(sampler)
    first = Asker(study, [])
    ended: list[Trial] = []
    for _ in range(12):
        rebuilt = Asker(study, ended)
        trial = _asked(study, first)

        assert _asked(study, rebuilt).params == trial.params
        ended.append(_ended(trial))
        first.tell(ended[-1])


def test_quasi_random_sequence_is_not_repeated_after_a_rebuild() -> None:
    """A rebuilt quasi-random sampler goes on with its sequence."""
    study = _study("qmc")
    first = Asker(study, [])
    ended = []
    for _ in range(6):
        ended.append(_ended(_asked(study, first)))
        first.tell(ended[-1])
    rebuilt = Asker(study, ended)
    later = [_asked(study, rebuilt).params["learning_rate"] for _ in range(6)]

    assert not set(later) & {trial.params["learning_rate"] for trial in ended}
    assert len(set(later)) == 6


def test_asks_differ_from_each_other() -> None:
    """Every ask has a seed of its own: no config twice, though each ask has a new sampler."""
    study = _study("random")
    asker = Asker(study, [])
    rates = [_asked(study, asker).params["learning_rate"] for _ in range(12)]

    assert len(set(rates)) == 12


def test_running_trials_are_taken_over_and_told_later() -> None:
    """A trial that was running when the driver died keeps its number and can be told by the next driver."""
    study = _study("tpe")
    first = Asker(study, [])
    trials = [_asked(study, first) for _ in range(3)]
    trials[0] = _ended(trials[0])
    rebuilt = Asker(study, trials)

    assert rebuilt.next_number == 3
    assert trials[1].state == RUNNING
    rebuilt.tell(_ended(trials[1]))
    rebuilt.tell(_ended(trials[2]))
    states = [t.state for t in rebuilt._optuna.trials]
    wanted = optuna.trial.TrialState
    assert states == [wanted.COMPLETE, wanted.COMPLETE, wanted.PRUNED]
    assert rebuilt._optuna.trials[1].params == dict(trials[1].params)


def test_inactive_knobs_are_never_suggested() -> None:
    """With the plain loss there is no mixing, so beta_alpha is not suggested."""
    study = _study("random")
    asker = Asker(study, [])
    for _ in range(30):
        params = _asked(study, asker).params

        assert ("beta_alpha" in params) == (params["loss"] != "ap")


def test_complete_trial_without_a_finite_value_fails() -> None:
    """NaN at the last epoch is a failure to Optuna, in a rebuilt study too."""
    study = _study("tpe")
    trial = _asked(study, Asker(study, []))
    nan = replace(trial, state=COMPLETE, metrics={0: {"eer": 0.5}, 3: {"eer": float("nan")}})

    assert Asker(study, [nan])._optuna.trials[0].state == optuna.trial.TrialState.FAIL
