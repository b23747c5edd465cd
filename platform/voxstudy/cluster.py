"""Connecting to Ray: an embedded one here, or the cluster that RAY_ADDRESS names (`ray job submit` sets it)."""

import logging
import os
import signal
import time
from typing import Any

from voxstudy.tuning import stop_tune

NAMESPACE = "voxstudy"
NAME_WAIT_S = 20.0  # a killed driver's desk is gone within seconds


class ClusterError(ValueError):
    """The cluster cannot run this study now."""


def connect() -> Any:
    """Start or join Ray and return the module; call `ray.shutdown()` when done."""
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    address = os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {} if address else {"address": "local", "include_dashboard": False}
    ray.init(namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR, configure_logging=True, **options)
    # `ray job stop` sends SIGTERM. Ray's own handler leaves Tune's loop by an exception and loses what was not written.
    signal.signal(signal.SIGTERM, lambda *_: stop_tune())
    return ray


def open_desk(ray: Any, name: str) -> Any:
    """The run's desk as a named actor beside the driver; a name in use means that another driver is alive."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from voxstudy.desk import Desk

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(Desk).options(num_cpus=0, max_concurrency=10_000, name=name, scheduling_strategy=here)
    patience = time.monotonic() + NAME_WAIT_S
    while True:
        try:
            return actor.remote()
        except ValueError:
            if time.monotonic() > patience:
                raise ClusterError(
                    f"{name}: one live driver a run must hold, but another driver on this cluster works on it"
                ) from None
            time.sleep(0.5)
