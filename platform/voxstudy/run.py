"""`voxstudy run`: from a study and a run directory to tables and a report; it starts, continues and extends."""

import contextlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from rich.console import Console

from reports.page import write_report
from reports.reading import read_run
from reports.store import Store
from reports.tables import TableWriter, next_start
from search_spaces.reading import ReadStudy
from search_spaces.registry import CONFIGS
from trainables.corpora.sources import open_roles
from trainables.corpora.splits import Splits
from voxstudy.agenda import Agenda
from voxstudy.cluster import NAMESPACE, ClusterError, connect, open_desk
from voxstudy.console import Progress
from voxstudy.continuing import refuse_contradictions
from voxstudy.ledger import COMPLETE, FAILED, Ledger, Trial
from voxstudy.lock import driver_lock
from voxstudy.provenance import as_json, code_hash, command, git_state, machine, provenance, versions

REACHED, OURS, USERS, STOPPED = 0, 1, 2, 3  # exit codes

LANES_CLOSE_S = 20.0


@dataclass(frozen=True)
class Outcome:
    """How a start of a run ended."""

    exit_code: int
    words: str


def run_study(read: ReadStudy, run: str, *, allow_code_change: bool, console: Console) -> int:
    """Start, continue or extend a run; returns the exit code.

    Raises ValueError children for whatever the user can mend: a study that contradicts the run, a corpus that cannot be
    read, a cluster that cannot hold a lane, a second driver.
    """
    with driver_lock(run):
        store = Store(run)
        is_new = not store.exists("tables/manifest.json")
        splits = open_corpus(read, console)
        if not is_new:
            refuse_contradictions(read, read_run(run), splits.fingerprint, allow_code_change=allow_code_change)
        ledger = _open_ledger(read, store, splits, is_new=is_new)
        agenda = Agenda(read.study, ledger)
        say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
        say(_opening_words(run, agenda, is_new=is_new))
        outcome = Outcome(REACHED, "the target is reached already")
        if agenda.num_done < agenda.target:
            outcome = _sweep(read, run, ledger, agenda, splits, console)
        else:
            ledger.close_start(_end_row(ledger.start, outcome))
        store.delete_folder(".ray")  # of killed drivers too
        html, markdown = write_report(run)
        say(f"report: {html}\n        {markdown}")
        return outcome.exit_code


def open_corpus(read: ReadStudy, console: Console) -> Splits:
    """Check the corpus of a study, saying what is left out of it."""
    config = CONFIGS[read.study.trainable]

    def progress(done: int, total: int) -> None:
        if done % 1000 == 0 or done == total:
            console.print(f"corpus: {done} of {total} files checked", highlight=False, soft_wrap=True)

    splits = open_roles(read.study.corpus, sample_rate=config.sample_rate, progress=progress)
    for note in splits.notes:
        console.print(f"corpus: {note}", highlight=False, markup=False)
    for bad in splits.rejected:
        console.print(f"left out: {bad.source} row {bad.row}: {bad.path}: {bad.reason}", style="yellow", markup=False)
    if splits.rejected:
        console.print(f"{len(splits.rejected)} bad files left out, {splits.train.table.num_rows} train utterances kept")
    return splits


def _open_ledger(read: ReadStudy, store: Store, splits: Splits, *, is_new: bool) -> Ledger:
    """The run's directory with this start in it, and the ledger over its tables."""
    study = read.study
    start = next_start(store)
    writer = TableWriter(store, start, study.trainable)
    ledger = Ledger(
        study=study,
        fingerprint=splits.fingerprint,
        code_hash=code_hash(),
        writer=writer,
        start=start,
        workers=study.resources.workers,
    )
    if is_new:
        store.write("study.toml", read.source)
        facts = provenance(fingerprint=splits.fingerprint, seed=study.seed, seeds=study.seeds)
        store.write("provenance.json", as_json(facts))
    else:
        ledger.load(read_run(store.uri))
    store.write("resolved.toml", read.resolved.encode())
    for row in _corpus_rows(read, splits):
        writer.append("corpus", {"start": start, **row})
    for bad in splits.rejected:
        row = {"start": start, "source": bad.source, "row": bad.row, "path": bad.path, "reason": bad.reason}
        writer.append("rejected", row)
    writer.append("starts", start_row(start))
    writer.commit()
    return ledger


def start_row(start: int) -> dict[str, Any]:
    """A row of the table `starts`, as far as it is known when the driver starts."""
    commit, diff_hash = git_state()
    return {
        "start": start,
        "revision": 0,
        "time": datetime.now(UTC),
        "command": command(),
        "code_hash": code_hash(),
        "git_commit": commit,
        "diff_hash": diff_hash,
        "versions": json.dumps(versions(), sort_keys=True),
        "machine": json.dumps(machine(), sort_keys=True),
        "pid": os.getpid(),
        "ended": None,
        "outcome": None,
    }


def _end_row(start: int, outcome: Outcome) -> dict[str, Any]:
    return {**start_row(start), "revision": 1, "ended": datetime.now(UTC), "outcome": outcome.words}


def _corpus_rows(read: ReadStudy, splits: Splits) -> list[dict[str, Any]]:
    rows = []
    for role in ("train", "dev"):
        corpus = getattr(splits, role)
        table = corpus.table
        seconds = sum(table["num_samples"].to_pylist()) / corpus.sample_rate
        rows.append(
            {
                "role": role,
                "utterances": table.num_rows,
                "speakers": len(set(table["speaker"].to_pylist())),
                "hours": seconds / 3600,
                "source": ", ".join(read.study.corpus.get(role, read.study.corpus["train"])),
                "fingerprint": corpus.fingerprint,
            }
        )
    return rows


