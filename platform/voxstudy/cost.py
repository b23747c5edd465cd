"""`voxstudy check --scale`: what a study costs, from its corpus as listed and a step measured on this machine."""

import importlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from search_spaces.reading import ReadStudy
from search_spaces.registry import CONFIGS, Config
from search_spaces.study import BASELINE, Resources, Study
from trainables.batches import PlanError
from trainables.checkpoints import NUM_KEPT
from trainables.corpora.corpus import CorpusError
from trainables.corpora.roles import Expected, expected_of_roles
from trainables.corpora.splits import Assignment, utterances_a_speaker
from trainables.cost import Cost, measure

CACHE_BYTES = 2 << 30  # of audio that a worker keeps for each split at most
GIB, MIB = 1 << 30, 1 << 20
MOST_CACHED = f"at most {3 * CACHE_BYTES / GIB:.0f} GiB of audio"


@dataclass(frozen=True)
class Part:
    """The trials of an arm; or of the search or its confirmations, whose configs are taken to cost as the baseline."""

    name: str
    config: Config
    trials: int
    is_tested: bool = True


def print_cost(read: ReadStudy, console: Console) -> None:
    """Say utterances, steps, memory, disk and hours; what cannot be known here is said so."""
    console.print("measuring a step of the arm paper", highlight=False)
    study = read.study
    demand = study.resources
    cost = measure(
        study.trainable,
        study.config_of({}),
        threads=demand.cpus_per_worker,
        on_gpu=demand.gpus_per_worker > 0,
    )
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True)
    facts.add_column()
    for label, text in cost_facts(study, cost, _listed(study)):
        facts.add_row(label, escape(text))
    console.print(facts)


def cost_facts(study: Study, cost: Cost, listed: Expected | CorpusError) -> Iterator[tuple[str, str]]:
    """The lines: (what, how much)."""
    parts = _parts(study)
    total = sum(part.trials for part in parts)
    yield "net", f"{cost.parameters:,} parameters"
    yield "a step", f"{cost.step_s:.3g} s on one {cost.device} worker, from {100 * cost.share:.3g} % of its utterances"
    cached = MOST_CACHED
    if isinstance(listed, CorpusError):
        yield "corpus", f"cannot be listed here, so steps and hours are unknown: {listed.problems[0]}"
    else:
        for name in ("train", "dev", "test"):
            if rows := getattr(listed.share, name):
                yield name, f"{len(rows):,} utterances of {len(utterances_a_speaker(rows)):,} speakers"
        yield from (("corpus", f"cannot be used: {problem}") for problem in listed.missing)
        cached = _cached_in_words(listed.share, CONFIGS[study.trainable].sample_rate)
    memory = cost.process_bytes + cost.step_bytes / study.resources.workers
    yield "memory", f"{memory / GIB:.2g} GiB for each of the {study.resources.workers} workers of a lane, and {cached}"
    disk = total * NUM_KEPT * cost.checkpoint_bytes
    yield (
        "disk",
        f"{disk / MIB:,.0f} MiB of checkpoints ({total} trials x {NUM_KEPT}); tables are small beside them",
    )
    if isinstance(listed, Expected):
        yield from _time_facts(study, cost, listed, parts)


def _time_facts(study: Study, cost: Cost, listed: Expected, parts: list[Part]) -> Iterator[tuple[str, str]]:
    """Steps and hours: every trial counts to its end, every utterance of a step as much as in one of the arm paper."""
    module = importlib.import_module(f"trainables.{study.trainable}")
    paper = study.config_of({})
    steps, training_s, dev_s, test_s = 0, 0.0, 0.0, 0.0
    for part in parts:
        config, num = part.config, part.trials
        try:
            own_steps = config.epochs * module.steps_of_epoch(config, listed.share.train)
        except PlanError as error:
            yield "steps", f"{part.name} cannot run: {error}"
            return
        steps += num * own_steps
        step_s = cost.step_s * module.utterances_of_step(config) / module.utterances_of_step(paper)
        training_s += num * own_steps * step_s
        dev_s += num * (config.epochs + 1) * listed.dev_scored * cost.utterance_s
        test_s += num * listed.test_scored * cost.utterance_s if part.is_tested else 0
    demand, total = study.resources, sum(part.trials for part in parts)
    training_s, dev_s, test_s = (seconds / demand.workers for seconds in (training_s, dev_s, test_s))
    yield "steps", f"{steps:,} in {total} trials"
    yield "training", f"{_hours(training_s / total)} a trial, {_hours(training_s)} in all"
    dev = f"{listed.dev_scored:,} utterances in pairs, before the first epoch and after each"
    yield "scoring dev", f"{_hours(dev_s / total)} a trial, {_hours(dev_s)} in all: {dev}"
    if listed.test_scored:
        test = f"{listed.test_scored:,} utterances in pairs, once by each trial of an arm or a confirmed config"
        yield "scoring test", f"{_hours(test_s)} in all: {test}"
    yield from _lane_facts(study, cost, training_s + dev_s + test_s, total)


