"""A knob is one line in a config class: default, sentence, range. Everything else about it derives from that line.

    @dataclass(frozen=True)
    class MyTrainable:
        loss: str = knob("mixup", "which loss", choices=("plain", "mixup"))
        beta_alpha: float = knob(0.1, "how strongly to mix", low=0.05, high=1.0, minimum=0.0, when={"loss": ("mixup",)})

`low` and `high` are the range a study searches when it says `beta_alpha = true`; `minimum`, `above` and `maximum` are
what makes sense at all, in a search as in a fixed value. `when=` names the values that other knobs, declared before,
must have for this one to have an effect.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, get_type_hints

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

Value: TypeAlias = bool | int | float | str

TYPE_WORDS: Mapping[type, str] = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}


@dataclass(frozen=True)
class Knob:
    """What is known about one knob; `minimum` and `maximum` are allowed values, `above` is not."""

    name: str
    default: Value
    sentence: str
    type: type
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Value, ...] | None = None
    when: Mapping[str, tuple[Value, ...]] | None = None
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None

    @property
    def has_own_range(self) -> bool:
        """Whether a study may search it by `name = true`."""
        return self.choices is not None or self.low is not None

    def accepts_type(self, value: object) -> bool:
        """Whether `value` is of this knob's type: an integer will do for a float, a bool never for a number."""
        if self.type is float:
            return isinstance(value, int | float) and not isinstance(value, bool)
        return type(value) is self.type

    def why_not(self, value: object) -> str | None:
        """Why this knob cannot have `value`, None if it can."""
        if not self.accepts_type(value):
            return f"must be {TYPE_WORDS[self.type]}, but got {shown(value)}"
        if isinstance(value, float) and not math.isfinite(value):
            return f"must be a finite number, but got {value}"
        if self.choices is not None and value not in self.choices:
            return f"must be one of the choices, but got {shown(value)}"
        if isinstance(value, int | float):
            if self.minimum is not None and value < self.minimum:
                return f"`{self.name} >= {self.minimum:g}` must hold, but got {value}"
            if self.above is not None and value <= self.above:
                return f"`{self.name} > {self.above:g}` must hold, but got {value}"
            if self.maximum is not None and value > self.maximum:
                return f"`{self.name} <= {self.maximum:g}` must hold, but got {value}"
        return None

    def cast(self, value: Value) -> Value:
        """`value` in this knob's own type, so that 1 and 1.0 are the same learning rate."""
        return float(value) if self.type is float else value


def knob(
    default: Value,
    sentence: str,
    *,
    low: float | None = None,
    high: float | None = None,
    log: bool = False,
    choices: tuple[Value, ...] | None = None,
    when: Mapping[str, tuple[Value, ...]] | None = None,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
) -> Any:
    """A dataclass field that is a knob. It returns Any, as `dataclasses.field` does: the class's annotation counts."""
    facts = {
        "sentence": sentence,
        "low": low,
        "high": high,
        "log": log,
        "choices": choices,
        "when": when,
        "minimum": minimum,
        "above": above,
        "maximum": maximum,
    }
    return dataclasses.field(default=default, metadata={"knob": facts})


def knobs_of(config_type: type) -> dict[str, Knob]:
    """The knobs of a config class, in the order of the class: a knob stands after those it depends on."""
    types = get_type_hints(config_type)
    knobs: dict[str, Knob] = {}
    for field in dataclasses.fields(config_type):
        facts = dict(field.metadata["knob"])
        if types[field.name] is bool and facts["choices"] is None:
            facts["choices"] = (False, True)
        default: Any = field.default
        found = Knob(name=field.name, default=default, type=types[field.name], **facts)
        assert set(found.when or ()) <= set(knobs), f"{field.name} depends on a knob that is not declared before it"
        assert found.why_not(found.default) is None, f"{field.name}: {found.why_not(found.default)}"
        assert (found.low is None) == (found.high is None), f"{field.name} needs both low and high, or neither"
        knobs[field.name] = found
        assert all(conditions_of(knobs, field.name).values()), f"{field.name} can never have an effect"
    return knobs


def conditions_of(knobs: Mapping[str, Knob], name: str) -> dict[str, tuple[Value, ...]]:
    """What other knobs must be for a knob to have an effect: by `when=`, its own and that of those it names."""
    conditions: dict[str, tuple[Value, ...]] = {}
    own = knobs[name].when or {}
    for each in (*(conditions_of(knobs, parent) for parent in own), own):
        for parent, allowed in each.items():
            conditions[parent] = tuple(value for value in conditions.get(parent, allowed) if value in allowed)
    return conditions


def active_names(knobs: Mapping[str, Knob], values: Mapping[str, Value]) -> list[str]:
    """The knobs that have an effect under `values`: each that `when=` names is active and has one of its values."""
    active: dict[str, None] = {}
    for name, one in knobs.items():
        if all(parent in active and values[parent] in allowed for parent, allowed in (one.when or {}).items()):
            active[name] = None
    return list(active)


def values_of(config: object) -> dict[str, Value]:
    """All knob values of a config, inactive ones included."""
    return {name: one.cast(getattr(config, name)) for name, one in knobs_of(type(config)).items()}


def active_knobs(config: object) -> dict[str, Value]:
    """The values of the knobs that have an effect in this config, in the order of the class."""
    values = values_of(config)
    return {name: values[name] for name in active_names(knobs_of(type(config)), values)}


def distribution_of(knob: Knob) -> BaseDistribution:
    """The knob's own range as Optuna's; ValueError if it has none."""
    if knob.choices is not None:
        return CategoricalDistribution(knob.choices)
    if knob.low is None or knob.high is None:
        raise ValueError(f"the knob {knob.name!r} has no range of its own")
    if knob.type is int:
        return IntDistribution(int(knob.low), int(knob.high), log=knob.log)
    return FloatDistribution(float(knob.low), float(knob.high), log=knob.log)


def shown(value: object) -> str:
    """A value as a study file would write it, for messages: true, "ap", 0.1, a table.

    >>> shown(True), shown("ap"), shown(0.1)
    ('true', '"ap"', '0.1')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {shown(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    return str(value)