def _opening_words(run: str, agenda: Agenda, *, is_new: bool) -> str:
    if is_new:
        return f"run {run}: {agenda.target} trials to do"
    orphans = agenda.num_orphans
    again = f", {orphans} unfinished ones go on from their checkpoints" if orphans else ""
    return f"run {run}: {agenda.num_done} of {agenda.target} trials done already{again}"


def _sweep(read: ReadStudy, run: str, ledger: Ledger, agenda: Agenda, splits: Splits, console: Console) -> Outcome:
    """Everything that needs Ray: lanes, the desk, Tune's loop."""
    console.print("starting Ray", highlight=False)
    ray = connect()
    # Ray and Train are imported by these modules, so they come after `connect` has had its say.
    from voxstudy.lanes import Lane, cluster_nodes, lanes_that_fit, start_lane
    from voxstudy.tuning import StudyCallback, StudyScheduler, StudySearcher, tune_trials

    scratch = tempfile.mkdtemp(prefix="voxstudy-")
    lanes: list[Lane] = []
    desk = None
    try:
        resources = read.study.resources
        fitting = lanes_that_fit(resources, cluster_nodes())
        if fitting == 0:
            raise ClusterError(_too_large(resources, cluster_nodes()))
        num_lanes = min(fitting, agenda.target - agenda.num_done)
        name = desk_name(run)
        desk = open_desk(ray, name)
        splits_ref = ray.put(splits)
        setup = {
            "desk": name,
            "namespace": NAMESPACE,
            "splits": splits_ref,
            "store": Store(run),
            "trainable": read.study.trainable,
            "threads": max(1, int(resources.cpus_per_worker)),
        }
        storage = Store(run).place(f".ray/{ledger.start:04d}")
        for index in range(num_lanes):
            lanes.append(start_lane(name=f"lane-{index}", resources=resources, setup=setup, storage=storage))
        console.print(
            f"starting {num_lanes} lane{'s' if num_lanes > 1 else ''} of {resources.workers}"
            f" worker{'s' if resources.workers > 1 else ''}",
            highlight=False,
        )
        broken: dict[str, str] = {}

        def committed(epochs: dict[str, int]) -> None:
            broken.update(ray.get(desk.committed.remote(epochs)))

        def watch() -> str | None:
            broken.update(ray.get(desk.committed.remote({})))
            dead = [f"{lane.name}: {lane.errors}" for lane in lanes if not lane.is_alive]
            if broken or len(dead) == len(lanes):
                return "; ".join([*broken.values(), *dead])
            return None

        with Progress(
            study=read.study, ledger=ledger, target=agenda.target, num_done=lambda: agenda.num_done, console=console
        ) as progress:
            tune_trials(
                searcher=StudySearcher(agenda, {"desk": name, "namespace": NAMESPACE}, _job_of),
                scheduler=StudyScheduler(ledger, agenda, lambda key: desk.cancel.remote(key), progress.told),
                callback=StudyCallback(ledger, committed, watch),
                lanes=num_lanes,
                scratch=scratch,
            )
        reason = watch()
        outcome = _outcome(ledger, agenda) if reason is None else Outcome(OURS, f"no lane could be set up: {reason}")
        # Said and written before Ray is left, which takes seconds that `ray job stop` may not grant.
        ledger.close_start(_end_row(ledger.start, outcome))
        done = f"{agenda.num_done} of {agenda.target} trials done"
        console.print(f"{done}: {outcome.words}", highlight=False, markup=False, soft_wrap=True)
        return outcome
    finally:
        _close(desk, lanes, ray)
        shutil.rmtree(scratch, ignore_errors=True)


def _close(desk: Any, lanes: list[Any], ray: Any) -> None:
    """Send the lanes home so that their placement groups end with them, then leave Ray."""
    with contextlib.suppress(Exception):
        if desk is not None:
            ray.get(desk.close.remote(), timeout=5)
        for lane in lanes:
            lane.thread.join(LANES_CLOSE_S)
    ray.shutdown()


def _outcome(ledger: Ledger, agenda: Agenda) -> Outcome:
    if agenda.num_done < agenda.target:
        return Outcome(STOPPED, "stopped before the target; the same command goes on from here")
    if not ledger.in_state(COMPLETE):
        return Outcome(OURS, "every trial failed; `voxstudy logs` shows their tracebacks")
    failed = len(ledger.in_state(FAILED))
    return Outcome(REACHED, "the target is reached" + (f", {failed} failed" if failed else ""))


def _job_of(trial: Trial) -> dict[str, Any]:
    """What a lane needs to run a trial."""
    return {
        "trial_id": trial.trial_id,
        "attempt": trial.attempt,
        "seen": trial.last_epoch,
        "seed": trial.seed,
        "config": trial.config,
    }


def desk_name(run: str) -> str:
    """The desk's name in the cluster: one a run."""
    return f"voxstudy desk of {run if '://' in run else os.path.realpath(run)}"


def _too_large(resources: Any, nodes: list[dict[str, Any]]) -> str:
    has = [
        f"{n['Resources'].get('CPU', 0):g} CPUs and {n['Resources'].get('GPU', 0):g} GPUs" for n in nodes if n["Alive"]
    ]
    return (
        f"resources: a lane must fit into the cluster, but it needs {resources.workers} workers of "
        f"{resources.cpus_per_worker:g} CPUs and {resources.gpus_per_worker:g} GPUs each, "
        f"and the nodes have {', '.join(has)}"
    )
