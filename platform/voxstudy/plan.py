"""What would be run: the listings of `voxstudy knobs` and `voxstudy check`, and demands that can never be met.

Nothing here imports torch or Ray: both commands answer at once, on a machine that has neither a GPU nor a cluster.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from search_spaces.knobs import Knob, active_knobs, distribution_of, knobs_of, shown
from search_spaces.overrides import is_path
from search_spaces.problems import Problem, StudyError, unknown_name
from search_spaces.reading import ReadStudy
from search_spaces.registry import CONFIGS
from search_spaces.study import BASELINE, Study


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
    """Say what a study would run: search, arms, fixed knobs, epochs, corpus, resources; then the notes."""
    study = read.study
    console.print(f"[bold]{escape(study.title)}[/bold]")
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True)
    facts.add_column()
    for label, text in _facts(read):
        facts.add_row(label, escape(text))
    console.print(facts)
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
    return [*_range_notes(study), *_effect_notes(study), *_stopper_notes(study), *_corpus_notes(study)]


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
    for place, speakers in _batch_speakers(study):
        if speakers % demand.workers:
            rule = (
                f"`batch_speakers` must be divisible by the workers of a lane, but got batch_speakers={speakers}, "
                f"workers={demand.workers}"
            )
            problems.append(Problem(place, rule, speakers))
    return problems


def written_range(distribution: BaseDistribution) -> str:
    """A range in one line: 0.05 to 1, 0.0001 to 0.01 (log), ap | ce_mixup."""
    if isinstance(distribution, CategoricalDistribution):
        return " | ".join(str(choice) for choice in distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    text = f"{distribution.low:g} to {distribution.high:g}"
    if distribution.log:
        text += " (log)"
    if distribution.step is not None and (isinstance(distribution, FloatDistribution) or distribution.step != 1):
        text += f" in steps of {distribution.step:g}"
    return text


def allowed_values(knob: Knob) -> str:
    """What a knob without a range of its own may be: >= 1, > 0 and <= 1."""
    bounds = ((">=", knob.minimum), (">", knob.above), ("<=", knob.maximum))
    return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)


def written_when(knob: Knob) -> str:
    """What other knobs must be for this one to have an effect: loss = ce_mixup | contrastive_mixup."""
    conditions = (knob.when or {}).items()
    return ", ".join(f"{parent} = {' | '.join(map(str, values))}" for parent, values in conditions)


def _facts(read: ReadStudy) -> Iterator[tuple[str, str]]:
    study, search, demand = read.study, read.study.search, read.study.resources
    yield "study", f"{read.name} ({read.path})"
    yield "trainable", study.trainable
    yield "objective", f"{study.objective[0].goal} {study.objective[0].metric}, on dev, at the last epoch"
    arms = [BASELINE, *(arm.name for arm in study.arms)]
    num_arm_trials = len(arms) * study.seeds
    yield "arms", f"{', '.join(arms)} x {_counted(study.seeds, 'seed')} = {_counted(num_arm_trials, 'trial')}"
    if search is not None:
        stopper = "no early stopping" if search.stopper == "none" else f"stopped early by {search.stopper}"
        yield "search", f"{_counted(search.trials, 'trial')}, asked of {search.sampler}, {stopper}"
    num_trials = num_arm_trials + (search.trials if search is not None else 0)
    least, most = _epochs(study)
    epochs = _counted(most, "epoch") if least == most else f"{least} to {most} epochs"
    yield "trials", f"{num_trials} in all, of {epochs} each: at most {_counted(num_trials * most, 'epoch')}"
    for role, sources in study.corpus.items():
        yield f"corpus {role}", ", ".join(sources)
    if "dev" not in study.corpus:
        yield "corpus dev", "from train: its official partition, else split off by speaker"
    fixed = ", ".join(f"{name} = {shown(value)}" for name, value in study.config.items())
    yield "fixed", fixed or f"nothing: all other knobs have {study.trainable}'s defaults"
    for arm in study.arms:
        yield f"arm {arm.name}", ", ".join(f"{name} = {shown(value)}" for name, value in arm.config.items())
    gpus = f", {demand.gpus_per_worker:g} GPUs" if demand.gpus_per_worker else ""
    lanes = f"at most {_counted(demand.max_lanes, 'lane')}" if demand.max_lanes else "as many lanes as fit"
    each = f"{_counted(demand.workers, 'worker')} x {_counted(demand.cpus_per_worker, 'CPU')}{gpus}"
    yield "resources", f"a lane is {each}; {lanes}"


def _counted(number: int, noun: str) -> str:
    """One trial, 12 trials."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _possible(study: Study, name: str) -> Iterator[tuple[str, int]]:
    """(where it stands, value) of an integer knob in the baseline, the arms and at the ends of the search."""
    yield f"config.{name}", int(getattr(study.config_of({}), name))
    for position, arm in enumerate(study.arms, start=1):
        if name in arm.config:
            yield f"arm[{position}].config.{name}", int(arm.config[name])
    found = study.space().get(name)
    if isinstance(found, CategoricalDistribution):
        yield from ((f"search.space.{name}", int(choice)) for choice in found.choices if choice is not None)
    elif isinstance(found, IntDistribution):
        steps = range(found.low, found.high + 1, found.step)
        yield from ((f"search.space.{name}", value) for value in itertools.islice(steps, 1000))


def _epochs(study: Study) -> tuple[int, int]:
    values = [value for _, value in _possible(study, "epochs")]
    return min(values), max(values)


def _batch_speakers(study: Study) -> list[tuple[str, int]]:
    """Where `batch_speakers` has which value; of several bad values in one place, the first one is enough."""
    first: dict[str, int] = {}
    for place, value in _possible(study, "batch_speakers"):
        if place not in first or first[place] % study.resources.workers == 0:
            first[place] = value
    return list(first.items())


def _range_notes(study: Study) -> Iterator[str]:
    baseline, knobs = active_knobs(study.config_of({})), study.knobs()
    for name, distribution in study.space().items():
        base, knob = baseline.get(name), knobs[name]
        if base is None:
            continue
        if isinstance(distribution, CategoricalDistribution):
            inside = base in distribution.choices
        else:
            assert isinstance(distribution, FloatDistribution | IntDistribution)
            inside = isinstance(base, int | float) and distribution.low <= base <= distribution.high
            if knob.log and not distribution.log:
                yield f"{name} is searched linearly, though its own range is logarithmic: add log = true"
        if not inside:
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


def _stopper_notes(study: Study) -> Iterator[str]:
    search = study.search
    if search is None:
        return
    given = search.model_fields_set
    if search.stopper == "none" and given & {"grace", "reduction"}:
        yield "grace and reduction have no effect without a stopper"
    if search.stopper == "median" and "reduction" in given:
        yield "reduction has no effect with the median stopper"
    if search.stopper != "none" and search.grace >= _epochs(study)[1]:
        yield f"{search.stopper} never stops a trial: grace = {search.grace} is not under the number of epochs"


def _corpus_notes(study: Study) -> Iterator[str]:
    for role, sources in study.corpus.items():
        for source in sources:
            if is_path(source) and not Path(source).exists():
                yield f"no such file on this machine: {source} (corpus {role})"
