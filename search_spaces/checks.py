"""Everything that is wrong with a study file: its shape, what it names, and values that do not go together.

Each check looks only at what has the right shape and leaves the rest to `search_spaces.shapes`, so that all mistakes of
a file are found in one go. Places are dotted paths inside the file.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from search_spaces.arm_checks import arm_problems, same_config_problems
from search_spaces.corpus_checks import need_problems, role_problems
from search_spaces.knob_checks import corner_problems, space_problems, value_problems
from search_spaces.knobs import knobs_of
from search_spaces.problems import Problem, unknown_name
from search_spaces.registry import CONFIGS, Config, build_config
from search_spaces.shapes import shape_problems
from search_spaces.table_checks import table_problems


def study_problems(raw: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with a study, each sentence once, in the order of its keys; of scales, the shape alone."""
    found = [*shape_problems(raw), *_meaning_problems(raw)] or _together_problems(raw)
    problems = list(dict.fromkeys(map(_hashable, found)))
    keys = list(raw)

    def position(problem: Problem) -> int:
        key = re.split(r"[.\[]", problem.place, maxsplit=1)[0]
        return keys.index(key) if key in keys else len(keys)

    return sorted(problems, key=position)


def _hashable(problem: Problem) -> Problem:
    """The problem with its value as text, where the value is a list or table."""
    value = problem.value if isinstance(problem.value, bool | int | float | str | None) else str(problem.value)
    return Problem(problem.place, problem.rule, value, problem.choices, problem.nearest)


def _meaning_problems(raw: Mapping[str, Any]) -> list[Problem]:
    """What is wrong beyond the shape: names of trainable, metric, roles, knobs and arms, and their values."""
    trainable = raw.get("trainable")
    problems = [*_confirm_problems(raw), *_resource_problems(raw)]
    if not isinstance(trainable, str) or trainable not in CONFIGS:
        if isinstance(trainable, str):
            problems.append(unknown_name("trainable", f"no trainable {trainable!r}", trainable, list(CONFIGS)))
        return [*problems, *role_problems(raw, None), *table_problems(raw, None)]
    config_type = CONFIGS[trainable]
    knobs = knobs_of(config_type)
    return [
        *problems,
        *_objective_problems(raw, trainable, config_type),
        *role_problems(raw, trainable),
        *value_problems(raw.get("config"), "config", trainable, knobs),
        *arm_problems(raw, trainable, knobs),
        *space_problems(raw, trainable, knobs),
        *table_problems(raw, trainable),
    ]


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


def _confirm_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    confirm, search = raw.get("confirm"), raw.get("search")
    if isinstance(confirm, Mapping) and search is None:
        yield Problem("confirm", "needs a [search]: it measures the search's best configs over the seeds")


def _resource_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    resources = raw.get("resources")
    gpus = resources.get("gpus_per_worker") if isinstance(resources, Mapping) else None
    if isinstance(gpus, float) and gpus > 1 and not gpus.is_integer():
        rule = f"a share of one GPU (up to 1) or whole GPUs, but got {gpus}"
        yield Problem("resources.gpus_per_worker", rule, gpus)


def _together_problems(raw: Mapping[str, Any]) -> list[Problem]:
    """What is wrong between values that are each fine alone: only for a file without other problems.

    Rules between knobs hold in the baseline, in every arm and in every corner of the search; no two arms are the same;
    the corpus has the roles that knobs need.
    """
    trainable, config = raw["trainable"], raw.get("config", {})
    problems = same_config_problems(raw)
    if not problems:
        problems += corner_problems(
            raw,
            knobs_of(CONFIGS[trainable]),
            lambda values: build_config(trainable, {**config, **values}).problems(),
        )
    return problems + need_problems(raw)
