"""What would be run: the listings of `voxstudy knobs` and `voxstudy check`, and demands that can never be met.

Nothing here imports torch or Ray: both commands answer at once, on a machine that has neither a GPU nor a cluster.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.distributions import FloatDistribution, IntDistribution
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from search_spaces.knobs import active_knobs, distribution_of, knobs_of
from search_spaces.overrides import is_pairs, is_path
from search_spaces.problems import Problem, StudyError, unknown_name
from search_spaces.ranges import can_yield
from search_spaces.reading import ReadStudy
from search_spaces.registry import CONFIGS
from search_spaces.study import BASELINE, OtherRun, Study
from voxstudy.facts import (
    allowed_values,
    ends_of,
    facts,
    may_have,
    possible_epochs,
    searched_values,
    written_range,
    written_when,
)


def print_knobs(name: str | None, console: Console) -> None:
    """List the knobs of one trainable, or of all; StudyError if there is no such trainable."""
    if name is not None and name not in CONFIGS:
        raise StudyError([unknown_name(f"knobs {name}", "no such trainable", name, list(CONFIGS))])
    for trainable in CONFIGS if name is None else [name]:
        table = Table(title=trainable, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for column, ratio in (("knob", None), ("default", None), ("range", 2), ("when", 3), ("what it is", 4)):
            table.add_column(column, no_wrap=ratio is None, ratio=ratio)
        for knob in knobs_of(CONFIGS[trainable]).values():
            own = written_range(distribution_of(knob)) if knob.has_own_range else allowed_values(knob)
            row = (knob.name, str(knob.default), own, written_when(knob), knob.sentence)
            table.add_row(*map(escape, row))
        console.print(table)


def print_plan(read: ReadStudy, console: Console) -> None:
    """Say what a study would run: arms, search, confirmations, corpora, knobs, resources; then the notes."""
    study = read.study
    console.print(f"[bold]{escape(study.title)}[/bold]")
    lines = Table.grid(padding=(0, 2))
    lines.add_column(no_wrap=True)
    lines.add_column(overflow="fold")
    for label, text in facts(read):
        lines.add_row(label, escape(text))
    console.print(lines)
    if study.search is not None:
        searched = Table(title="searched", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for column in ("knob", "range", "baseline", "when"):
            searched.add_column(column)
        baseline = active_knobs(study.config_of({}))
        for name, distribution in study.space().items():
            base = str(baseline.get(name, "no effect"))
            row = (name, written_range(distribution), base, written_when(study.knobs()[name]))
            searched.add_row(*map(escape, row))
        console.print(searched)
    for note in notes(study):
        console.print(f"[yellow]note[/yellow]: {escape(note)}")


def notes(study: Study) -> list[str]:
    """What is allowed and yet probably not meant."""
    return [
        *_range_notes(study),
        *_effect_notes(study),
        *_alike_notes(study),
        *_seed_notes(study),
        *_stopper_notes(study),
        *_confirm_notes(study),
        *_corpus_notes(study),
    ]


def resource_problems(study: Study, cpus: int, gpus: int, where: str) -> list[Problem]:
    """Demands that can never be met by `cpus` and `gpus` of `where` ("this machine", "the cluster").

    A lane is `workers` workers at once; the speakers of a batch are dealt out to them evenly.
    """
    demand, problems = study.resources, []
    needed = demand.workers * demand.cpus_per_worker
    if needed > cpus:
        rule = (
            f"a lane of {demand.workers} workers x {demand.cpus_per_worker} CPUs needs {needed} CPUs, "
            f"but {where} has {cpus}"
        )
        problems.append(Problem("resources.workers", rule, demand.workers))
    share = demand.gpus_per_worker
    # A worker's share is of one GPU: three workers of 0.6 GPUs need three, although 3 x 0.6 < 2.
    holds = gpus * int(1 / share + 1e-9) if 0 < share <= 1 else int(gpus // share) if share else demand.workers
    if holds < demand.workers:
        rule = f"a lane of {demand.workers} workers x {share:g} GPUs does not fit: {where} has {gpus} GPUs"
        problems.append(Problem("resources.gpus_per_worker", rule, share))
    return [*problems, *_batch_problems(study)]


def _batch_problems(study: Study) -> list[Problem]:
    """Batches that a lane cannot share, of the baseline, the arms and the search; each place once, with its first."""
    workers, baseline, first = study.resources.workers, study.config_of({}), dict[str, Problem]()
    for table, params in _batches(study):
        config = dataclasses.replace(baseline, **params)
        speakers = config.batch_speakers
        if speakers % workers:
            knob = "batch_speakers"
            rule = "`batch_speakers` must be divisible by the workers of a lane"
        elif workers > 1 and config.negatives == "local" and speakers < 2 * workers:
            knob = "negatives" if "negatives" in params and "batch_speakers" not in params else "batch_speakers"
            rule = (
                '`batch_speakers` must be at least twice the workers of a lane with negatives = "local", so that a '
                "worker has someone to tell apart"
            )
        else:
            continue
        place = f"{table if knob in params else 'config'}.{knob}"
        rule += f", but got batch_speakers={speakers}, workers={workers}"
        first.setdefault(place, Problem(place, rule, getattr(config, knob)))
    return list(first.values())


def _batches(study: Study) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tables of a study with what each says of batches; the search with every combination that it may try."""
    yield "config", {}
    for position, arm in enumerate(study.arms, start=1):
        yield f"arm[{position}].config", arm.config
    searched = {name: found for name, found in study.space().items() if name in ("batch_speakers", "negatives")}
    for values in itertools.product(*map(searched_values, searched.values())):
        yield "search.space", dict(zip(searched, values, strict=True))


