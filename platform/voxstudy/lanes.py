"""Lanes: warm Ray Train worker groups owned by the driver, each in a thread of its own inside `TorchTrainer.fit()`.

A TorchTrainer a trial would cost 10 to 35 s each (DESIGN.md, 2026-11-22); a lane is started once and serves trials
until the desk sends it home. When its workers die, Ray Train starts a new group, which asks the desk again.
"""

import threading
from dataclasses import dataclass
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from search_spaces.study import Resources
from trainables.worker import serve


@dataclass(frozen=True)
class Lane:
    """One running worker group."""

    name: str
    thread: threading.Thread
    errors: list[BaseException]  # what ended fit(), if anything did

    @property
    def is_alive(self) -> bool:
        """Whether its worker group still serves."""
        return self.thread.is_alive()


def start_lane(*, name: str, resources: Resources, setup: dict[str, Any], storage: str) -> Lane:
    """Start a worker group. `setup` is what `serve` needs, the same for all; `storage` is Ray Train's own folder.

    Workers may die as often as they like here: how often a trial may kill its workers is the desk's rule.
    """
    per_worker: dict[str, float] = {"CPU": resources.cpus_per_worker}
    if resources.gpus_per_worker:
        per_worker["GPU"] = resources.gpus_per_worker
    trainer = TorchTrainer(
        serve,
        train_loop_config={**setup, "lane": name},
        scaling_config=ScalingConfig(
            num_workers=resources.workers,
            use_gpu=resources.gpus_per_worker > 0,
            resources_per_worker=per_worker,
        ),
        run_config=RunConfig(name=name, storage_path=storage, failure_config=FailureConfig(max_failures=-1)),
    )
    errors: list[BaseException] = []

    def fit() -> None:
        try:
            trainer.fit()
        except BaseException as error:  # the thread must not die silently: the driver reads this
            errors.append(error)

    thread = threading.Thread(target=fit, name=name, daemon=True)
    thread.start()
    return Lane(name, thread, errors)


def lanes_that_fit(resources: Resources, nodes: list[dict[str, Any]]) -> int:
    """How many lanes the cluster's living nodes hold at once; 0 when not even one fits.

    >>> two_nodes = [{"Alive": True, "Resources": {"CPU": 3.0}}, {"Alive": True, "Resources": {"CPU": 2.0}}]
    >>> lanes_that_fit(Resources(workers=2, cpus_per_worker=2), two_nodes)
    1
    """
    workers = 0
    for node in nodes:
        if not node["Alive"]:
            continue
        has = node["Resources"]
        slots = int(has.get("CPU", 0.0) // resources.cpus_per_worker)
        if resources.gpus_per_worker:
            slots = min(slots, int(has.get("GPU", 0.0) / resources.gpus_per_worker + 1e-9))
        workers += slots
    lanes = workers // resources.workers
    return min(lanes, resources.max_lanes) if resources.max_lanes else lanes


def cluster_nodes() -> list[dict[str, Any]]:
    """The nodes of the connected cluster, as Ray lists them."""
    nodes: list[dict[str, Any]] = ray.nodes()
    return nodes
