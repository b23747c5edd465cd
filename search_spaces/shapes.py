"""The shape of a study file: pydantic's verdict in our words."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from search_spaces.knobs import knobs_of, shown
from search_spaces.problems import Problem, nearest_name, unknown_name
from search_spaces.registry import CONFIGS
from search_spaces.study import Arm, Confirm, Objective, Resources, Search, Study

# Which model stands where; list positions are left out of the path.
LEVELS: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): Study,
    ("objective",): Objective,
    ("search",): Search,
    ("confirm",): Confirm,
    ("arm",): Arm,
    ("resources",): Resources,
}
OBJECTIVE_LINE = 'objective = [{ metric = "eer", goal = "minimize" }]'
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


def shape_problems(raw: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the shape of a study file: types, unknown keys, missing keys, bounds of numbers."""
    try:
        Study.model_validate(dict(raw), by_alias=True, by_name=False)
    except ValidationError as error:
        # A list whose entries are all wrong counts as too short for pydantic; the entries have been named already.
        found = [each for each in error.errors(include_url=False) if each["type"] != "too_short" or not each["input"]]
        return [_problem(raw, details) for details in found]
    return []


def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys of a table, as a study file names them."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _problem(raw: Mapping[str, Any], details: ErrorDetails) -> Problem:
    loc = details["loc"]
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


def place_of(loc: tuple[int | str, ...]) -> str:
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
    """The mistakes that people make with TOML's brackets."""
    if names == ("objective",) and kind in ("tuple_type", "model_type"):
        return f"must be a list of one table, as {OBJECTIVE_LINE}, but got {shown(value)}"
    if names == ("objective",) and kind == "too_long":
        return "one objective in this version: one metric decides, the others are recorded beside it"
    if names == ("arm",) and kind == "tuple_type" and isinstance(value, Mapping):
        return "arms are a list: write [[arm]] with two brackets"
    if len(names) == 1 and kind in ("dict_type", "model_type") and isinstance(value, list):
        return f"there is one {names[0]}: write [{names[0]}] with one bracket"
    if names[:1] == ("corpus",) and len(names) == 2 and kind == "tuple_type":
        return f"must be a source or a list of sources, but got {shown(value)}"
    return None


def _missing_rule(names: tuple[str, ...]) -> str:
    examples = {
        "title": 'title = "What is asked?"',
        "trainable": f'trainable = "{next(iter(CONFIGS))}"',
        "objective": OBJECTIVE_LINE,
        "corpus": '[corpus] with train = "synthetic"',
        "space": "[search.space] with a line for each searched knob",
        "trials": "trials = 12",
    }
    return f"is missing: write {examples[names[-1]]}" if names[-1] in examples else "is missing"


def _unknown_key(raw: Mapping[str, Any], place: str, names: tuple[str, ...]) -> Problem:
    """An unknown key; where the key is a knob or belongs to another table, say where it goes."""
    above, name = names[:-1], names[-1]
    choices = keys_of(LEVELS[above])
    trainable = raw.get("trainable")
    knobs = knobs_of(CONFIGS[trainable]) if isinstance(trainable, str) and trainable in CONFIGS else {}
    table = f"[{above[0]}]" if above else "a study"
    rule = f"{table} has no such key"
    if name in knobs:
        to = "[search.space]" if above == ("search",) else "the arm's config" if above == ("arm",) else "[config]"
        return Problem(place, f"{rule}; {name!r} is a knob and goes into {to}", name)
    home = next((other for other, model in LEVELS.items() if other != above and name in keys_of(model)), None)
    nearest = nearest_name(name, choices)
    if home is not None and nearest is None:
        to = f"[{home[0]}]" if home else "the top of the file, above the first [table]"
        return Problem(place, f"{rule}; it goes into {to}" if home else f"{rule}; it goes to {to}", name)
    return unknown_name(place, rule, name, choices)
