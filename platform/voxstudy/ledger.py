"""The driver's view of a run: what was issued, what came back, what it means; every change goes to the Arrow tables.

The tables are the only truth: `Ledger.load` rebuilds this view from them, and nothing else is needed to continue a run.
Knows neither Ray nor Optuna.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from reports.reading import Run
from reports.tables import TableWriter
from search_spaces.identity import config_id, trial_id
from search_spaces.knobs import active_knobs
from search_spaces.study import Study
from voxstudy.initial import Init

RUNNING, COMPLETE, PRUNED, FAILED = "running", "complete", "pruned", "failed"


@dataclass(frozen=True)
class Trial:
    """One config with one seed, and what is known of it so far."""

    trial_id: str
    config_id: str
    phase: str  # search | confirm | arm
    arm: str | None
    number: int | None  # of the search, in Optuna's order
    seed: int
    params: Mapping[str, Any]  # what was searched or what the arm sets; the rest is the study's [config]
    config: Any  # the trainable's config dataclass
    attempt: int = 1
    state: str = RUNNING
    metrics: Mapping[int, Mapping[str, float]] = field(default_factory=dict)  # by epoch
    duration_s: float = 0.0  # what this attempt's epochs took
    started: datetime | None = None
    node: str | None = None
    lane: str | None = None
    restarts: int = 0
    init: str | None = None  # the trial whose weights it starts from

    @property
    def last_epoch(self) -> int:
        """The last epoch that was reported, -1 before the first."""
        return max(self.metrics, default=-1)

    @property
    def is_last(self) -> bool:
        """Whether the last epoch of its config was reached."""
        return bool(self.last_epoch >= self.config.epochs)

    def value(self, metric: str, epoch: int | None = None) -> float | None:
        """A metric at an epoch (the last one by default), None where it was not measured."""
        return self.metrics.get(self.last_epoch if epoch is None else epoch, {}).get(metric)


class Ledger:
    """All trials of a run, in the order in which they were first issued."""

    def __init__(
        self,
        *,
        study: Study,
        fingerprint: str,
        test_fingerprint: str | None,
        code_hash: str,
        writer: TableWriter,
        start: int,
        workers: int,
    ):
        self.study = study
        self.fingerprint = fingerprint
        self.test_fingerprint = test_fingerprint
        self.code_hash = code_hash
        self.start = start
        self.workers = workers
        self.trials: dict[str, Trial] = {}
        self._writer = writer
        self._revisions: dict[str, int] = {}
        self._orphans: list[str] = []
        self._start_row: dict[str, Any] = {}

    # -- reading -----------------------------------------------------------------------------------------------------

    def load(self, run: Run) -> None:
        """Take over what the tables of a run hold; trials that a dead driver left running become orphans."""
        epochs: dict[str, dict[int, dict[str, float]]] = {}
        for row in run.epochs.collect().iter_rows(named=True):
            metrics = {
                k.removeprefix("metric."): v for k, v in row.items() if k.startswith("metric.") and v is not None
            }
            epochs.setdefault(row["trial_id"], {})[row["epoch"]] = metrics
        for row in _in_order_of_issue(run).iter_rows(named=True):
            params = {k.removeprefix("knob."): v for k, v in row.items() if k.startswith("knob.") and v is not None}
            key = row["trial_id"]
            self.trials[key] = Trial(
                trial_id=key,
                config_id=row["config_id"],
                phase=row["phase"],
                arm=row["arm"],
                number=row["number"],
                seed=row["seed"],
                params=params,
                config=self.study.config_of(params),
                attempt=row["attempt"],
                state=row["state"],
                metrics=epochs.get(key, {}),
                duration_s=row["duration_s"] or 0.0,
                started=row["started"],
                node=row["node"],
                lane=row["lane"],
                restarts=row["restarts"],
                init=row["init"],
            )
            self._revisions[key] = row["revision"]
        self._orphans = [t.trial_id for t in self.trials.values() if t.state == RUNNING]

    def in_state(self, *states: str) -> list[Trial]:
        """Trials in one of the states, in the order of their issue."""
        return [t for t in self.trials.values() if t.state in states]

    @property
    def orphans(self) -> tuple[str, ...]:
        """Trials that an earlier driver left unfinished and that were not issued again yet."""
        return tuple(self._orphans)

    # -- writing -----------------------------------------------------------------------------------------------------

    def issue(
        self,
        *,
        phase: str,
        arm: str | None,
        number: int | None,
        seed: int,
        params: Mapping[str, Any],
        init: Init | None = None,
        failed: str | None = None,
    ) -> Trial:
        """Record a new trial as running and commit it: from here on it has an identity that survives a kill.

        `failed` says why it cannot run at all: then it is recorded as failed.
        """
        config = self.study.config_of(params)
        config_key = config_id(self.study.trainable, config, init.identity if init is not None else None)
        trial = Trial(
            trial_id=trial_id(config_key, seed, self.fingerprint),
            config_id=config_key,
            phase=phase,
            arm=arm,
            number=number,
            seed=seed,
            params=dict(params),
            config=config,
            started=datetime.now(UTC),
            init=init.trial_id if init is not None else None,
            state=RUNNING if failed is None else FAILED,
        )
        self._record(trial, ended=trial.started if failed is not None else None, error=failed)
        self.commit()
        return trial

    def issue_again(self) -> Trial:
        """The first orphan as a new attempt."""
        trial = self.trials[self._orphans.pop(0)]
        trial = replace(trial, attempt=trial.attempt + 1, started=datetime.now(UTC), duration_s=0.0, restarts=0)
        self._record(trial)
        self.commit()
        return trial

    def took(self, key: str, *, node: str, lane: str, restarts: int) -> None:
        """Remember where an attempt runs; written with its next row."""
        self.trials[key] = replace(self.trials[key], node=node, lane=lane, restarts=restarts)

    def add_epoch(self, key: str, row: Mapping[str, Any]) -> bool:
        """Buffer an epoch's row; False if it is already known, comes after the end or leaves a gap behind it."""
        trial = self.trials[key]
        epoch = int(row["epoch"])
        if trial.state != RUNNING or epoch != trial.last_epoch + 1:
            return False
        metrics = {**trial.metrics, epoch: dict(row["metrics"])}
        self.trials[key] = replace(trial, metrics=metrics, duration_s=trial.duration_s + float(row["duration_s"]))
        self._writer.append(
            "epochs",
            {
                "trial_id": key,
                "attempt": trial.attempt,
                "epoch": epoch,
                "time": datetime.now(UTC),
                "duration_s": float(row["duration_s"]),
                **{f"metric.{name}": float(value) for name, value in row["metrics"].items()},
            },
        )
        return True

    def finish(
        self,
        key: str,
        state: str,
        *,
        error: str | None = None,
        traceback: str | None = None,
        scores: str | None = None,
        test: Mapping[str, Any] | None = None,
    ) -> Trial:
        """Record the end of a trial and commit it in one swap with the epoch rows it rests on.

        `test` is its reading of the test set, if it made one: {"metrics", "scored"}.
        """
        trial = replace(self.trials[key], state=state)
        if test is not None:
            self._record_reading(trial, test)
        self._record(trial, ended=datetime.now(UTC), error=error, traceback=traceback, scores=scores)
        self.commit()
        return trial

    def commit(self) -> dict[str, int]:
        """Write what is buffered; returns the last committed epoch of each running trial."""
        if self._writer.dirty:
            self._writer.commit()
        return {t.trial_id: t.last_epoch for t in self.in_state(RUNNING)}

    def open_start(self, row: Mapping[str, Any]) -> None:
        """Record this start of the driver, with whatever rows wait already (the corpus's)."""
        self._start_row = {**row, "start": self.start, "revision": 0, "ended": None, "outcome": None}
        self._writer.append("starts", self._start_row)
        self._writer.commit()

    def close_start(self, outcome: str) -> None:
        """Record how this start ended, with whatever rows still wait."""
        end = {"revision": 1, "ended": datetime.now(UTC), "outcome": outcome}
        self._writer.append("starts", {**self._start_row, **end})
        self._writer.commit()

    def _record_reading(self, trial: Trial, test: Mapping[str, Any]) -> None:
        self._writer.append(
            "readings",
            {
                "trial_id": trial.trial_id,
                "attempt": trial.attempt,
                "split": "test",
                "time": datetime.now(UTC),
                "scored": int(test["scored"]),
                "fingerprint": self.test_fingerprint,
                **{f"metric.{name}": float(value) for name, value in test["metrics"].items()},
            },
        )

    def _record(
        self,
        trial: Trial,
        *,
        ended: datetime | None = None,
        error: str | None = None,
        traceback: str | None = None,
        scores: str | None = None,
    ) -> None:
        previous = self.trials.get(trial.trial_id)
        same_attempt = previous is not None and previous.attempt == trial.attempt
        revision = self._revisions.get(trial.trial_id, -1) + 1 if same_attempt else 0
        self.trials[trial.trial_id] = trial
        self._revisions[trial.trial_id] = revision
        self._writer.append(
            "trials",
            {
                "trial_id": trial.trial_id,
                "config_id": trial.config_id,
                "phase": trial.phase,
                "arm": trial.arm,
                "number": trial.number,
                "seed": trial.seed,
                "attempt": trial.attempt,
                "revision": revision,
                "state": trial.state,
                "epochs": trial.last_epoch,
                "epochs_planned": trial.config.epochs,
                "started": trial.started,
                "ended": ended,
                "duration_s": trial.duration_s,
                "node": trial.node,
                "lane": trial.lane,
                "workers": self.workers,
                "loss_speakers": trial.config.loss_speakers(self.workers),
                "restarts": trial.restarts,
                "error": error,
                "traceback": traceback,
                "scores": scores,
                "init": trial.init,
                "code_hash": self.code_hash,
                "start": self.start,
                "objective": trial.value(self.study.objective[0].metric),
                **{f"knob.{name}": value for name, value in active_knobs(trial.config).items()},
            },
        )


def _in_order_of_issue(run: Run) -> pl.DataFrame:
    """The trials by the start of their first attempt, which no restart changes."""
    issued = run.attempts.group_by("trial_id").agg(issued=pl.col("started").min())
    return run.trials.join(issued, on="trial_id").sort("issued").collect()


def best_first(trials: Iterable[Trial], *, metric: str, goal: str) -> list[Trial]:
    """Trials that have a finite value, best first."""
    valued = [(v, t) for t in trials if (v := t.value(metric)) is not None and v == v]
    return [t for _, t in sorted(valued, key=lambda pair: pair[0], reverse=goal == "maximize")]
