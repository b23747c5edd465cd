"""Checks of knobs: fixed values, searched ranges, knobs without effect, and rules between knobs."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from search_spaces.knobs import Knob, Value, conditions_of, shown
from search_spaces.problems import Problem, nearest_name, unknown_name
from search_spaces.ranges import range_of, range_problems, values_within
from search_spaces.study import Study

MAX_CORNERS = 4096  # combinations of extreme values that are tried for rules between knobs


def table_at(raw: object, key: str) -> Mapping[str, Any]:
    """The table under a key; an empty one where there is none or something else."""
    found = raw.get(key) if isinstance(raw, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def value_problems(values: object, place: str, trainable: str, knobs: Mapping[str, Knob]) -> Iterator[Problem]:
    """What is wrong with fixed values, of [config] or of an arm."""
    for name, value in values.items() if isinstance(values, Mapping) else ():
        knob = knobs.get(name)
        if knob is None:
            yield _unknown_knob(f"{place}.{name}", name, trainable, knobs)
        elif (why := knob.why_not(value)) is not None:
            nearest = nearest_name(value, [str(c) for c in knob.choices or ()]) if isinstance(value, str) else None
            yield Problem(f"{place}.{name}", why, value, knob.choices or (), nearest)


def _unknown_knob(place: str, name: str, trainable: str, knobs: Mapping[str, Knob]) -> Problem:
    rule = f"{trainable} has no knob {name!r}"
    if name in Study.model_fields and nearest_name(name, knobs) is None:
        return Problem(
            place, f"{rule}; as a key of the study it goes to the top of the file, above the first [table]", name
        )
    return unknown_name(place, rule, name, list(knobs))


def space_problems(raw: Mapping[str, Any], trainable: str, knobs: Mapping[str, Knob]) -> Iterator[Problem]:
    """What is wrong with [search.space]."""
    search, config = table_at(raw, "search"), table_at(raw, "config")
    space = table_at(search, "space")
    if isinstance(search.get("space"), Mapping) and not space:
        yield Problem("search.space", "a search needs at least one knob to search", choices=tuple(knobs))
    sound = dict(space)
    for name, entry in space.items():
        if name not in knobs:
            yield _unknown_knob(f"search.space.{name}", name, trainable, knobs)
            sound.pop(name)
            continue
        problems = range_problems(knobs[name], entry)
        if name in config:
            rule = "the knob is searched here and fixed in [config]; take out one of the two"
            problems.append(Problem(name, rule, config[name]))
        if problems:
            sound.pop(name)
        yield from (problem.at("search.space.") for problem in problems)
    if len(sound) == len(space):
        yield from _effect_problems(sound, config, knobs)


def _effect_problems(
    space: Mapping[str, Any], config: Mapping[str, Any], knobs: Mapping[str, Knob]
) -> Iterator[Problem]:
    """Searched knobs that no trial would ever ask for."""
    for name in space:
        for parent, allowed in conditions_of(knobs, name).items():
            if not _can_be(knobs[parent], allowed, space, config):
                value = config.get(parent, knobs[parent].default)
                now = "never has it" if parent in space else f"is {shown(value)}"
                needs = " or ".join(shown(each) for each in allowed)
                rule = f"the knob has no effect in any trial: it needs {parent} = {needs}, but {parent} {now}"
                yield Problem(f"search.space.{name}", f"{rule}; take the knob out of the search", name)
                break


def _can_be(parent: Knob, allowed: tuple[Value, ...], space: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    if parent.name in space:
        return bool(values_within(parent, space[parent.name], allowed))
    value = config.get(parent.name, parent.default)
    return value in allowed or parent.why_not(value) is not None  # a wrong value is reported where it stands


def placed(problem: Problem, values: Mapping[str, Any], table: str) -> Problem:
    """A problem between knobs, put where one of them is written; the knob's own name tells which to change."""
    name = problem.place if problem.place in values else next((n for n in values if n in problem.rule), problem.place)
    return Problem(f"{table}.{name}", problem.rule, problem.value, problem.choices, problem.nearest)


def corner_problems(
    raw: Mapping[str, Any], knobs: Mapping[str, Knob], problems_of: Callable[[Mapping[str, Any]], list[Problem]]
) -> list[Problem]:
    """What is wrong between knobs at the ends of the searched ranges; each place once."""
    space = table_at(table_at(raw, "search"), "space")
    ends: dict[str, list[Any]] = {}
    for name, entry in space.items():
        found: Any = range_of(knobs[name], entry)
        ends[name] = list(found.choices) if hasattr(found, "choices") else [found.low, found.high]
    problems: dict[str, Problem] = {}
    for corner in itertools.islice(itertools.product(*ends.values()), MAX_CORNERS):
        for problem in problems_of(dict(zip(ends, corner, strict=True))):
            at = placed(problem, space, "search.space")
            problems.setdefault(at.place, at)
    return list(problems.values())
