"""What a run does next: unfinished trials of a dead driver, then arms, what Optuna asks for, and confirmations.

Arms and confirmed configs are *measured*: over the study's seeds, seed by seed, so that an interrupted study has whole
pairs. The search has seeds of its own, and no sampler sees any of them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from search_spaces.problems import Problem, StudyError
from search_spaces.study import BASELINE, Study
from voxstudy.initial import Init, InitialWeights
from voxstudy.ledger import COMPLETE, FAILED, PRUNED, RUNNING, Ledger, Trial
from voxstudy.sampler import Asker

SEARCH_SEEDS = 1_000_000  # the search's seeds start here, far from the arms' 1..n: a search seed never enters a verdict
ENDED = (COMPLETE, PRUNED, FAILED)


@dataclass(frozen=True)
class Measured:
    """A config that the study measures over its seeds: an arm, or one that the search found."""

    phase: str
    arm: str | None
    number: int | None  # of the search trial that a confirmation repeats
    params: Mapping[str, Any]
    config_id: str


class Agenda:
    """Hands out trials in a fixed order and knows when the target is reached."""

    def __init__(self, study: Study, ledger: Ledger, weights: InitialWeights):
        self._study = study
        self._ledger = ledger
        self._weights = weights
        self._asker = Asker(study, sorted(self._searched(), key=lambda t: t.number or 0))
        params: dict[str, dict[str, Any]] = {BASELINE: {}} | {arm.name: arm.config for arm in study.arms}
        self._arms = [Measured("arm", name, None, params[name], weights.config_id(name)) for name in params]
        self._confirmed: tuple[tuple[int, int], list[Measured]] | None = None  # as of so many ended trials, and the top

    def refuse_other_arms(self) -> None:
        """Raise StudyError if the run has trials of an arm that is another config now: its weights' run has changed."""
        configs = {arm.arm: arm.config_id for arm in self._arms}
        for trial in self._ledger.trials.values():
            if trial.phase == "arm" and configs.get(trial.arm, trial.config_id) != trial.config_id:
                rule = f"the weights that the arm {trial.arm!r} starts from are not those that this run began with"
                raise StudyError([Problem(f"arm {trial.arm!r}: init_from", f"{rule}; choose another --run", trial.arm)])

    def next_trial(self) -> Trial | None:
        """The next trial to run, recorded and committed; None when there is none, or none yet (`is_waiting`)."""
        if self._ledger.orphans:
            return self._ledger.issue_again()
        found = self._next_measured(self._arms)
        if found is None and self._asker.next_number < self._search_trials:
            number, params = self._asker.ask()
            return self._ledger.issue(
                phase="search", arm=None, number=number, seed=SEARCH_SEEDS + number, params=params
            )
        return found or self._next_measured(self._confirmations())

    @property
    def is_waiting(self) -> bool:
        """Whether trials will follow that cannot be handed out yet: they wait for others to end."""
        return not self.is_done and bool(self._ledger.in_state(RUNNING))

    def tell(self, trial: Trial) -> None:
        """Pass the end of a trial on to Optuna; arms and confirmations are none of its business."""
        if trial.phase == "search":
            self._asker.tell(trial)

    @property
    def target(self) -> int:
        """How many trials the study asks for, over all starts of the run; an estimate until the search has ended."""
        return self._study.seeds * (len(self._arms) + self._num_confirmed) + self._search_trials

    @property
    def num_done(self) -> int:
        """How many of them have ended: complete, pruned or failed. Trials beyond a lowered total are not counted."""
        ended = {(t.config_id, t.seed) for t in self._ledger.in_state(*ENDED) if t.phase != "search"}
        measured = (*self._arms, *self._confirmations())
        wanted = {(config.config_id, seed) for config in measured for seed in self._seeds}
        return len(wanted & ended) + min(self._search_trials, self._num_searched)

    @property
    def is_done(self) -> bool:
        """Whether the target is reached and nothing was left unfinished."""
        return self._is_search_done and self.num_done >= self.target and not self._ledger.in_state(RUNNING)

    @property
    def num_orphans(self) -> int:
        """How many unfinished trials of a dead driver wait to go on."""
        return len(self._ledger.orphans)

    @property
    def _seeds(self) -> range:
        return range(1, self._study.seeds + 1)

    @property
    def _search_trials(self) -> int:
        return self._study.search.trials if self._study.search is not None else 0

    def _searched(self) -> list[Trial]:
        return [t for t in self._ledger.trials.values() if t.phase == "search"]

    @property
    def _num_searched(self) -> int:
        return sum(t.state in ENDED for t in self._searched())

    @property
    def _is_search_done(self) -> bool:
        return self._num_searched >= self._search_trials and all(t.state != RUNNING for t in self._searched())

    @property
    def _num_confirmed(self) -> int:
        known = len(self._confirmations())
        if self._is_search_done or self._study.confirm is None:
            return known
        return max(known, min(self._study.confirm.top, self._search_trials))

    def _confirmations(self) -> list[Measured]:
        """The configs to confirm: those of an earlier end of the search, and its best once it has ended."""
        if self._study.confirm is None:
            return []
        top = self._study.confirm.top if self._is_search_done else 0
        if self._confirmed is None or self._confirmed[0] != (self._num_searched, top):
            self._confirmed = ((self._num_searched, top), self._chosen(top))
        return self._confirmed[1]

    def _chosen(self, top: int) -> list[Measured]:
        """Configs in the order of their numbers; one that equals an arm is confirmed by that arm."""
        by_config: dict[str, list[Trial]] = {}
        # A config goes by the number of its first complete trial, in reports too.
        for trial in sorted(self._searched(), key=lambda t: (t.state != COMPLETE, t.number or 0)):
            by_config.setdefault(trial.config_id, []).append(trial)
        chosen = best_configs(self._study, by_config, top)
        arms = {arm.config_id for arm in self._arms}
        earlier = [t.config_id for t in self._ledger.trials.values() if t.phase == "confirm"]
        kept = [key for key in dict.fromkeys([*earlier, *chosen]) if key not in arms]
        first = [by_config[key][0] for key in kept]
        return [Measured("confirm", None, t.number, t.params, t.config_id) for t in first]

    def _next_measured(self, configs: list[Measured]) -> Trial | None:
        """The first pair of seed and config that was not issued and need not wait."""
        issued = {(t.config_id, t.seed): t for t in self._ledger.trials.values() if t.phase != "search"}
        for seed in self._seeds:
            for config in configs:
                if (config.config_id, seed) in issued:
                    continue
                source = self._weights.local(config.arm) if config.arm is not None else None
                if source is None:
                    init = self._weights.foreign(config.arm, seed) if config.arm is not None else None
                    return self._issue(config, seed, init)
                begun_from = issued.get((self._weights.config_id(source), seed))
                if begun_from is not None and begun_from.state == COMPLETE:
                    return self._issue(config, seed, self._init(config, begun_from.trial_id))
                if begun_from is not None and begun_from.state == FAILED:
                    why = f"the arm {source!r} that it starts from failed with seed {seed}"
                    self._issue(config, seed, self._init(config, begun_from.trial_id), failed=why)
                    return self._next_measured(configs)  # others may start from this one in their turn
        return None

    def _init(self, config: Measured, trial_id: str) -> Init:
        identity = self._weights.identity(config.arm or "")
        assert identity is not None
        return Init(identity, trial_id)

    def _issue(self, config: Measured, seed: int, init: Init | None, failed: str | None = None) -> Trial:
        return self._ledger.issue(
            phase=config.phase,
            arm=config.arm,
            number=config.number,
            seed=seed,
            params=config.params,
            init=init,
            failed=failed,
        )


def best_configs(study: Study, searched: Mapping[str, list[Trial]], top: int) -> list[str]:
    """The identities of the `top` best configs of a search, best first, by the mean of their complete trials."""
    objective = study.objective[0]
    means: dict[str, float] = {}
    for key, trials in searched.items():
        values = [v for t in trials if t.state == COMPLETE and (v := t.value(objective.metric)) is not None]
        if finite := [value for value in values if math.isfinite(value)]:
            means[key] = fmean(finite)
    return sorted(means, key=lambda key: means[key], reverse=objective.goal == "maximize")[:top]
