"""Whose weights an arm starts from: another arm's of this run, or another run's, found before anything starts."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from reports.manifest import RunError
from reports.reading import Run, read_run
from reports.store import Store
from search_spaces.identity import config_id
from search_spaces.problems import Problem, StudyError, unknown_name
from search_spaces.study import BASELINE, Arm, OtherRun, Study


@dataclass(frozen=True)
class Init:
    """The weights that a trial starts from: those of a complete trial after its last epoch.

    `identity` goes into the config's identity: it is the same for all seeds of an arm.
    """

    identity: Mapping[str, str]
    trial_id: str


@dataclass(frozen=True)
class _Foreign:
    store: Store
    identity: Mapping[str, str]
    trials: Mapping[int, str]  # by seed


class InitialWeights:
    """What `init_from` of a study's arms means.

    Other runs are read once, here. Raises StudyError for every arm whose source is not there.
    """

    def __init__(self, study: Study) -> None:
        self._trainable = study.trainable
        self._arms = {arm.name: arm for arm in study.arms}
        self._configs = {name: study.config_of(arm.config) for name, arm in self._arms.items()}
        self._configs[BASELINE] = study.config_of({})
        self._foreign: dict[str, _Foreign] = {}
        problems: list[Problem] = []
        for position, arm in enumerate(study.arms, start=1):
            if isinstance(arm.init_from, OtherRun):
                try:
                    self._foreign[arm.name] = _found(arm.init_from, study, f"arm[{position}].init_from")
                except StudyError as error:
                    problems += error.problems
        if problems:
            raise StudyError(problems)
        self._refuse_twins()

    def _refuse_twins(self) -> None:
        """Two runs may hold the same trials: an arm a run, then, would be one arm under two names."""
        seen: dict[str, str] = {}
        for position, arm in enumerate(self._arms, start=1):
            other = seen.setdefault(self.config_id(arm), arm)
            if other != arm:
                rule = f"starts from the same weights as the arm {other!r}, and no knob that has an effect differs"
                raise StudyError([Problem(f"arm[{position}]", rule, arm)])

    def local(self, arm: str) -> str | None:
        """The arm of this run whose trial of the same seed must be complete before the arm's can start."""
        source = self._source(arm)
        return source if isinstance(source, str) else None

    def identity(self, arm: str) -> Mapping[str, str] | None:
        """What `init_from` adds to the identity of an arm's config; None for an arm that starts from its seed."""
        if arm in self._foreign:
            return self._foreign[arm].identity
        source = self.local(arm)
        return None if source is None else {"config": self.config_id(source)}

    def config_id(self, arm: str) -> str:
        """The identity of an arm's config, with the weights it starts from."""
        return config_id(self._trainable, self._configs[arm], self.identity(arm))

    def foreign(self, arm: str, seed: int) -> Init | None:
        """The trial of another run that an arm's trial starts from."""
        found = self._foreign.get(arm)
        return None if found is None else Init(found.identity, found.trials[seed])

    def store(self, arm: str) -> Store | None:
        """Where another run's checkpoints lie; None if the weights are of this run."""
        found = self._foreign.get(arm)
        return None if found is None else found.store

    def _source(self, arm: str) -> str | OtherRun | None:
        known: Arm | None = self._arms.get(arm)
        return None if known is None else known.init_from


def _found(source: OtherRun, study: Study, place: str) -> _Foreign:
    """The trials of another run that an arm starts from, by seed; StudyError if they are not there."""
    try:
        run = read_run(source.run)
    except RunError as error:
        raise StudyError([Problem(f"{place}.run", str(error), source.run)]) from error
    if run.study.trainable != study.trainable:
        rule = f"the weights must be of {study.trainable}, but that run trained {run.study.trainable}"
        raise StudyError([Problem(f"{place}.run", rule, source.run)])
    return _of_trial(source.trial, run, study, place) if source.trial else _of_arm(source.arm or "", run, study, place)


def _of_trial(trial: str, run: Run, study: Study, place: str) -> _Foreign:
    rows = run.trials.filter(pl.col("state") == "complete").collect()
    complete = dict(rows.select("trial_id", "code_hash").iter_rows())
    if trial not in complete:
        rule = f"{run.place} has no complete trial {trial!r}"
        raise StudyError([unknown_name(f"{place}.trial", rule, trial, list(complete))])
    identity = {"trial": trial, "code": complete[trial]}
    return _Foreign(run.store, identity, dict.fromkeys(range(1, study.seeds + 1), trial))


def _of_arm(arm: str, run: Run, study: Study, place: str) -> _Foreign:
    rows = run.trials.filter(pl.col("phase") == "arm").collect()
    arms = [BASELINE, *(each.name for each in run.study.arms)]
    if arm not in arms:
        raise StudyError([unknown_name(f"{place}.arm", f"{run.place} has no arm {arm!r}", arm, arms)])
    rows = rows.filter((pl.col("arm") == arm) & (pl.col("state") == "complete"))
    trials = dict(rows.select("seed", "trial_id").iter_rows())
    missing = [seed for seed in range(1, study.seeds + 1) if seed not in trials]
    if missing:
        has = ", ".join(map(str, sorted(trials))) or "none"
        wanted = ", ".join(map(str, missing))
        rule = f"{run.place} must have a complete trial of the arm {arm!r} with each seed, but {wanted} is missing"
        raise StudyError([Problem(f"{place}.arm", f"{rule} (it has {has})", arm)])
    chosen = rows.filter(pl.col("seed") <= study.seeds)
    identity = {
        "config": chosen["config_id"][0],
        "corpus": str(run.provenance.get("corpus_fingerprint")),
        "code": " ".join(sorted(set(chosen["code_hash"]))),  # other code makes other weights of the same trial
    }
    return _Foreign(run.store, identity, trials)
