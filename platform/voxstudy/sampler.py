"""Optuna in memory: asked for configs, told results, and rebuilt from the trial table when a run goes on."""

import hashlib
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.samplers import BaseSampler, QMCSampler, RandomSampler, TPESampler

from search_spaces.study import Study
from voxstudy.ledger import COMPLETE, FAILED, PRUNED, RUNNING, Trial

STARTUP_TRIALS = 6  # random configs before TPE models anything; Optuna's 10 would be most of a small study

# Optuna's log lines are no news to a user; a failed ask still raises.
optuna.logging.set_verbosity(optuna.logging.ERROR)


class Asker:
    """Asks Optuna for the next config. `number` counts the asks of a run over all its starts."""

    def __init__(self, study: Study, trials: list[Trial]):
        """Take over the search trials of a run, given in the order of their numbers."""
        self._study = study
        self._objective = study.objective[0]
        self._optuna = optuna.create_study(direction=self._objective.goal)
        self._asked: dict[int, optuna.Trial] = {}
        self._qmc = _sampler("qmc", study.seed) if study.search and study.search.sampler == "qmc" else None
        for trial in trials:
            self._take_over(trial)

    @property
    def next_number(self) -> int:
        """The number of the next ask."""
        return len(self._optuna.trials)

    def ask(self) -> tuple[int, dict[str, Any]]:
        """The next number and its suggested knobs. The sampler is new for every ask, seeded by (study, number)."""
        number = self.next_number
        assert self._study.search is not None
        # A seeded sampler that is rebuilt repeats its suggestions, so each ask has a seed of its own; a quasi-random
        # sequence is one object that counts its points.
        seed = ask_seed(self._study.seed, number)
        self._optuna.sampler = self._qmc or _sampler(self._study.search.sampler, seed)
        trial = self._optuna.ask()
        params = self._study.suggest(trial)
        self._asked[number] = trial
        return number, params

    def tell(self, trial: Trial) -> None:
        """Tell Optuna how a search trial ended: complete, stopped early (PRUNED) or failed (FAIL)."""
        assert trial.number is not None
        asked = self._asked.pop(trial.number)
        if trial.state == FAILED:
            self._optuna.tell(asked, state=optuna.trial.TrialState.FAIL)
            return
        for epoch, value in self._curve(trial).items():
            asked.report(value, epoch)
        if trial.state == PRUNED:
            self._optuna.tell(asked, state=optuna.trial.TrialState.PRUNED)
        else:
            self._optuna.tell(asked, trial.value(self._objective.metric))

    def _take_over(self, trial: Trial) -> None:
        assert trial.number == self.next_number, f"search trials must be 0..n-1, got {trial.number}"
        params = {name: trial.params[name] for name in self._study.space() if name in trial.params}
        if trial.state == RUNNING or self._qmc is not None:
            # A running trial must become a live one that can be told later; a quasi-random sequence must count it.
            self._optuna.sampler = self._qmc or RandomSampler(seed=0)
            self._optuna.enqueue_trial(params)
            self._asked[trial.number] = live = self._optuna.ask()
            _ = live.relative_params  # lazy: reading it is what makes the quasi-random sequence count this point
            self._study.suggest(live)
            if trial.state != RUNNING:
                self.tell(trial)
            return
        states = {COMPLETE: "COMPLETE", PRUNED: "PRUNED", FAILED: "FAIL"}
        curve = {} if trial.state == FAILED else self._curve(trial)
        value = trial.value(self._objective.metric)
        failed = trial.state == FAILED or value is None or value != value
        self._optuna.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState["FAIL" if failed else states[trial.state]],
                value=None if failed else value,
                params=params,
                distributions={name: self._study.space()[name] for name in params},
                intermediate_values=curve,
            )
        )

    def _curve(self, trial: Trial) -> dict[int, float]:
        metric = self._objective.metric
        return {e: row[metric] for e, row in sorted(trial.metrics.items()) if e > 0 and metric in row}


def ask_seed(study_seed: int, number: int) -> int:
    """A 32-bit seed from the study's seed and the number of an ask."""
    return int.from_bytes(hashlib.sha256(f"ask {study_seed} {number}".encode()).digest()[:4], "big")


def _sampler(name: str, seed: int) -> BaseSampler:
    makers: Mapping[str, Any] = {
        "random": lambda: RandomSampler(seed=seed),
        "qmc": lambda: QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False),
        # constant_liar: trials still running are counted as bad, so that lanes do not try the same config twice
        "tpe": lambda: TPESampler(
            seed=seed, n_startup_trials=STARTUP_TRIALS, multivariate=True, group=True, constant_liar=True
        ),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler: BaseSampler = makers[name]()
    return sampler
