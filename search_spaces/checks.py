"""The meaning of a study file: do the trainable, metric, roles and knobs exist, and do their values go together.

Every check looks only at what has the right shape and leaves the rest to `search_spaces.shapes`, so that all mistakes
of a file are found in one go. Places are dotted paths inside the file.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from search_spaces.identity import config_id
from search_spaces.knobs import Knob, Value, knobs_of, shown
from search_spaces.problems import Problem, nearest_name, unknown_name
from search_spaces.ranges import range_of, range_problems, values_within
from search_spaces.registry import CONFIGS, Config, build_config
from search_spaces.study import BASELINE, ROLES, Study

MAX_CORNERS = 4096  # combinations of extreme values that are tried for rules between knobs
UNSUPPORTED = {"confirm": "confirming the best configs", "table": "tables of arms", "scale": "scales"}


def meaning_problems(raw: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with a study file beyond its shape."""
    problems = [
        Problem(key, f"{what} is not supported by this version yet; leave [{key}] out")
        for key, what in UNSUPPORTED.items()
        if key in raw
    ]
    trainable = raw.get("trainable")
    if not isinstance(trainable, str):
        return problems + _role_problems(raw, None)
    if trainable not in CONFIGS:
        problems.append(unknown_name("trainable", f"no trainable {trainable!r}", trainable, list(CONFIGS)))
        return problems + _role_problems(raw, None)
    config_type = CONFIGS[trainable]
    knobs = knobs_of(config_type)
    problems += _objective_problems(raw, trainable, config_type)
    problems += _role_problems(raw, trainable)
    problems += _value_problems(raw.get("config"), "config", trainable, knobs)
    problems += _arm_problems(raw, trainable, knobs)
    problems += _space_problems(raw, trainable, knobs)
    problems += _resource_problems(raw)
    return problems


