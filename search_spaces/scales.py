"""Scales: [scale.NAME] put over a study, and what is wrong with the study that comes out."""

from collections.abc import Mapping
from typing import Any

from search_spaces.checks import study_problems
from search_spaces.knob_checks import table_at
from search_spaces.problems import Problem


def scaled(raw: Mapping[str, Any], name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A study file's content with a scale over it, and for each place that the scale wrote where that stands.

    The corpus is put in place of [corpus]; config and resources go over [config] and [resources] value by value, seeds
    and trials over those of the study. A knob that is searched is left alone: `scale_problems` refuses it.
    """
    scale, result = table_at(table_at(raw, "scale"), name), dict(raw)
    written: list[tuple[str, str]] = []
    for key in ("corpus", "seeds"):
        if key in scale:
            result[key] = scale[key]
            written.append((key, key))
    for key in ("config", "resources"):
        below, searched = raw.get(key, {}), _searched(raw) if key == "config" else {}
        values = {each: value for each, value in table_at(scale, key).items() if each not in searched}
        if values and isinstance(below, Mapping):
            result[key] = {**below, **values}
            written += [(f"{key}.{each}", f"{key}.{each}") for each in values]
    if "trials" in scale and isinstance(raw.get("search"), Mapping):
        result["search"] = {**raw["search"], "trials": scale["trials"]}
        written.append(("search.trials", "trials"))
    return result, {inner: f"scale.{name}.{outer}" for inner, outer in written}


def scale_problems(raw: Mapping[str, Any]) -> dict[str, dict[Problem, Problem]]:
    """What is wrong with the study under each of its scales: the problem there, and the same placed in the file.

    Problems that the study has without a scale are left out, unless the scale says the same wrong thing once more.
    """
    plain = {key: value for key, value in raw.items() if key != "scale"}
    scales = table_at(raw, "scale")
    known = set(study_problems(plain)) if scales else set()
    return {name: _problems_under(name, raw, known) for name in scales}


def moved(problem: Problem, places: Mapping[str, str]) -> Problem | None:
    """The problem at the place that really holds what is wrong; None if that is not one of `places`."""
    for inner, outer in places.items():
        if problem.place == inner or problem.place.startswith((f"{inner}.", f"{inner}[")):
            place = outer + problem.place.removeprefix(inner)
            return Problem(place, problem.rule, problem.value, problem.choices, problem.nearest)
    return None


def _problems_under(name: str, raw: Mapping[str, Any], known: set[Problem]) -> dict[Problem, Problem]:
    scale = table_at(table_at(raw, "scale"), name)
    found = [
        Problem(f"scale.{name}.config.{knob}", "the knob is fixed here and searched in [search.space]; take one out")
        for knob in table_at(scale, "config")
        if knob in _searched(raw)
    ]
    if "trials" in scale and "search" not in raw:
        rule = "the study searches nothing, so there is no number of trials to set"
        found.append(Problem(f"scale.{name}.trials", rule, str(scale["trials"])))
    over, places = scaled(raw, name)
    over.pop("scale")
    problems = {problem: problem for problem in found}
    for problem in study_problems(over):
        own = moved(problem, places)
        if own is not None or problem not in known:
            problems[problem] = own if own is not None else problem.at(f"scale.{name}: ")
    return problems


def _searched(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    return table_at(table_at(raw, "search"), "space")
