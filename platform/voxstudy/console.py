"""What one sees while a study runs: a live table on a terminal, one plain line a report otherwise."""

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from search_spaces.knobs import active_knobs
from search_spaces.study import Study
from voxstudy.ledger import COMPLETE, FAILED, PRUNED, RUNNING, Ledger, Trial, best_first

ROWS = 12  # trials shown at once on a terminal

STATE_STYLES = {RUNNING: "cyan", COMPLETE: "green", PRUNED: "yellow", FAILED: "red"}


class Progress:
    """Tells what happens to the trials. A context manager: the live table needs an end."""

    def __init__(self, *, study: Study, ledger: Ledger, target: int, num_done: Callable[[], int], console: Console):
        self._study = study
        self._ledger = ledger
        self._target = target
        self._num_done = num_done
        self._console = console
        self._begun = time.monotonic()
        self._order: list[str] = []  # trial ids, the last told of last
        self._live = (
            Live(get_renderable=self._table, console=console, refresh_per_second=2) if console.is_terminal else None
        )

    def __enter__(self) -> "Progress":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live is not None:
            self._live.stop()

    def told(self, what: str, trial: Trial) -> None:
        """An event of a trial: took, epoch or end."""
        if trial.trial_id in self._order:
            self._order.remove(trial.trial_id)
        self._order.append(trial.trial_id)
        if self._live is None:
            self._console.print(self._line(what, trial), highlight=False, markup=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """A line about the run itself."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _line(self, what: str, trial: Trial) -> str:
        metric = self._study.objective[0].metric
        at = f"[{self._num_done()}/{self._target} {_clock(time.monotonic() - self._begun)}] {name_of(trial)}"
        if what == "took":
            again = f", again from epoch {trial.last_epoch + 1}" if trial.last_epoch >= 0 else ""
            return f"{at} starts in {trial.lane}{again}: {_knobs(self._study, trial)}"
        if what == "epoch":
            return f"{at} epoch {trial.last_epoch}/{trial.config.epochs} {metric} {_value(trial.value(metric))}"
        end = {COMPLETE: "complete", PRUNED: "stopped early", FAILED: "failed"}[trial.state]
        return f"{at} {end} at epoch {trial.last_epoch}, {metric} {_value(trial.value(metric))}; {self._best()}"

    def _best(self) -> str:
        objective = self._study.objective[0]
        ranked = best_first(self._ledger.in_state(COMPLETE), metric=objective.metric, goal=objective.goal)
        if not ranked:
            return "no trial complete yet"
        return f"best so far {_value(ranked[0].value(objective.metric))} ({name_of(ranked[0])})"

    def _table(self) -> Table:
        metric = self._study.objective[0].metric
        title = f"{self._num_done()} of {self._target} trials, {_clock(time.monotonic() - self._begun)}; {self._best()}"
        table = Table(title=title, title_justify="left", expand=False)
        for header in ("trial", "state", "epoch", metric, "knobs", "lane"):
            table.add_column(header, overflow="fold")
        for key in self._order[-ROWS:]:
            trial = self._ledger.trials[key]
            style = STATE_STYLES[trial.state]
            epoch = f"{max(trial.last_epoch, 0)}/{trial.config.epochs}"
            value, lane = _value(trial.value(metric)), trial.lane or ""
            table.add_row(name_of(trial), f"[{style}]{trial.state}[/]", epoch, value, _knobs(self._study, trial), lane)
        return table


def name_of(trial: Trial) -> str:
    """How a trial is called in front of people: its number in the search, or what it measures and its seed."""
    if trial.phase == "search":
        return f"trial {trial.number}"
    return f"{trial.arm if trial.arm is not None else f'config {trial.number}'} (seed {trial.seed})"


def _knobs(study: Study, trial: Trial) -> str:
    active: dict[str, Any] = active_knobs(trial.config)
    names = list(study.space()) or list(trial.params)
    return ", ".join(f"{name} {_value(active[name])}" for name in names if name in active) or "the defaults"


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