def _table(raw: object, key: str) -> Mapping[str, Any]:
    found = raw.get(key) if isinstance(raw, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _objective_problems(raw: Mapping[str, Any], trainable: str, config_type: type[Config]) -> Iterator[Problem]:
    entries = raw.get("objective")
    for position, entry in enumerate(entries if isinstance(entries, list) else [], start=1):
        metric, goal = (entry.get("metric"), entry.get("goal")) if isinstance(entry, Mapping) else (None, None)
        if not isinstance(metric, str) or not metric:
            continue
        better = config_type.metrics.get(metric)
        if better is None:
            rule = f"{trainable} has no metric {metric!r}"
            yield unknown_name(f"objective[{position}].metric", rule, metric, list(config_type.metrics))
        elif goal in ("minimize", "maximize") and goal != better:
            word = "less" if better == "minimize" else "more"
            rule = f'{word} {metric} is better: write goal = "{better}"'
            yield Problem(f"objective[{position}].goal", rule, goal)


def _role_problems(raw: Mapping[str, Any], trainable: str | None) -> list[Problem]:
    corpus = raw.get("corpus")
    if not isinstance(corpus, Mapping):
        return []
    known = CONFIGS[trainable].roles if trainable is not None else ROLES
    problems = []
    for role in corpus:
        if role not in ROLES:
            problems.append(unknown_name(f"corpus.{role}", f"no role {role!r}", role, known))
        elif role not in known:
            rule = f"{trainable} makes no use of the role {role!r} in this version; leave it out"
            problems.append(Problem(f"corpus.{role}", rule, corpus[role], known))
    if "train" not in corpus and not any(problem.nearest == "train" for problem in problems):
        problems.append(Problem("corpus.train", 'is missing: write train = "synthetic" or a manifest'))
    return problems


def _value_problems(values: object, place: str, trainable: str, knobs: Mapping[str, Knob]) -> Iterator[Problem]:
    """Fixed values, of [config] or of an arm."""
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


def _arm_problems(raw: Mapping[str, Any], trainable: str, knobs: Mapping[str, Knob]) -> Iterator[Problem]:
    seen: set[str] = set()
    arms = raw.get("arm")
    for position, arm in enumerate(arms if isinstance(arms, list) else [], start=1):
        name = arm.get("name") if isinstance(arm, Mapping) else None
        if name == BASELINE:
            rule = f"the arm {BASELINE!r} is always there, it is the baseline; give this one another name"
            yield Problem(f"arm[{position}].name", rule, name)
        elif isinstance(name, str) and name in seen:
            yield Problem(f"arm[{position}].name", f"every arm has a name of its own, but {name!r} comes twice", name)
        if isinstance(name, str):
            seen.add(name)
        yield from _value_problems(_table(arm, "config"), f"arm[{position}].config", trainable, knobs)


def _space_problems(raw: Mapping[str, Any], trainable: str, knobs: Mapping[str, Knob]) -> Iterator[Problem]:
    search, config = _table(raw, "search"), _table(raw, "config")
    space = _table(search, "space")
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
    reachable: set[str] = set()  # knobs that have an effect in some trial
    for name, knob in knobs.items():
        unmet = [
            (parent, allowed)
            for parent, allowed in (knob.when or {}).items()
            if parent not in reachable or not _can_be(knobs[parent], allowed, space, config)
        ]
        if not unmet:
            reachable.add(name)
        elif name in space:
            parent, allowed = unmet[0]
            now = "is searched" if parent in space else f"is {shown(config.get(parent, knobs[parent].default))}"
            needs = " or ".join(shown(value) for value in allowed)
            rule = f"the knob has no effect in any trial: it needs {parent} = {needs}, but {parent} {now}"
            if parent not in reachable:
                rule = f"the knob has no effect in any trial, because {parent} has none"
            yield Problem(f"search.space.{name}", f"{rule}; take the knob out of the search", name)


def _can_be(parent: Knob, allowed: tuple[Value, ...], space: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    if parent.name in space:
        return bool(values_within(parent, space[parent.name], allowed))
    value = config.get(parent.name, parent.default)
    return value in allowed or parent.why_not(value) is not None  # a wrong value is reported where it stands


def _resource_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    gpus = _table(raw, "resources").get("gpus_per_worker")
    if isinstance(gpus, float) and gpus > 1 and not gpus.is_integer():
        rule = f"a share of one GPU (up to 1) or whole GPUs, but got {gpus}"
        yield Problem("resources.gpus_per_worker", rule, gpus)


def together_problems(raw: Mapping[str, Any]) -> list[Problem]:
    """What is wrong between values that are each fine alone: only for a file without other problems.

    Rules between knobs hold in the baseline, in every arm and in every corner of the search; no two arms are the same.
    """
    trainable = raw["trainable"]
    knobs = knobs_of(CONFIGS[trainable])
    config = dict(_table(raw, "config"))
    problems = [_placed(problem, config, "config") for problem in build_config(trainable, config).problems()]
    rules = {problem.rule for problem in problems}
    ids = {config_id(trainable, build_config(trainable, config)): BASELINE}
    for position, arm in enumerate(raw.get("arm", []), start=1):
        own = dict(_table(arm, "config"))
        built = build_config(trainable, {**config, **own})
        for problem in built.problems():
            if problem.rule not in rules:
                problems.append(_placed(problem, own, f"arm[{position}].config"))
        other = ids.setdefault(config_id(trainable, built), arm["name"])
        if other != arm["name"]:
            rule = f"is the same configuration as the arm {other!r}: no knob that has an effect differs"
            problems.append(Problem(f"arm[{position}]", rule, own))
    if not problems:
        problems += _corner_problems(
            raw, knobs, lambda values: build_config(trainable, {**config, **values}).problems()
        )
    return problems


def _placed(problem: Problem, values: Mapping[str, Any], table: str) -> Problem:
    """A problem between knobs, put where one of them is written; the knob's own name tells which to change."""
    name = problem.place if problem.place in values else next((n for n in values if n in problem.rule), problem.place)
    return Problem(f"{table}.{name}", problem.rule, problem.value, problem.choices, problem.nearest)


def _corner_problems(
    raw: Mapping[str, Any], knobs: Mapping[str, Knob], problems_of: Callable[[Mapping[str, Any]], list[Problem]]
) -> list[Problem]:
    """What is wrong between knobs at the ends of the searched ranges; each place once."""
    space = _table(_table(raw, "search"), "space")
    ends: dict[str, list[Any]] = {}
    for name, entry in space.items():
        found: Any = range_of(knobs[name], entry)
        ends[name] = list(found.choices) if hasattr(found, "choices") else [found.low, found.high]
    problems: dict[str, Problem] = {}
    for corner in itertools.islice(itertools.product(*ends.values()), MAX_CORNERS):
        for problem in problems_of(dict(zip(ends, corner, strict=True))):
            placed = _placed(problem, space, "search.space")
            problems.setdefault(placed.place, placed)
    return list(problems.values())
