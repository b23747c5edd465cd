"""The Ray Tune side: a searcher that hands out the agenda, a scheduler that judges, clients that relay a lane's rows.

Everything here runs in Tune's loop on the driver, but for `TrialClient`, which is a small actor without torch. Tune
keeps no state of ours: its trial ids name nothing, its checkpoints are not used, its loggers are off.
"""

import time
from collections.abc import Callable
from typing import Any

import ray
import ray.tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from voxstudy.agenda import Agenda
from voxstudy.cluster import stop_tune
from voxstudy.desk import Event
from voxstudy.ledger import COMPLETE, FAILED, PRUNED, RUNNING, Ledger, Trial
from voxstudy.stopper import should_stop

FLUSH_S = 0.5  # epoch rows wait this long for a commit at most; ends of trials are committed at once


class TrialClient(ray.tune.Trainable):  # type: ignore[misc]
    """A Tune trial: submits its job at the desk and returns one event of the lane a step."""

    def setup(self, config: dict[str, Any]) -> None:
        """Submit the job; a client that Tune restarted finds its trial at the desk as it is."""
        self._desk = ray.get_actor(config["desk"], namespace=config["namespace"])
        self._trial_id = config["job"]["trial_id"]
        self._cursor = 0
        ray.get(self._desk.submit.remote(config["job"]))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Serve another trial in the same process (`reuse_actors`): starting an actor costs seconds."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Event]:
        """Wait for the next event."""
        event = ray.get(self._desk.next_event.remote(self._trial_id, self._cursor))
        self._cursor += 1
        return {"event": event}


class _NeverRestored:
    """Tune pickles its parts for a restore that never happens here (the tables are the only truth): nothing goes in."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class StudySearcher(_NeverRestored, Searcher):  # type: ignore[misc]
    """Tune's source of trials: the agenda. All bookkeeping of ends is the scheduler's."""

    def __init__(self, agenda: Agenda, address: dict[str, str], job_of: Callable[[Trial], dict[str, Any]]):
        super().__init__(metric=None, mode=None)
        self._agenda = agenda
        self._address = address
        self._job_of = job_of

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial as a Tune config; None, which Tune asks again after, while trials wait for others to end."""
        trial = self._agenda.next_trial()
        if trial is None:
            return None if self._agenda.is_waiting else Searcher.FINISHED
        return {**self._address, "job": self._job_of(trial)}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tune does not tell a stopped trial from a finished one: nothing to learn here."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the tables are the only truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


class StudyScheduler(_NeverRestored, FIFOScheduler):  # type: ignore[misc]
    """Records every event and decides whether its trial goes on."""

    def __init__(
        self, ledger: Ledger, agenda: Agenda, cancel: Callable[[str], None], told: Callable[[str, Trial], None]
    ):
        super().__init__()
        self._ledger = ledger
        self._agenda = agenda
        self._cancel = cancel
        self._told = told
        self.error: Exception | None = None  # what the driver itself failed with, if it did

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        """Record one event; STOP once the trial has ended for us."""
        try:
            return str(self._judge(trial.config["job"]["trial_id"], result["event"]))
        except Exception as error:  # Tune would take it for the trial's failure; a full disk, say, is nobody's
            self.error = self.error or error
            stop_tune()
            return str(TrialScheduler.CONTINUE)

    def _judge(self, key: str, event: Event) -> Any:
        if self._ledger.trials[key].state != RUNNING:
            self._cancel(key)
            return TrialScheduler.STOP
        if event.kind == "took":
            self._ledger.took(key, node=event.row["node"], lane=event.row["lane"], restarts=event.row["restarts"])
            self._told("took", self._ledger.trials[key])
        elif event.kind == "failed":
            self._end(key, FAILED, error=event.row["error"], traceback=event.row["traceback"])
        elif self._ledger.add_epoch(key, event.row):
            known = self._ledger.trials[key]
            self._told("epoch", known)
            if known.is_last:
                self._end(key, COMPLETE, scores=event.row.get("scores"), test=event.row.get("test"))
            elif should_stop(self._ledger.study, self._ledger, known):
                self._end(key, PRUNED)
        ended = self._ledger.trials[key].state != RUNNING
        return TrialScheduler.STOP if ended else TrialScheduler.CONTINUE

    def give_up(self, key: str) -> None:
        """A client died more often than Tune starts it again."""
        if self._ledger.trials[key].state == RUNNING:
            self._end(key, FAILED, error="its Ray Tune client died again and again", traceback=None)

    def _end(self, key: str, state: str, **facts: Any) -> None:
        ended = self._ledger.finish(key, state, **facts)
        self._cancel(key)  # frees the lane at its next step, before Tune has even stopped the client
        self._agenda.tell(ended)
        self._told("end", ended)


class StudyCallback(_NeverRestored, ray.tune.Callback):  # type: ignore[misc]
    """Commits rows as they age and watches the lanes; `sync` gets the committed epochs, and says whether to go on."""

    def __init__(self, ledger: Ledger, scheduler: StudyScheduler, sync: Callable[[dict[str, int]], bool]):
        self._ledger = ledger
        self._scheduler = scheduler
        self._sync = sync
        self._flushed = time.monotonic()
        self._is_stopping = False

    def on_step_end(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        """Called at least ten times a second."""
        if time.monotonic() - self._flushed < FLUSH_S:
            return
        self._flushed = time.monotonic()
        try:
            goes_on = self._sync(self._ledger.commit())
        except Exception as error:
            self._scheduler.error = self._scheduler.error or error
            goes_on = False
        if not goes_on and not self._is_stopping:
            self._is_stopping = True
            stop_tune()

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Called when Tune gives a client up; the scheduler's hook of this name is called at every restart too."""
        self._scheduler.give_up(trial.config["job"]["trial_id"])


def tune_trials(
    *, searcher: StudySearcher, scheduler: StudyScheduler, callback: StudyCallback, lanes: int, scratch: str
) -> None:
    """Run the sweep until the agenda is empty or Tune is asked to stop.

    Clients take no CPU, which lanes need whole, but a sliver of a resource that every head node has: it also keeps them
    beside the driver. `scratch` is a folder of Tune's own that nothing reads again.
    """
    ray.tune.Tuner(
        ray.tune.with_resources(TrialClient, {"CPU": 0, "node:__internal_head__": 0.0001}),
        tune_config=ray.tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=-1,
            max_concurrent_trials=lanes,
            reuse_actors=True,
        ),
        run_config=ray.tune.RunConfig(
            name="tune",
            storage_path=scratch,
            callbacks=[callback],
            failure_config=ray.tune.FailureConfig(max_failures=3),
            checkpoint_config=ray.tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            verbose=0,
        ),
    ).fit()