def _lane_facts(study: Study, cost: Cost, seconds: float, total: int) -> Iterator[tuple[str, str]]:
    """The hours of so many trials, in one lane and in as many as this machine holds; and what they leave out."""
    demand = study.resources
    lanes = min(lanes_here(demand, cpus=os.cpu_count() or 1, gpus=torch.cuda.device_count()), total)
    at_once = f"{_hours(seconds / lanes)} in {lanes} at once" if lanes > 1 else "this machine holds one"
    at_once = at_once if lanes else "this machine holds none"
    each = f"{demand.workers} {cost.device} worker{'s' if demand.workers > 1 else ''} as this one"
    yield "hours", f"{_hours(seconds / total)} a trial, {_hours(seconds)} in one lane of {each}; {at_once}"
    if demand.gpus_per_worker and cost.device == "CPU":
        yield "", f"hours of CPU workers: gpus_per_worker = {demand.gpus_per_worker:g}, but there is no GPU to measure"
    yield "", "without the reading of audio; every trial to its end, every crop as dear as one of the arm paper"


def lanes_here(demand: Resources, *, cpus: int, gpus: int) -> int:
    """How many lanes a machine holds at once, as a run counts them; 0 when not even one fits."""
    workers = cpus // demand.cpus_per_worker
    if demand.gpus_per_worker:
        workers = min(workers, int(gpus / demand.gpus_per_worker + 1e-9))
    lanes = workers // demand.workers
    return min(lanes, demand.max_lanes or lanes)


def _parts(study: Study) -> list[Part]:
    """All trials of a study, as far as they can be known before."""
    paper = study.config_of({})
    parts = [Part(BASELINE, paper, study.seeds)]
    parts += [Part(arm.name, study.config_of(arm.config), study.seeds) for arm in study.arms]
    if study.search is not None:
        parts.append(Part("the search", paper, study.search.trials, is_tested=False))
    if study.confirm is not None:
        parts.append(Part("confirmation", paper, study.confirm.top * study.seeds))
    return parts


def _listed(study: Study) -> Expected | CorpusError:
    try:
        return expected_of_roles(study.corpus, sample_rate=CONFIGS[study.trainable].sample_rate)
    except CorpusError as error:  # on a cluster, perhaps, the files are there
        return error


def _cached_in_words(listed: Assignment, sample_rate: int) -> str:
    """How much audio a worker keeps in memory, where the lengths are known without reading it."""
    sizes = [_bytes(rows, sample_rate) for rows in (listed.train, listed.dev, listed.test)]
    if any(size is None for size in sizes):
        return MOST_CACHED
    return f"{sum(min(size or 0, CACHE_BYTES) for size in sizes) / GIB:.2g} GiB of audio"


def _bytes(rows: pa.Table, sample_rate: int) -> int | None:
    promised = pc.round(pc.multiply(rows["duration_s"], float(sample_rate))).cast(pa.int64())
    lengths = pc.coalesce(rows["num_samples"], promised)
    return None if lengths.null_count else 2 * int(pc.sum(lengths, min_count=0).as_py())


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:,.0f} h" if hours >= 10 else f"{hours:.2g} h" if hours >= 1 else f"{seconds / 60:.2g} min"
