"""The shape of a study file: pydantic's verdict in our words."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from search_spaces.knobs import knobs_of, shown
from search_spaces.problems import Problem, nearest_name, unknown_name
from search_spaces.registry import CONFIGS
from search_spaces.study import (
    TABLE,
    TEXT,
    Arm,
    Confirm,
    Objective,
    OtherRun,
    Resources,
    Scale,
    Search,
    Source,
    Study,
)
from search_spaces.table import Cell, Published, Table

Loc = tuple[int | str, ...]
ANY = "*"  # a name that the study chooses


@dataclass(frozen=True)
class Level:
    """A table of a study file: its path without list positions, the model of its keys, and how a message calls it."""

    path: tuple[str, ...]
    model: type[BaseModel]
    called: str


LEVELS = (
    Level((), Study, "a study"),
    Level(("objective",), Objective, "[objective]"),
    Level(("search",), Search, "[search]"),
    Level(("confirm",), Confirm, "[confirm]"),
    Level(("arm",), Arm, "[arm]"),
    Level(("resources",), Resources, "[resources]"),
    Level(("table",), Table, "[table]"),
    Level(("table", "cell"), Cell, "[[table.cell]]"),
    Level(("table", "cell", "published"), Published, "a published figure"),
    Level(("arm", "init_from"), OtherRun, "init_from"),
    Level(("corpus", ANY), Source, "a source"),
    Level(("scale", ANY, "corpus", ANY), Source, "a source"),
    Level(("scale", ANY), Scale, "a scale"),
)
OBJECTIVE_LINE = 'objective = [{ metric = "eer", goal = "minimize" }]'
RUN_LINE = '{ run = "runs/…", arm = "paper" }'
WORDS: Mapping[str, str] = {
    "string_type": "must be a string",
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "tuple_type": "must be a list",
    "string_too_short": "must not be empty",
}

STUDY_KEYS = {(name,) for name in Study.model_fields}


def shape_problems(raw: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the shape of a study file: types, unknown keys, missing keys, bounds of numbers."""
    try:
        Study.model_validate(dict(raw), by_alias=True, by_name=False)
    except ValidationError as error:
        # A list whose entries are all wrong counts as too short for pydantic; the entries have been named already.
        found = [each for each in error.errors(include_url=False) if each["type"] != "too_short" or not each["input"]]
        # A key of the study below [corpus] is no source with a mistake: corpus_checks says where it goes.
        found = [each for each in found if each["loc"][:1] != ("corpus",) or each["loc"][1:2] not in STUDY_KEYS]
        return [_problem(raw, details) for details in found]
    return []


def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys of a table, as a study file names them."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _problem(raw: Mapping[str, Any], details: ErrorDetails) -> Problem:
    loc = _as_written(raw, details["loc"])
    place, value, kind = place_of(loc), details["input"], details["type"]
    names = tuple(part for part in loc if isinstance(part, str))
    if kind == "extra_forbidden":
        return _unknown_key(raw, place, names)
    if kind == "missing":
        return Problem(place, _missing_rule(names))
    if kind == "literal_error":
        choices = tuple(re.findall(r"'([^']*)'", str(details["ctx"]["expected"])))
        nearest = nearest_name(value, choices) if isinstance(value, str) else None
        return Problem(place, f"must be one of the choices, but got {shown(value)}", value, choices, nearest)
    special = _special_rule(names, value, kind)
    return Problem(
        place, special or f"{_rule(names[-1] if names else '', kind, details)}, but got {shown(value)}", value
    )


def _as_written(raw: Any, loc: Loc) -> Loc:
    """The path in the file: there a source may be a text instead of a table, and stand alone instead of in a list."""
    path: list[int | str] = []
    for part in loc:
        if part in (TEXT, TABLE) and path[-1:] == ["init_from"]:
            continue  # not a key, but which form of init_from was meant
        if part == "source" and isinstance(raw, str):
            break
        if isinstance(part, str):
            raw = raw.get(part) if isinstance(raw, Mapping) else None
        elif isinstance(raw, list):
            raw = raw[part]
        elif not isinstance(raw, str | Mapping):
            continue
        path.append(part)  # of one source that is no list too: it is the first
    return tuple(path)


