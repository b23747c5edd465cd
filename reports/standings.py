"""Where the measured configs stand: means over the study's seeds, and what each of them is to the baseline.

A config counts as confirmed from two seeds on: one seed alone says nothing of chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from reports.measured import by_seed
from reports.statistics import Difference, Estimate, difference, estimate
from search_spaces.study import BASELINE


@dataclass(frozen=True)
class Standing:
    """A config that arms or confirmations measured.

    `dev` and `test` are None without a usable value. `gap` and `test_gap` are its difference to the baseline: None for
    the baseline itself and where there is nothing to compare. Of the `asked` seeds some may have failed, be unfinished,
    or have ended without a usable value (`unusable`). `rank` is among the confirmed configs, by the mean on dev.
    """

    config_id: str
    name: str
    is_baseline: bool
    dev: Estimate | None
    test: Estimate | None
    gap: Difference | None
    test_gap: Difference | None
    asked: int
    failed: int
    unfinished: int
    unusable: int
    rank: int | None = None

    @property
    def is_confirmed(self) -> bool:
        """Whether two or more seeds stand behind its mean."""
        return self.dev is not None and self.dev.n >= 2

    @property
    def missing(self) -> int:
        """Seeds that have not started."""
        return max(0, self.asked - (self.dev.n if self.dev else 0) - self.failed - self.unfinished - self.unusable)


def standings(measured: pl.DataFrame, *, seeds: int, method: str, minimize: bool) -> tuple[Standing, ...]:
    """All measured configs (rows of `measurements`): the confirmed by rank, then one-seed ones, then those without."""
    groups = {str(key): rows for (key,), rows in measured.group_by("config_id", maintain_order=True)}
    baseline = next((rows for rows in groups.values() if (rows["arm"] == BASELINE).any()), measured.clear())
    found = [_standing(rows, baseline, seeds=seeds, method=method) for rows in groups.values()]
    sign = 1 if minimize else -1
    found.sort(key=lambda one: (not one.is_confirmed, one.dev is None, sign * one.dev.mean if one.dev else 0.0))
    means = [one.dev.mean for one in found if one.is_confirmed and one.dev]
    return tuple(
        replace(one, rank=1 + means.index(one.dev.mean)) if one.is_confirmed and one.dev else one for one in found
    )


def _standing(rows: pl.DataFrame, baseline: pl.DataFrame, *, seeds: int, method: str) -> Standing:
    is_baseline = rows["config_id"][0] in baseline["config_id"]
    values: Mapping[str, dict[int, float]] = {split: by_seed(rows, split) for split in ("dev", "test")}
    gaps = {
        split: None if is_baseline else difference(values[split], by_seed(baseline, split), method=method)
        for split in values
    }
    states = rows["state"].to_list()
    unfinished = sum(state not in ("complete", "failed") for state in states)
    names = [*rows["arm"].drop_nulls().to_list(), rows["name"][0]]
    return Standing(
        config_id=rows["config_id"][0],
        name=BASELINE if is_baseline else names[0],
        is_baseline=is_baseline,
        dev=estimate(list(values["dev"].values())),
        test=estimate(list(values["test"].values())),
        gap=gaps["dev"],
        test_gap=gaps["test"],
        asked=max(seeds, rows["seed"].n_unique()),
        failed=states.count("failed"),
        unfinished=unfinished,
        unusable=states.count("complete") - len(values["dev"]),
    )
