"""The part of a run that needs Ray: the desk, the lanes, Tune's loop, and an eye on all three."""

import contextlib
import os
import shutil
import tempfile
import time
from functools import partial
from typing import Any

from rich.console import Console

from reports.store import Store, StoreError
from search_spaces.problems import StudyError
from search_spaces.reading import ReadStudy
from search_spaces.study import Resources
from trainables.corpora.corpus import CorpusError
from trainables.corpora.splits import Splits
from voxstudy.agenda import Agenda
from voxstudy.cluster import NAMESPACE, ClusterError, connect, open_desk
from voxstudy.console import Progress
from voxstudy.initial import InitialWeights
from voxstudy.ledger import Ledger, Trial
from voxstudy.outcome import OURS, STOPPED, Outcome, end_start, outcome_of
from voxstudy.plan import resource_problems

LANES_CLOSE_S = 20.0
PATIENCE_S = 60.0  # how often to say that no lane has started yet


class Crew:
    """The lanes of a run and what is known of their health."""

    def __init__(self, ray: Any, desk: Any, lanes: list[Any], console: Console):
        self._ray = ray
        self._desk = desk
        self._lanes = lanes
        self._console = console
        self._lost: set[str] = set()
        self._patience = time.monotonic() + PATIENCE_S
        self.outcome: Outcome | None = None  # why the run cannot go on, once it cannot

    def sync(self, committed: dict[str, int]) -> bool:
        """Tell the desk what the tables hold, look after the lanes; whether the run can go on."""
        view = self._ray.get(self._desk.sync.remote(committed))
        for lane in self._lanes:
            if not lane.is_alive and lane.name not in self._lost:
                self._lost.add(lane.name)
                self._ray.get(self._desk.lane_lost.remote(lane.name))
                self._say(f"{lane.name} is lost; its trial goes on in another lane. {lane.errors}")
        if view.broken:
            why = "; ".join(f"{lane}: {why}" for lane, why in view.broken.items())
            self.outcome = Outcome(OURS if view.is_our_fault else STOPPED, f"stopped, a lane could not go on: {why}")
        elif len(self._lost) == len(self._lanes):
            self.outcome = Outcome(STOPPED, "stopped, every lane is lost; the same command goes on from here")
        if view.lanes_seen == 0 and time.monotonic() > self._patience:
            self._patience += PATIENCE_S
            free = {name: self._ray.available_resources().get(name, 0) for name in ("CPU", "GPU")}
            self._say(f"still waiting for a lane to start; Ray has {free['CPU']:g} CPUs and {free['GPU']:g} GPUs free")
        return self.outcome is None

    def close(self) -> None:
        """Send the lanes home, so that their placement groups end with them."""
        with contextlib.suppress(Exception):
            self._ray.get(self._desk.close.remote(), timeout=5)
        for lane in self._lanes:
            lane.thread.join(LANES_CLOSE_S)

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def sweep(
    read: ReadStudy,
    run: str,
    ledger: Ledger,
    agenda: Agenda,
    splits: Splits,
    weights: InitialWeights,
    console: Console,
) -> Outcome:
    """Run trials until the agenda is empty, the run is stopped, or it cannot go on.

    Raises ClusterError or StudyError if the cluster can never hold a lane, StoreError if rows cannot be written.
    """
    console.print("starting Ray", highlight=False)
    ray = connect()
    # These import Ray, which `connect` must be the first to do.
    from voxstudy.lanes import Lane, cluster_nodes, lanes_that_fit, start_lane
    from voxstudy.tuning import StudyCallback, StudyScheduler, StudySearcher, tune_trials

    scratch = tempfile.mkdtemp(prefix="voxstudy-")
    resources, lanes = read.study.resources, list[Lane]()
    crew: Crew | None = None
    try:
        nodes = cluster_nodes()
        _refuse_impossible(read, nodes)
        fitting = lanes_that_fit(resources, nodes)
        if fitting == 0:
            raise ClusterError(_too_large(resources, nodes))
        num_lanes = min(fitting, max(1, agenda.target - agenda.num_done))
        address = {"desk": desk_name(run), "namespace": NAMESPACE}
        desk = open_desk(ray, address["desk"])
        crew = Crew(ray, desk, lanes, console)
        setup = {
            **address,
            "splits": ray.put(splits),
            "store": Store(run),
            "trainable": read.study.trainable,
            "threads": max(1, int(resources.cpus_per_worker)),
            "not_a_trials_fault": (StoreError, CorpusError),
        }
        storage = Store(run).place(f".ray/{ledger.start:04d}")
        for index in range(num_lanes):
            lanes.append(start_lane(name=f"lane-{index}", resources=resources, setup=setup, storage=storage))
        console.print(f"starting {_lanes_in_words(num_lanes, resources)}", highlight=False)
        with Progress(
            study=read.study, ledger=ledger, target=agenda.target, num_done=lambda: agenda.num_done, console=console
        ) as progress:
            scheduler = StudyScheduler(ledger, agenda, lambda key: desk.cancel.remote(key), progress.told)
            tune_trials(
                searcher=StudySearcher(
                    agenda, address, partial(_job_of, splits=splits, weights=weights, store=Store(run))
                ),
                scheduler=scheduler,
                callback=StudyCallback(ledger, scheduler, crew.sync),
                lanes=num_lanes,
                scratch=scratch,
            )
        if scheduler.error is not None:
            raise scheduler.error
        # What the tables say counts first: a lane that is lost after the last trial spoils nothing.
        outcome = outcome_of(ledger, agenda)
        if outcome.exit_code == STOPPED and crew.outcome is not None:
            outcome = crew.outcome
        # Said and written before Ray is left, which takes seconds that `ray job stop` may not grant.
        end_start(ledger, agenda, outcome, console)
        return outcome
    finally:
        if crew is not None:
            crew.close()
        ray.shutdown()
        shutil.rmtree(scratch, ignore_errors=True)


