"""By which knobs arms differ: what a table says of an arm that stands in a cell beside others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from search_spaces.knobs import Value, active_knobs
from search_spaces.study import BASELINE, Study

Knobs = Mapping[str, Value]


def knobs_of_arms(study: Study) -> dict[str, Knobs]:
    """The knobs that have an effect in each arm of a study, by the arm's name; the baseline "paper" is one."""
    params = {BASELINE: {}, **{arm.name: arm.config for arm in study.arms}}
    return {name: active_knobs(study.config_of(values)) for name, values in params.items()}


def differing_knobs(configs: Sequence[Knobs]) -> tuple[str, ...]:
    """The knobs in which some of these configs differ, in the order of the trainable; one without effect differs."""
    names = list(dict.fromkeys(name for config in configs for name in config))
    return tuple(name for name in names if any(config.get(name) != configs[0].get(name) for config in configs))


def setting_of(chosen: str, choices: Iterable[str], knobs: Mapping[str, Knobs]) -> tuple[tuple[str, Value], ...]:
    """What tells the chosen arm from those that it was chosen from: knobs and values; empty if an arm is unknown."""
    names = list(choices)
    if not all(name in knobs for name in names):
        return ()
    differing = differing_knobs([knobs[name] for name in names])
    return tuple((name, knobs[chosen][name]) for name in differing if name in knobs[chosen])
