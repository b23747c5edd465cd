"""Which knobs mattered: PED-ANOVA over the complete configs of the search, by Optuna in memory.

PED-ANOVA (Watanabe et al., IJCAI 2023; with knobs that depend on others, KDD 2026) compares where the best configs lie
with where all of them lie, knob by knob: a knob matters if the best gather somewhere. It answers "what helps to be
among the best", which is another question than fANOVA's "what explains the spread"; the two disagree, so the method is
named wherever its figures are.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import optuna
import polars as pl
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

METHOD = "PED-ANOVA"
MIN_CONFIGS = 8
WANTED_BEST = 5


@dataclass(frozen=True)
class Importance:
    """`shares` of the searched knobs, largest first, adding up to 1; empty if nothing can be said: `reason` says why.

    `num_configs` complete configs were compared with the best `num_best` of them.
    """

    shares: Mapping[str, float]
    num_configs: int
    num_best: int
    reason: str = ""


def knob_importance(configs: pl.DataFrame, space: Mapping[str, BaseDistribution], *, minimize: bool) -> Importance:
    """The importance of every knob in `space`, from `configs` with columns `value` and `knob.<name>`.

    A row is a config, not a trial: one over several seeds counts once, or knobs would have to explain the seeds' noise.
    """
    knobs = [k for k in space if f"knob.{k}" in configs.columns]
    rows = configs.filter(pl.col("value").is_finite()).select("value", *(f"knob.{k}" for k in knobs))
    num = rows.height
    if not knobs:
        return Importance({}, num, 0, "nothing was searched")
    if num < MIN_CONFIGS:
        return Importance(
            {}, num, 0, f"too few complete configs: {num}, and fewer than {MIN_CONFIGS} say nothing about knobs"
        )
    if rows["value"].n_unique() == 1:
        return Importance({}, num, 0, "every complete config has the same value")
    # The top tenth, but never fewer than five configs (what the method needs to be stable) nor more than half of all.
    quantile = min(0.5, max(0.1, WANTED_BEST / num))
    shares = ped_anova(rows, {k: space[k] for k in knobs}, quantile=quantile, minimize=minimize)
    total = sum(shares.values())
    num_best = math.ceil(quantile * num)
    if not math.isfinite(total) or total <= 0:
        return Importance({}, num, num_best, "no knob separates the best configs from the others")
    ordered = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    return Importance({k: v / total for k, v in ordered}, num, num_best)


def ped_anova(
    rows: pl.DataFrame, space: Mapping[str, BaseDistribution], *, quantile: float, minimize: bool
) -> dict[str, float]:
    """Optuna's evaluator on an in-memory study of these rows; a knob that is null in a row was inactive there."""
    distributions = {k: widened(space[k], rows[f"knob.{k}"].drop_nulls().to_list()) for k in space}
    study = quiet_study("minimize" if minimize else "maximize")
    trials = []
    for row in rows.iter_rows(named=True):
        params = {k: row[f"knob.{k}"] for k in space if row[f"knob.{k}"] is not None}
        trials.append(
            optuna.trial.create_trial(
                params=params, distributions={k: distributions[k] for k in params}, value=row["value"]
            )
        )
    study.add_trials(trials)
    # A knob that no complete config used, or that stands still, cannot be judged.
    used = sorted(k for k in space if rows[f"knob.{k}"].drop_nulls().n_unique() > 1)
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=quantile)
    with warnings.catch_warnings():
        # Optuna warns of conditional knobs seen once; the page says itself how little data there are.
        warnings.simplefilter("ignore")
        found = optuna.importance.get_param_importances(study, evaluator=evaluator, params=used, normalize=False)
    return {k: float(found.get(k, 0.0)) for k in space}


def quiet_study(direction: Literal["minimize", "maximize"]) -> optuna.Study:
    """An empty study in memory, without the line that Optuna would print for it."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(direction=direction)
    finally:
        optuna.logging.set_verbosity(verbosity)


def widened(distribution: BaseDistribution, values: list[object]) -> BaseDistribution:
    """The distribution, stretched over values that fell outside: a continued study may have changed its range."""
    if not values:
        return distribution
    if isinstance(distribution, CategoricalDistribution):
        extra = sorted((v for v in set(values) if v not in distribution.choices), key=str)
        return CategoricalDistribution((*distribution.choices, *extra))  # type: ignore[arg-type]
    numbers = [float(v) for v in values]  # type: ignore[arg-type]
    if isinstance(distribution, FloatDistribution):
        low, high = min(distribution.low, *numbers), max(distribution.high, *numbers)
        return FloatDistribution(low, high, log=distribution.log and low > 0)
    assert isinstance(distribution, IntDistribution), f"unknown distribution {distribution!r}"
    low, high = min(distribution.low, *numbers), max(distribution.high, *numbers)
    return IntDistribution(int(low), int(high), log=distribution.log and low >= 1)
