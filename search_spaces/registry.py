"""The one registry: a trainable is a config class here and a module of the same name in `trainables`."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from search_spaces.contrastive_mixup import ContrastiveMixup
from search_spaces.knobs import knobs_of

Config: TypeAlias = ContrastiveMixup  # a union as soon as there are two

CONFIGS: Mapping[str, type[Config]] = {"contrastive_mixup": ContrastiveMixup}


def build_config(trainable: str, values: Mapping[str, Any]) -> Config:
    """The config of a trainable: its defaults, and over them the values of knobs, each in its knob's type."""
    knobs = knobs_of(CONFIGS[trainable])
    cast: dict[str, Any] = {name: knobs[name].cast(value) for name, value in values.items()}
    return CONFIGS[trainable](**cast)
