"""What a study would run, a line each, in the words of `voxstudy check`; and how ranges and conditions are written."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces.knobs import Knob, active_knobs, shown
from search_spaces.overrides import is_pairs
from search_spaces.reading import ReadStudy
from search_spaces.registry import CONFIGS
from search_spaces.study import BASELINE, Arm, Source, Study

COMPARISONS = {
    "paired": "paired: by the differences between trials of the same seed",
    "welch": "welch: by the means over the seeds, as if the seeds had nothing in common",
}
FROM_TRAIN = {
    "dev": "from train: its official partition, else split off by speaker",
    "test": "from train: its official partition, if it has one",
}


def facts(read: ReadStudy) -> Iterator[tuple[str, str]]:
    """What a study would run: a label and a sentence for each line of the plan."""
    study = read.study
    yield "study", f"{read.name} ({read.path})"
    if read.scales:
        yield "scales", ", ".join(read.scales) + (f"; this is {read.scale}" if read.scale else "")
    yield "trainable", study.trainable
    yield "objective", f"{study.objective[0].goal} {study.objective[0].metric}, on dev, at the last epoch"
    yield from _trial_facts(study)
    yield from _corpus_facts(study)
    fixed = _settings(study.config)
    yield "fixed", fixed or f"nothing: all other knobs have {study.trainable}'s defaults"
    for arm in study.arms:
        yield f"arm {arm.name}", "; ".join(filter(None, (_settings(arm.config), _start(arm))))
    if (table := study.table) is not None:
        size = f"{counted(len(table.rows()), 'row')} x {counted(len(table.columns()), 'column')}"
        yield "table", f"{table.caption}: {size}, compared with {table.baseline}"
    demand = study.resources
    gpus = f", {demand.gpus_per_worker:g} GPUs" if demand.gpus_per_worker else ""
    lanes = f"at most {counted(demand.max_lanes, 'lane')}" if demand.max_lanes else "as many lanes as fit"
    each = f"{counted(demand.workers, 'worker')} x {counted(demand.cpus_per_worker, 'CPU')}{gpus}"
    yield "resources", f"a lane is {each}; {lanes}"


def counted(number: int, noun: str) -> str:
    """One trial, 12 trials."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def written_range(distribution: BaseDistribution) -> str:
    """A range in one line: 0.05 to 1, 0.0001 to 0.01 (log), ap | ce_mixup."""
    if isinstance(distribution, CategoricalDistribution):
        return _alternatives(distribution.choices)
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
    return ", ".join(f"{parent} = {_alternatives(values)}" for parent, values in (knob.when or {}).items())


def possible_epochs(study: Study) -> tuple[int, int]:
    """The least and the most epochs that a trial of the study may have."""
    values = [value for _, value in possible_values(study, "epochs")]
    return min(values), max(values)


def possible_values(study: Study, name: str) -> Iterator[tuple[str, int]]:
    """(where it stands, value) of an integer knob in the baseline, the arms and at the ends of the search."""
    yield f"config.{name}", int(getattr(study.config_of({}), name))
    for position, arm in enumerate(study.arms, start=1):
        if name in arm.config:
            yield f"arm[{position}].config.{name}", int(arm.config[name])
    if (found := study.space().get(name)) is not None:
        yield from ((f"search.space.{name}", int(value)) for value in searched_values(found))


def searched_values(distribution: BaseDistribution) -> list[Any]:
    """The values that a range of whole numbers or of choices can yield; of very many, the first thousand."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, IntDistribution), "numbers between its ends cannot be counted"
    return list(range(distribution.low, distribution.high + 1, distribution.step)[:1000])


def ends_of(distribution: BaseDistribution) -> list[Any]:
    """The least and the largest value of a range; all of its choices."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return [distribution.low, distribution.high]


def may_have(study: Study, name: str, value: object) -> bool:
    """Whether the baseline, an arm or a searched config may have this value of a knob with few choices."""
    configs = [study.config_of(params) for params in ({}, *(arm.config for arm in study.arms))]
    searched = study.space().get(name)
    choices = searched.choices if isinstance(searched, CategoricalDistribution) else ()
    return value in choices or any(active_knobs(config).get(name) == value for config in configs)


def _trial_facts(study: Study) -> Iterator[tuple[str, str]]:
    """Arms, search and confirmations, each with its number of trials, and all of them together."""
    search, seeds = study.search, counted(study.seeds, "seed")
    yield "comparison", COMPARISONS[study.comparison]
    arms = [BASELINE, *(arm.name for arm in study.arms)]
    num_trials = len(arms) * study.seeds
    names = ", ".join(f"'{name}'" if "," in name else name for name in arms)
    yield "arms", f"{names} x {seeds} = {counted(num_trials, 'trial')}"
    if search is not None:
        stopper = "no early stopping" if search.stopper == "none" else f"stopped early by {search.stopper}"
        yield "search", f"{counted(search.trials, 'trial')}, asked of {search.sampler}, {stopper}"
        num_trials += search.trials
    if study.confirm is not None:
        top, num_confirmed = study.confirm.top, study.confirm.top * study.seeds
        best = "the best" if top == 1 else f"the {top} best"
        yield "confirm", f"{best} of the search x {seeds} = {counted(num_confirmed, 'trial')}"
        num_trials += num_confirmed
    least, most = possible_epochs(study)
    epochs = counted(most, "epoch") if least == most else f"{least} to {most} epochs"
    yield "trials", f"{num_trials} in all, of {epochs} each: at most {counted(num_trials * most, 'epoch')}"


def _corpus_facts(study: Study) -> Iterator[tuple[str, str]]:
    given = {role: " + ".join(map(_written_source, sources)) for role, sources in study.corpus.items()}
    roles = list(dict.fromkeys(["train", "dev", "test", *given]))
    lists = [each for each in study.corpus.get("trials", ()) if not is_pairs(each.source)]
    uses = {
        "test": "; scored once by each trial of an arm or a confirmed config",
        "trials": "; the pairs of test that are scored" if lists else "; how the pairs of dev and test are made",
    }
    for knob, needed in CONFIGS[study.trainable].needs.items():
        uses |= dict.fromkeys(needed, f"; heard in training where {knob} = true")
    for role in roles:
        yield f"corpus {role}", given.get(role, FROM_TRAIN.get(role, "")) + uses.get(role, "")


def _written_source(source: Source) -> str:
    """A source and what is taken of it: b.csv where gender = F, age 20 to 39."""
    conditions = ", ".join(f"{column} {_written_condition(value)}" for column, value in source.where.items())
    heard = f" heard as {source.condition}" if source.condition else ""
    return f"{source.source}{heard} where {conditions}" if conditions else f"{source.source}{heard}"


def _written_condition(condition: Any) -> str:
    if not isinstance(condition, Mapping):
        return f"= {_alternatives(condition if isinstance(condition, list | tuple) else [condition])}"
    low, high = condition.get("min"), condition.get("max")
    if low is None or high is None:
        return f">= {low}" if high is None else f"<= {high}"
    return f"{low} to {high}"


def _alternatives(values: Sequence[Any]) -> str:
    return " | ".join(map(str, values))


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {shown(value)}" for name, value in values.items())


def _start(arm: Arm) -> str:
    """Whose weights an arm starts from; empty if its seeds draw them."""
    source = arm.init_from
    if source is None:
        return ""
    if isinstance(source, str):
        return f"starts from {source}, seed by seed"
    return f"starts from {f'trial {source.trial}' if source.trial else source.arm} of {source.run}"
