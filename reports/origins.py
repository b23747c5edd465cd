"""Arms that start from trained weights: whose these are, in words."""

from __future__ import annotations

from collections.abc import Mapping

from search_spaces.study import OtherRun, Study

Origins = Mapping[str, str | OtherRun]


def origins_of(study: Study) -> Origins:
    """By arm, whose trained weights its trials start from; arms whose weights their seed draws are left out."""
    return {arm.name: arm.init_from for arm in study.arms if arm.init_from is not None}


def origin_in_words(origin: str | OtherRun) -> str:
    """Whose weights they are, in a sentence: "“AP loss”", "“paper” of the run runs/x"."""
    if isinstance(origin, str):
        return f"“{origin}”"
    whose = f"trial {origin.trial}" if origin.arm is None else f"“{origin.arm}”"
    return f"{whose} of the run {origin.run}"


def with_origin(name: str, origins: Origins) -> str:
    """An arm's name with its weights' origin behind it, for a cell: "AP loss, then mixup (from AP loss)"."""
    if name not in origins:
        return name
    origin = origins[name]
    return f"{name} (from {origin if isinstance(origin, str) else origin_in_words(origin)})"


def trained_longer(names: list[str], origins: Origins) -> list[str]:
    """A sentence for each of these arms that starts from trained weights."""
    return [
        f"“{name}” starts from the trained weights of {origin_in_words(origins[name])}, so it was trained longer."
        for name in dict.fromkeys(names)
        if name in origins
    ]
