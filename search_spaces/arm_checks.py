"""Checks of arms: names, configs, whose weights they start from, and that no two are the same."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from search_spaces.identity import config_id
from search_spaces.knob_checks import placed, table_at, value_problems
from search_spaces.knobs import Knob
from search_spaces.problems import Problem, unknown_name
from search_spaces.registry import build_config
from search_spaces.study import BASELINE

NUMBERED = re.compile(r"(#|trial |config )\d+")


def arm_names(raw: Mapping[str, Any]) -> list[str]:
    """The names that other parts of a study may use for its arms, the baseline's first."""
    return list(dict.fromkeys([BASELINE, *(arm["name"] for arm in _arms(raw) if isinstance(arm.get("name"), str))]))


def arm_problems(raw: Mapping[str, Any], trainable: str, knobs: Mapping[str, Knob]) -> Iterator[Problem]:
    """What is wrong with each arm."""
    seen: set[str] = set()
    for position, arm in enumerate(_arms(raw), start=1):
        place, name = f"arm[{position}]", arm.get("name")
        if name == BASELINE:
            rule = f"the arm {BASELINE!r} is always there, it is the baseline; give this one another name"
            yield Problem(f"{place}.name", rule, name)
        elif isinstance(name, str) and NUMBERED.fullmatch(name):
            rule = f"configs of the search are called so; give this arm another name than {name!r}"
            yield Problem(f"{place}.name", rule, name)
        elif isinstance(name, str) and name in seen:
            yield Problem(f"{place}.name", f"every arm has a name of its own, but {name!r} comes twice", name)
        if isinstance(name, str):
            seen.add(name)
        yield from value_problems(table_at(arm, "config"), f"{place}.config", trainable, knobs)
        others = [other for other in arm_names(raw) if other != name]
        yield from _initial_problems(arm.get("init_from"), f"{place}.init_from", others, name)
    yield from _circle_problems(raw)


def same_config_problems(raw: Mapping[str, Any]) -> list[Problem]:
    """Rules between knobs that the baseline or an arm breaks, and arms that are the same as an earlier one.

    For a study without other problems.
    """
    trainable, config = raw["trainable"], dict(table_at(raw, "config"))
    problems = [placed(problem, config, "config") for problem in build_config(trainable, config).problems()]
    rules = {problem.rule for problem in problems}
    ids = {config_id(trainable, build_config(trainable, config)): BASELINE}
    for position, arm in enumerate(_arms(raw), start=1):
        own = dict(table_at(arm, "config"))
        built = build_config(trainable, {**config, **own})
        for problem in built.problems():
            if problem.rule not in rules:
                problems.append(placed(problem, own, f"arm[{position}].config"))
        source = arm.get("init_from")
        initial = {"arm": source} if isinstance(source, str) else source
        other = ids.setdefault(config_id(trainable, built, initial), arm["name"])
        if other != arm["name"]:
            rule = f"is the same configuration as the arm {other!r}: no knob that has an effect differs"
            problems.append(Problem(f"arm[{position}]", rule, own))
    return problems


def _arms(raw: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The arms, with an empty table in place of whatever is none."""
    arms = raw.get("arm")
    return [arm if isinstance(arm, Mapping) else {} for arm in arms] if isinstance(arms, list) else []


def _initial_problems(source: object, place: str, names: list[str], own: object) -> Iterator[Problem]:
    if isinstance(source, str) and source and source not in names and source != own:
        yield unknown_name(place, f"no arm {source!r}", source, names)
    given = [key for key in ("arm", "trial") if key in source] if isinstance(source, Mapping) else None
    if given is not None and len(given) != 1:
        got = "both" if given else "neither"
        rule = f"either arm = … (the trial of the same seed) or trial = … (one for all seeds), but got {got}"
        yield Problem(place, rule, source)


def _circle_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Arms that wait for each other; each circle once, at its first arm."""
    sources = {arm["name"]: arm.get("init_from") for arm in reversed(_arms(raw)) if isinstance(arm.get("name"), str)}
    reported: set[str] = set()
    for position, arm in enumerate(_arms(raw), start=1):
        name = arm.get("name")
        chain = [name] if isinstance(name, str) else []
        while chain and isinstance(source := sources.get(chain[-1]), str) and source not in chain:
            chain.append(source)
        if chain and sources.get(chain[-1]) == name and name not in reported:
            reported |= set(chain)
            steps = ", ".join(f"{one!r} from {sources[one]!r}" for one in chain)
            rule = "an arm cannot start from itself" if len(chain) == 1 else f"the arms wait for each other: {steps}"
            yield Problem(f"arm[{position}].init_from", rule, sources[chain[0]])