def _range_notes(study: Study) -> Iterator[str]:
    baseline, knobs = active_knobs(study.config_of({})), study.knobs()
    for name, distribution in study.space().items():
        base, knob = baseline.get(name), knobs[name]
        if base is None:
            continue
        if isinstance(distribution, FloatDistribution | IntDistribution) and knob.log and not distribution.log:
            yield f"{name} is searched linearly, though its own range is logarithmic: add log = true"
        if not can_yield(distribution, base):
            yield f"the range of {name} leaves the baseline out: {base} is not in {written_range(distribution)}"


def _effect_notes(study: Study) -> Iterator[str]:
    """Values that are written and change nothing."""
    configs = {BASELINE: study.config_of({})} | {arm.name: study.config_of(arm.config) for arm in study.arms}
    active = {name: set(active_knobs(config)) for name, config in configs.items()}
    space = study.space()
    for name in study.config:
        parents = study.knobs()[name].when or {}
        if not any(name in names for names in active.values()) and not set(parents) & set(space):
            yield f"the fixed {name} has no effect: it needs {written_when(study.knobs()[name])}"
    for arm in study.arms:
        for name in arm.config:
            if name not in active[arm.name]:
                needs = written_when(study.knobs()[name])
                yield f"{name} of the arm {arm.name!r} has no effect: it needs {needs}"


def _alike_notes(study: Study) -> Iterator[str]:
    """Values that make no difference: trials that have them train as others do."""
    workers, where = study.resources.workers, dict[str, list[str]]()
    for name, params in ((BASELINE, {}), *((arm.name, arm.config) for arm in study.arms)):
        for note in study.config_of(params).notes(workers):
            where.setdefault(note, []).append(name)
    for name, distribution in study.space().items():
        for value in ends_of(distribution):
            for note in study.config_of({name: value}).notes(workers):
                where.setdefault(note, ["the search"])
    yield from (f"{note} ({', '.join(names)})" for note, names in where.items())


def _seed_notes(study: Study) -> Iterator[str]:
    if study.seeds == 1 and (study.arms or study.confirm is not None):
        yield "one seed gives no interval, so that no arm or confirmed config can be found better: add seeds"


def _stopper_notes(study: Study) -> Iterator[str]:
    search = study.search
    if search is None:
        return
    given = search.model_fields_set
    if search.stopper == "none" and given & {"grace", "reduction"}:
        yield "grace and reduction have no effect without a stopper"
    if search.stopper == "median" and "reduction" in given:
        yield "reduction has no effect with the median stopper"
    if search.stopper != "none" and search.grace >= possible_epochs(study)[1]:
        yield f"{search.stopper} never stops a trial: grace = {search.grace} is not under the number of epochs"


def _confirm_notes(study: Study) -> Iterator[str]:
    if study.confirm is not None and study.search is not None and study.confirm.top > study.search.trials:
        yield f"confirm.top = {study.confirm.top} is more than the search's trials, {study.search.trials}"


def _corpus_notes(study: Study) -> Iterator[str]:
    for knob, roles in CONFIGS[study.trainable].needs.items():
        given = [role for role in roles if role in study.corpus]
        if given and not may_have(study, knob, True):
            yield (
                f"{' and '.join(given)} are heard by nothing, as {knob} is true nowhere; yet every worker holds them "
                "in memory, and the run's corpus is another one than without them"
            )
    for arm in study.arms:
        run = arm.init_from.run if isinstance(arm.init_from, OtherRun) else None
        if run is not None and "://" not in run and not Path(run).exists():
            yield f"no such run on this machine: {run} (init_from of {arm.name})"
    lists = [each for each in study.corpus.get("trials", ()) if not is_pairs(each.source)]
    if lists and "test" not in study.corpus:
        yield "trials without test: the list can only be of the official test partition of train, if train has one"
    for role, sources in study.corpus.items():
        for each in sources:
            if is_path(each.source) and not Path(each.source).exists():
                yield f"no such file on this machine: {each.source} (corpus {role})"
