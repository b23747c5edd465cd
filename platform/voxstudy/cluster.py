"""Connecting to Ray: an embedded one here, or the cluster that RAY_ADDRESS names (`ray job submit` sets it)."""

import logging
import os
import signal
import time
from typing import Any

NAMESPACE = "voxstudy"
NAME_WAIT_S = 20.0  # a killed driver's desk is gone within seconds


def stop_tune() -> None:
    """Ask Tune to stop cleanly: its handler of SIGUSR1 lets the loop end after the current step."""
    os.kill(os.getpid(), signal.SIGUSR1)


class ClusterError(ValueError):
    """The cluster cannot run this study now."""


def connect() -> Any:
    """Start or join Ray and return the module; call `ray.shutdown()` when done."""
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    address = os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {} if address else {"address": "local", "include_dashboard": False}
    try:
        ray.init(
            namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR, configure_logging=True, **options
        )
    except SystemExit:  # SIGTERM while Ray starts: its own handler is installed already
        raise KeyboardInterrupt from None
    except ConnectionError as error:
        raise ClusterError(f"RAY_ADDRESS={address}: a Ray cluster must answer there, but: {error}") from None
    # Tune prints the traceback of a client that it starts again: the console says what a user needs to know.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    stop_on_sigterm()  # again: Ray has just installed a handler of its own
    return ray


def stop_on_sigterm() -> None:
    """Make SIGTERM, which `ray job stop` sends, a clean stop: of Tune's loop if it runs, else like Ctrl-C.

    Ray's own handler leaves Tune's loop by an exception and loses what was not written.
    """

    def stop(*_: object) -> None:
        if signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:
            raise KeyboardInterrupt
        stop_tune()

    signal.signal(signal.SIGTERM, stop)


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