def place_of(loc: Loc) -> str:
    """A dotted path, list positions counted from 1 as people do: arm[2].name."""
    text = ""
    for part in loc:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _rule(name: str, kind: str, details: ErrorDetails) -> str:
    ctx = details.get("ctx", {})
    bounds: Mapping[str, Callable[[], str]] = {
        "greater_than_equal": lambda: f"`{name} >= {ctx['ge']:g}` must hold",
        "less_than": lambda: f"`{name} < {ctx['lt']:g}` must hold",
        "too_short": lambda: f"must have at least {ctx['min_length']} entry",
        "too_long": lambda: f"must have at most {ctx['max_length']} entry in this version",
    }
    return bounds[kind]() if kind in bounds else WORDS.get(kind, details["msg"])


def _special_rule(names: tuple[str, ...], value: object, kind: str) -> str | None:
    """Mistakes with TOML's brackets, and where more than one form is right."""
    if names == ("objective",) and kind in ("tuple_type", "model_type"):
        return f"must be a list of one table, as {OBJECTIVE_LINE}, but got {shown(value)}"
    if names == ("objective",) and kind == "too_long":
        return "one objective in this version: one metric decides, the others are recorded beside it"
    if names == ("arm",) and kind == "tuple_type" and isinstance(value, Mapping):
        return "arms are a list: write [[arm]] with two brackets"
    if names == ("scale",) or (names[:1] == ("scale",) and len(names) == 2 and kind == "model_type"):
        return f"a scale is a table with a name: write [scale.NAME], but got {shown(value)}"
    if len(names) == 1 and kind in ("dict_type", "model_type") and isinstance(value, list):
        return f"there is one {names[0]}: write [{names[0]}] with one bracket"
    if names[-2:-1] == ("corpus",) and kind == "model_type":
        return f"must be a source or a list of sources, but got {shown(value)}"
    if names == ("arm", "init_from") and kind == "model_type":
        return f"must be the name of another arm or {RUN_LINE}, but got {shown(value)}"
    if names == ("table", "cell") and kind == "tuple_type":
        return "cells are a list: write [[table.cell]] with two brackets"
    return None


def _missing_rule(names: tuple[str, ...]) -> str:
    examples = {
        "title": 'title = "What is asked?"',
        "trainable": f'trainable = "{next(iter(CONFIGS))}"',
        "objective": OBJECTIVE_LINE,
        "corpus": '[corpus] with train = "synthetic"',
        "space": "[search.space] with a line for each searched knob",
        "trials": "trials = 12",
        "top": "top = 3",
        "source": 'source = "…"',
        "run": RUN_LINE.removeprefix("{ ").removesuffix(" }"),
        "caption": 'caption = "What is compared?"',
        "baseline": 'baseline = "…", the row or column that the others are compared with',
        "cell": '[[table.cell]] with row = "…", column = "…", arm = "…"',
        "row": 'row = "…"',
        "mean": "mean = 0.0",
    }
    return f"is missing: write {examples[names[-1]]}" if names[-1] in examples else "is missing"


def _unknown_key(raw: Mapping[str, Any], place: str, names: tuple[str, ...]) -> Problem:
    """An unknown key; where the key is a knob or belongs to another table, say where it goes."""
    above, name = names[:-1], names[-1]
    level = next(each for each in LEVELS if _is_under(above, each.path))
    choices = keys_of(level.model)
    trainable = raw.get("trainable")
    knobs = knobs_of(CONFIGS[trainable]) if isinstance(trainable, str) and trainable in CONFIGS else {}
    rule = f"{level.called} has no such key"
    if level.model is Source:
        rule += "; a condition on a column goes into where = { … }"
    elif name in knobs:
        homes: Mapping[tuple[str, ...], str] = {("search",): "[search.space]", ("arm",): "the arm's config"}
        to = homes.get(above, f"[{'.'.join(above)}.config]" if level.model is Scale else "[config]")
        return Problem(place, f"{rule}; {name!r} is a knob and goes into {to}", name)
    nearest = nearest_name(name, choices)
    if nearest is None and level.model is Scale and name in keys_of(Resources):
        return Problem(place, f"{rule}; it goes into [{'.'.join(above)}.resources]", name)
    home = next((each for each in LEVELS if each is not level and name in keys_of(each.model)), None)
    if nearest is None and home is not None and len(home.path) < 2 and len(above) < 2:
        to = f"into {home.called}" if home.path else "to the top of the file, above the first [table]"
        return Problem(place, f"{rule}; it goes {to}", name)
    return unknown_name(place, rule, name, choices)


def _is_under(names: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return len(names) == len(path) and all(want in (ANY, name) for name, want in zip(names, path, strict=True))
