"""Checks of [corpus]: its roles, their sources, how pairs are made, and the conditions on a source's columns."""

import math
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from search_spaces.knob_checks import table_at
from search_spaces.knobs import active_knobs, knobs_of, shown
from search_spaces.problems import Problem, nearest_name, unknown_name
from search_spaces.ranges import values_within
from search_spaces.registry import CONFIGS, build_config
from search_spaces.study import ROLES, Study

LAYOUTS: Mapping[str, str] = {"noise": "MUSAN", "rooms": "RIRS_NOISES"}  # roles that are given both or neither
PAIRS = "pairs"  # the source of the role trials that asks for pairs to be made: pairs?balance=gender&most=5000
BALANCE, MOST = "balance", "most"
PAIR_OPTIONS = (BALANCE, MOST)
BALANCES = ("gender",)
LEAST_PAIRS = 10  # fewer would leave a gender without one of a kind
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
            check = _background_problems if role in LAYOUTS else _source_problems
            problems += check(role, sources if isinstance(sources, list) else [sources])
    if "train" not in corpus and not any(problem.nearest == "train" for problem in problems):
        problems.append(Problem("corpus.train", 'is missing: write train = "synthetic" or a manifest'))
    missing = [role for role in LAYOUTS if role in known and role not in corpus]
    if len(missing) == 1 and not any(problem.nearest in missing for problem in problems):
        (given,) = LAYOUTS.keys() - missing
        rule = f"needs the role {missing[0]} beside it: {_form(missing[0])}"
        problems.append(Problem(f"corpus.{given}", rule, corpus[given]))
    return problems


def need_problems(raw: Mapping[str, Any]) -> list[Problem]:
    """Knobs that are on, in the baseline, in an arm or somewhere in the search, without the roles that they need.

    For a study without other problems.
    """
    trainable, config = raw["trainable"], table_at(raw, "config")
    knobs, space = knobs_of(CONFIGS[trainable]), table_at(table_at(raw, "search"), "space")
    arms = [(f"arm[{n}].config", table_at(arm, "config")) for n, arm in enumerate(raw.get("arm", ()), start=1)]
    problems = []
    for name, roles in CONFIGS[trainable].needs.items():
        if all(role in raw["corpus"] for role in roles):
            continue
        rule = f"needs the roles {' and '.join(roles)} in [corpus]"
        if layouts := [LAYOUTS[role] for role in roles if role in LAYOUTS]:
            rule += f': "synthetic", or folders as {" and ".join(layouts)}'
        for table, values in (("config", {}), *arms):
            if active_knobs(build_config(trainable, {**config, **values})).get(name):
                problems.append(Problem(f"{table if name in values else 'config'}.{name}", rule, True))
        if name in space and values_within(knobs[name], space[name], (True,)):
            problems.append(Problem(f"search.space.{name}", rule, True))
    return problems


def pair_option_problems(text: str) -> list[str]:
    """What is wrong with the options of a source that asks for pairs, each in a sentence.

    >>> pair_option_problems("pairs?most=5")
    ["most is a whole number of at least 10, but got '5'"]
    """
    given = parse_qsl(text.partition("?")[2], keep_blank_values=True)
    names = [name for name, _ in given]
    problems = [
        f"no option '{name}'; options: {', '.join(PAIR_OPTIONS)}{_meant(name, PAIR_OPTIONS)}"
        for name in names
        if name not in PAIR_OPTIONS
    ]
    for name, value in given:
        if name == BALANCE and value not in BALANCES:
            known = f"is one of {', '.join(BALANCES)}"
            problems.append(f"{BALANCE} {known}, but got '{value}'{_meant(value, BALANCES)}")
        if name == MOST and not (value.isdecimal() and value.isascii() and int(value) >= LEAST_PAIRS):
            problems.append(f"{MOST} is a whole number of at least {LEAST_PAIRS}, but got '{value}'")
    return problems + [
        f"option '{name}' is there {names.count(name)} times" for name in PAIR_OPTIONS if names.count(name) > 1
    ]


def _meant(name: str, names: tuple[str, ...]) -> str:
    nearest = nearest_name(name, names)
    return f"; did you mean '{nearest}'?" if nearest is not None else ""


def _form(role: str) -> str:
    return f'"synthetic" or a folder as {LAYOUTS[role]}'


def _background_problems(role: str, sources: list[Any]) -> Iterator[Problem]:
    """What is wrong with noise or rooms: one place of recordings, all of them taken as they are."""
    if len(sources) > 1:
        yield Problem(f"corpus.{role}", f"must be one source, {_form(role)}, but got {len(sources)}", sources)
    for position, source in enumerate(sources, start=1):
        place = f"corpus.{role}[{position}]"
        table = source if isinstance(source, Mapping) else {"source": source}
        for key in ("where", "condition"):
            if key in table:
                yield Problem(f"{place}.{key}", f"{role} is taken as it is; leave out its {key}", table[key])
        text = table.get("source")
        if isinstance(text, str) and "://" in text:
            yield Problem(place, f"must be {_form(role)} on this machine, but got the URI {text}", text)
        elif isinstance(text, str) and text.startswith("synthetic?"):
            yield Problem(place, f'must be {_form(role)}; what is made has no options: write "synthetic"', text)
        elif isinstance(text, str) and text.partition("?")[0] == PAIRS:
            yield Problem(place, f"must be {_form(role)}; pairs are a source of the role trials", text)


def _source_problems(role: str, sources: list[Any]) -> Iterator[Problem]:
    for position, source in enumerate(sources, start=1):
        text = source.get("source") if isinstance(source, Mapping) else source
        if role == "trials" and isinstance(text, str) and text.partition("?")[0] == PAIRS:
            for rule in pair_option_problems(text):
                yield Problem(f"corpus.{role}[{position}]", f"{text}: {rule}", text)
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
