"""One line of [search.space]: `true` (the knob's own range), { low, high, log, step } or { choices = […] }."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces.knobs import Knob, Value, distribution_of, shown
from search_spaces.problems import Problem, unknown_name

KEYS = ("low", "high", "log", "step", "choices")


def range_problems(knob: Knob, entry: object) -> list[Problem]:
    """Everything wrong with a study's line about one searched knob; a problem's place starts with the knob's name."""
    if entry is True:
        if knob.has_own_range:
            return []
        rule = f"the knob has no range of its own, so `true` says nothing; give one, as {_example(knob)}"
        return [Problem(knob.name, rule, entry)]
    if not isinstance(entry, Mapping):
        return [Problem(knob.name, _shape_rule(knob, entry), entry)]
    unknown = [key for key in entry if key not in KEYS]
    if unknown:
        rule = "a range knows no such key"
        return [unknown_name(f"{knob.name}.{key}", rule, str(key), KEYS) for key in unknown]
    if "choices" in entry:
        return _choices_problems(knob, entry)
    return _interval_problems(knob, entry)


def range_of(knob: Knob, entry: Any) -> BaseDistribution:
    """The distribution that a line without problems stands for."""
    if entry is True:
        return distribution_of(knob)
    if "choices" in entry:
        return CategoricalDistribution([knob.cast(choice) for choice in entry["choices"]])
    log, step = bool(entry.get("log", False)), entry.get("step")
    if knob.type is int:
        return IntDistribution(entry["low"], entry["high"], log=log, step=step or 1)
    return FloatDistribution(float(entry["low"]), float(entry["high"]), log=log, step=step)


def written_out(knob: Knob, entry: Any) -> dict[str, Any]:
    """The line with nothing implied: the same range whatever the knob's own range will be one day."""
    found = range_of(knob, entry)
    if isinstance(found, CategoricalDistribution):
        return {"choices": list(found.choices)}
    assert isinstance(found, IntDistribution | FloatDistribution)
    table: dict[str, Any] = {"low": found.low, "high": found.high}
    if found.log:
        table["log"] = True
    if found.step not in (None, 1) or (knob.type is float and found.step is not None):
        table["step"] = found.step
    return table


def _example(knob: Knob) -> str:
    """A line that would be right for this knob."""
    if knob.choices is not None:
        return f"{{ choices = {shown(knob.choices)} }}"
    if knob.low is not None:
        return f"{{ low = {knob.low:g}, high = {knob.high:g}{', log = true' if knob.log else ''} }}"
    return "{ low = …, high = … }"


def _shape_rule(knob: Knob, entry: object) -> str:
    if entry is False:
        return "must be true or a table; to leave a knob out of the search, leave out its line"
    if isinstance(entry, list):
        table = f"{{ choices = {shown(entry)} }}"
        if len(entry) == 2 and knob.choices is None and all(isinstance(bound, int | float) for bound in entry):
            table = f"{{ low = {shown(entry[0])}, high = {shown(entry[1])} }} or {table}"
        return f"must be true or a table: write {table}"
    if not isinstance(entry, bool) and knob.why_not(entry) is None:
        return f"must be true or a table, but got {shown(entry)}; one fixed value goes into [config]"
    return f"must be true or a table, as {_example(knob)}, but got {shown(entry)}"


def _choices_problems(knob: Knob, entry: Mapping[str, Any]) -> list[Problem]:
    place, choices = f"{knob.name}.choices", entry["choices"]
    others = [key for key in entry if key != "choices"]
    if others:
        return [
            Problem(knob.name, f"either `choices` or a range, but got choices and {', '.join(others)}", dict(entry))
        ]
    if not isinstance(choices, list | tuple):
        return [Problem(place, f"must be a list, as {_example(knob)}, but got {shown(choices)}", choices)]
    problems = [
        Problem(place, why, choice, knob.choices or (), _nearest_choice(knob, choice))
        for choice in choices
        if (why := knob.why_not(choice)) is not None
    ]
    if not problems and len(set(choices)) < len(choices):
        problems.append(Problem(place, f"every choice once, but got {shown(choices)}", choices))
    elif not problems and len(choices) < 2:
        rule = f"a search needs at least two choices, but got {shown(choices)}; one fixed value goes into [config]"
        problems.append(Problem(place, rule, choices))
    return problems


def _nearest_choice(knob: Knob, choice: object) -> str | None:
    return unknown_name("", "", str(choice), [str(known) for known in knob.choices or ()]).nearest


def _interval_problems(knob: Knob, entry: Mapping[str, Any]) -> list[Problem]:
    if knob.choices is not None:
        rule = f"the knob has choices, no range: write true or {_example(knob)}"
        return [Problem(knob.name, rule, dict(entry), knob.choices)]
    missing = [bound for bound in ("low", "high") if bound not in entry]
    if missing:
        return [Problem(knob.name, f"needs low and high, but {' and '.join(missing)} is missing", dict(entry))]
    problems = [
        Problem(f"{knob.name}.{bound}", why, entry[bound])
        for bound in ("low", "high")
        if (why := knob.why_not(entry[bound])) is not None
    ]
    log, step = entry.get("log", False), entry.get("step")
    if not isinstance(log, bool):
        problems.append(Problem(f"{knob.name}.log", f"must be true or false, but got {shown(log)}", log))
    if step is not None and (not knob.accepts_type(step) or not math.isfinite(step) or step <= 0):
        kind = "a positive integer" if knob.type is int else "a positive number"
        problems.append(Problem(f"{knob.name}.step", f"must be {kind}, but got {shown(step)}", step))
    return problems or _bounds_problems(knob, entry["low"], entry["high"], log=log, step=step)


def _bounds_problems(knob: Knob, low: Any, high: Any, *, log: bool, step: Any) -> list[Problem]:
    """What may be wrong between bounds that are each fine alone."""
    if low >= high:
        return [
            Problem(knob.name, f"`low < high` must hold, but got low={low}, high={high}", {"low": low, "high": high})
        ]
    problems = []
    if log and low <= 0:
        problems.append(Problem(knob.name, f"`low > 0` must hold where log = true, but got low={low}", low))
    if log and step is not None and step != 1:
        problems.append(Problem(knob.name, f"either log = true or a step, but got both, step={step}", step))
    elif step is not None and not _is_whole_number((_exact(high) - _exact(low)) / _exact(step)):
        rule = f"`high` must be `low` plus whole steps, but got low={low}, high={high}, step={step}"
        problems.append(Problem(knob.name, rule, step))
    return problems


def _exact(number: float) -> Fraction:
    """The number as it is written: 0.1 is a tenth here, so that 0.1 + 9 x 0.1 is 1."""
    return Fraction(repr(number))


def _is_whole_number(ratio: Fraction) -> bool:
    return ratio.denominator == 1 and ratio >= 1


def values_within(knob: Knob, entry: Any, wanted: Sequence[Value]) -> list[Value]:
    """Which of the `wanted` values a line without problems can yield."""
    found = range_of(knob, entry)
    return [value for value in wanted if can_yield(found, value)]


def can_yield(distribution: BaseDistribution, value: Value) -> bool:
    """Whether a range holds a value: between its ends, and on one of its steps if it has steps."""
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if isinstance(value, str) or not distribution.low <= value <= distribution.high:
        return False
    step = distribution.step
    return step is None or ((_exact(value) - _exact(distribution.low)) / _exact(step)).denominator == 1
