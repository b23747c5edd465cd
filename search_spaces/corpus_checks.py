"""Checks of [corpus]: its roles, their sources, and the conditions on a source's columns."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from search_spaces.knobs import shown
from search_spaces.problems import Problem, unknown_name
from search_spaces.registry import CONFIGS
from search_spaces.study import ROLES, Study

BOUNDS = ("min", "max")
CONDITION = "a value, a list of values or { min = …, max = … }"


def role_problems(raw: Mapping[str, Any], trainable: str | None) -> list[Problem]:
    """What is wrong with the roles of a study; `trainable` is None where it is not known."""
    corpus = raw.get("corpus")
    if not isinstance(corpus, Mapping):
        return []
    known = CONFIGS[trainable].roles if trainable is not None else ROLES
    problems = []
    for role, sources in corpus.items():
        if role in Study.model_fields:
            rule = "no role, but a key of the study; it goes to the top of the file, above the first [table]"
            problems.append(Problem(f"corpus.{role}", rule, sources))
        elif role not in ROLES:
            problems.append(unknown_name(f"corpus.{role}", f"no role {role!r}", role, known))
        elif role not in known:
            rule = f"{trainable} makes no use of the role {role!r} in this version; leave it out"
            problems.append(Problem(f"corpus.{role}", rule, sources, known))
        else:
            problems += _source_problems(role, sources if isinstance(sources, list) else [sources])
    if "train" not in corpus and not any(problem.nearest == "train" for problem in problems):
        problems.append(Problem("corpus.train", 'is missing: write train = "synthetic" or a manifest'))
    return problems


def _source_problems(role: str, sources: list[Any]) -> Iterator[Problem]:
    for position, source in enumerate(sources, start=1):
        if role == "trials" and isinstance(source, Mapping) and "condition" in source:
            rule = "a list of trial pairs is not heard; the condition goes to the role test"
            yield Problem(f"corpus.{role}[{position}].condition", rule, source["condition"])
        conditions = source.get("where") if isinstance(source, Mapping) else None
        if not isinstance(conditions, Mapping):
            continue
        place = f"corpus.{role}[{position}].where"
        if role == "trials":
            rule = "a list of trial pairs cannot be filtered; filter the utterances of the role test"
            yield Problem(place, rule, conditions)
            continue
        for column, condition in conditions.items():
            yield from _condition_problems(f"{place}.{column}", condition)


def _condition_problems(place: str, condition: object) -> Iterator[Problem]:
    if isinstance(condition, Mapping):
        yield from _bounds_problems(place, condition)
    elif not isinstance(condition, list):
        yield from _value_problems(place, condition, CONDITION)
    elif not condition:
        yield Problem(place, "must have at least one value, but got []", condition)
    else:
        for position, value in enumerate(condition, start=1):
            yield from _value_problems(f"{place}[{position}]", value, "a string, a number, true or false")


def _value_problems(place: str, value: object, wanted: str) -> Iterator[Problem]:
    if not isinstance(value, str | int | float):
        yield Problem(place, f"must be {wanted}, but got {shown(value)}", value)
    elif isinstance(value, float) and not math.isfinite(value):
        yield Problem(place, f"must be a finite number, but got {value}", value)


def _bounds_problems(place: str, bounds: Mapping[str, Any]) -> Iterator[Problem]:
    unknown = [key for key in bounds if key not in BOUNDS]
    for key in unknown:
        yield unknown_name(f"{place}.{key}", "a condition knows no such key", key, BOUNDS)
    wrong = [key for key in BOUNDS if key in bounds and not _is_number(bounds[key])]
    for key in wrong:
        yield Problem(f"{place}.{key}", f"must be a finite number, but got {shown(bounds[key])}", bounds[key])
    if not bounds:
        yield Problem(place, f"must be {CONDITION}, but got an empty table", bounds)
    elif not unknown and not wrong and len(bounds) == len(BOUNDS) and bounds["min"] > bounds["max"]:
        rule = f"`min <= max` must hold, but got min={bounds['min']}, max={bounds['max']}"
        yield Problem(place, rule, bounds)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
