"""One worker of a lane: the train function that Ray Train runs, serving trials from the desk one after another.

The only module of this room that knows Ray. Rank 0 talks to the desk; every decision is broadcast, so that all ranks of
a lane do the same thing. The corpus stays open between trials; all else starts anew (`loop.fit` resets it).
"""

import importlib
import logging
import os
import re
import socket
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch.distributed as dist
from torch import nn

from trainables.batches import PlanError
from trainables.checkpoints import Checkpoints, InitialError, folder_of, weights_of
from trainables.corpora.splits import Splits, audio_caches
from trainables.distributed import from_rank_0
from trainables.log import captured_output
from trainables.loop import COMPLETE, Directive, Diverged, fit
from trainables.scores import score_writer

LOST_PEER = re.compile(r"gloo|nccl|connection (closed|reset|refused)|broken pipe", re.IGNORECASE)
IN_WORDS = (Diverged, InitialError, PlanError)  # a trial's own failures whose text says it all


def serve(setup: dict[str, Any]) -> None:
    """Serve trials until the desk closes.

    `setup` holds the desk's name and namespace, the lane's name, the trainable's name, the run's store, the threads a
    worker may use, a reference to the corpus splits, and the exceptions that are no trial's fault (a full disk, say):
    they stop the run instead of failing trial after trial.
    """
    logging.getLogger("ray.train").setLevel(logging.WARNING)  # a trial's log is about the trial
    context = ray.train.get_context()
    rank, size = context.get_world_rank(), context.get_world_size()
    desk = ray.get_actor(setup["desk"], namespace=setup["namespace"])
    try:
        splits: Splits = ray.get(setup["splits"])
        audio = audio_caches(splits)
        build = importlib.import_module(f"trainables.{setup['trainable']}").build
    except Exception:
        ray.get(desk.lane_broken.remote(setup["lane"], traceback.format_exc(), True))
        raise
    device = ray.train.torch.get_device()
    make_task = partial(build, splits=splits, audio=audio, device=device, rank=rank, size=size)
    while True:
        job = from_rank_0(lambda: ray.get(desk.take.remote(setup["lane"])))
        if job["kind"] == "close":
            return
        if job["kind"] == "trial":
            try:
                _serve_one(job, setup=setup, desk=desk, make_task=make_task, rank=rank, size=size)
            except setup["not_a_trials_fault"] as error:
                ray.get(desk.lane_broken.remote(setup["lane"], _in_one_line(error), False))
                raise


def _serve_one(
    job: dict[str, Any], *, setup: dict[str, Any], desk: Any, make_task: Callable[..., Any], rank: int, size: int
) -> None:
    trial_id, attempt, store, init = job["trial_id"], job["attempt"], setup["store"], job["init"]
    failure = None
    with captured_output(store, f"logs/{trial_id}/a{attempt:03d}-{job['hand_out']}-r{rank}.log") as log:
        if rank == 0:
            facts = {"node": socket.gethostname(), "lane": setup["lane"], "pid": os.getpid()}
            ray.get(desk.took.remote(trial_id, facts))
        checkpoints = Checkpoints(store, folder_of(trial_id), attempt)
        try:
            asked = desk.stop_asked.remote(trial_id) if rank == 0 else None

            def report(row: dict[str, Any]) -> Directive:
                answer = ray.get(desk.report.remote(trial_id, row))
                return Directive(stop=answer["stop"], committed=answer["committed"])

            ended = fit(
                build_task=partial(make_task, job["config"], seed=job["seed"]),
                seed=job["seed"],
                seen=job["seen"],
                report=report,
                stopped=lambda: asked is not None and bool(ray.wait([asked], timeout=0)[0]),
                wrap=_wrap,
                checkpoints=checkpoints,
                write_scores=score_writer(store, trial_id=trial_id, attempt=attempt),
                rank=rank,
                threads=setup["threads"],
                after_epoch=log.flush,
                score_test=job["score_test"],
                initial=partial(weights_of, init["store"], init["trial_id"]) if init else None,
            )
            if asked is not None and ended == COMPLETE and ray.get(asked):
                checkpoints.prune(job["config"].epochs)  # the driver has committed the last row
        except Exception as error:
            traceback.print_exc()
            if isinstance(error, setup["not_a_trials_fault"]) or (size > 1 and is_lost_peer(error)):
                # If peers are lost, Ray Train starts a new worker group, to which the desk hands the trial again.
                raise
            # A trial's own failure: said with its traceback, and the lane goes on.
            failure = {"error": _in_one_line(error), "traceback": traceback.format_exc()}
            is_everywhere = isinstance(error, IN_WORDS)  # judged from what all ranks have alike
            if size > 1 and not is_everywhere:
                # The other ranks may be waiting for this one in a collective: only a new group is sure to be in step.
                ray.get(desk.finish.remote(setup["lane"], trial_id, failure))
                raise
    if rank == 0:
        ray.get(desk.finish.remote(setup["lane"], trial_id, failure))


def _wrap(module: nn.Module) -> nn.Module:
    """Ray Train's wrapper: the module on its device, inside DDP when there are several workers."""
    wrapped: nn.Module = ray.train.torch.prepare_model(module)
    return wrapped


def is_lost_peer(error: Exception) -> bool:
    """Whether an error only says that another worker of the lane is gone.

    Gloo has no class for it, so its words must do: they name the transport or the connection.
    """
    return isinstance(error, dist.DistError) or LOST_PEER.search(str(error)) is not None


def _in_one_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    first = text[0] if text else ""
    return first if isinstance(error, IN_WORDS) else f"{type(error).__name__}: {first}"