def _refuse_impossible(read: ReadStudy, nodes: list[dict[str, Any]]) -> None:
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    cpus, gpus = (int(sum(has.get(name, 0) for has in alive)) for name in ("CPU", "GPU"))
    problems = resource_problems(read.study, cpus=cpus, gpus=gpus, where="the cluster")
    if problems:
        raise StudyError(problems)


def _job_of(trial: Trial, *, splits: Splits, weights: InitialWeights, store: Store) -> dict[str, Any]:
    """What a lane needs to run a trial. The test set is for measured configs alone: a search must not see it."""
    init = None
    if trial.init is not None:
        init = {"store": weights.store(trial.arm or "") or store, "trial_id": trial.init}
    return {
        "score_test": trial.phase != "search" and splits.test is not None,
        "init": init,
        "trial_id": trial.trial_id,
        "attempt": trial.attempt,
        "seen": trial.last_epoch,
        "seed": trial.seed,
        "config": trial.config,
    }


def desk_name(run: str) -> str:
    """The desk's name in the cluster: one a run."""
    return f"voxstudy desk of {run if '://' in run else os.path.realpath(run)}"


def _lanes_in_words(num_lanes: int, resources: Resources) -> str:
    lanes = f"{num_lanes} lane{'s' if num_lanes > 1 else ''}"
    return f"{lanes} of {resources.workers} worker{'s' if resources.workers > 1 else ''}"


def _too_large(resources: Resources, nodes: list[dict[str, Any]]) -> str:
    has = [
        f"{n['Resources'].get('CPU', 0):g} CPUs and {n['Resources'].get('GPU', 0):g} GPUs" for n in nodes if n["Alive"]
    ]
    return (
        f"resources: a lane must fit into the cluster, but it needs {resources.workers} workers of "
        f"{resources.cpus_per_worker:g} CPUs and {resources.gpus_per_worker:g} GPUs each, "
        f"and the nodes have {', '.join(has)}"
    )
