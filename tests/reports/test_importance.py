"""Knob importance on made-up configs whose truth is known."""

import math
import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from reports.importance import MIN_CONFIGS, knob_importance
from reports.pictures import importance, judged_configs
from reports.reading import read_run
from reports.summaries import summarise

SPACE: dict[str, BaseDistribution] = {"strong": FloatDistribution(0, 1), "idle": FloatDistribution(0, 1)}


def configs(num: int, *, sign: float = 1.0) -> pl.DataFrame:
    """Configs whose value is decided by `strong` alone."""
    rng = random.Random(1)
    rows = [{"knob.strong": rng.random(), "knob.idle": rng.random()} for _ in range(num)]
    return pl.DataFrame([{**row, "value": sign * (row["knob.strong"] - 0.3) ** 2} for row in rows])


@pytest.mark.parametrize(("minimize", "sign"), [(True, 1.0), (False, -1.0)], ids=["minimize", "maximize"])
def test_finds_the_knob_that_decides(minimize: bool, sign: float) -> None:
    """The deciding knob comes first, the shares add up to one, the same rows give the same shares."""
    found = knob_importance(configs(60, sign=sign), SPACE, minimize=minimize)

    assert ["strong", "idle"] == list(found.shares)
    assert found.shares["strong"] > 0.8
    assert pytest.approx(1.0) == sum(found.shares.values())
    assert (60, 6) == (found.num_configs, found.num_best)
    assert found == knob_importance(configs(60, sign=sign), SPACE, minimize=minimize)


def test_too_few_configs_are_refused_with_a_reason() -> None:
    """Under eight complete configs there are no shares, but a reason with the number."""
    found = knob_importance(configs(MIN_CONFIGS - 1), SPACE, minimize=True)

    assert {} == found.shares
    assert "too few complete configs: 7" in found.reason


def test_equal_values_and_nothing_searched_are_said() -> None:
    """No spread and no knob are reasons, not errors."""
    same = configs(10).with_columns(value=pl.lit(0.1))

    assert "every complete config has the same value" == knob_importance(same, SPACE, minimize=True).reason
    assert "nothing was searched" == knob_importance(configs(10), {}, minimize=True).reason


def test_values_without_number_are_left_out() -> None:
    """NaN rows are no configs."""
    rows = configs(12).with_columns(value=pl.when(pl.int_range(pl.len()) < 3).then(math.nan).otherwise("value"))

    assert 9 == knob_importance(rows, SPACE, minimize=True).num_configs


def test_inactive_choices_and_changed_ranges_are_taken() -> None:
    """Knobs that are null somewhere, choices, integers, and values outside of the present range."""
    rng = random.Random(2)
    rows = []
    for place in range(24):
        loss = ("ap", "mix", "old")[place % 3]
        alpha = rng.uniform(0.05, 1.0) if loss == "mix" else None
        value = (0.1 if loss == "mix" else 0.3) + 0.1 * rng.random()
        rows.append({"value": value, "knob.loss": loss, "knob.alpha": alpha, "knob.epochs": 1 + place % 9})
    space: dict[str, BaseDistribution] = {
        "loss": CategoricalDistribution(("ap", "mix")),
        "alpha": FloatDistribution(0.1, 0.5, log=True),
        "epochs": IntDistribution(2, 4),
    }
    found = knob_importance(pl.DataFrame(rows), space, minimize=True)

    assert set(space) == set(found.shares)
    assert all(math.isfinite(share) for share in found.shares.values())


def test_optuna_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """The study in memory is not announced."""
    knob_importance(configs(20), SPACE, minimize=True)

    assert ("", "") == capfd.readouterr()


def test_too_few_complete_configs_are_compared_at_an_earlier_epoch(
    fabricate_run: Callable[..., Path], tmp_path: Path
) -> None:
    """With most trials stopped early, the page compares all configs at the last epoch that eight of them reached."""
    run = read_run(fabricate_run(tmp_path / "run", trials=14, pruned=9, failed=1))
    summary = summarise(run)
    rows, epoch = judged_configs(summary)
    by_trial: dict[str, dict[int, float]] = {}
    for row in summary.epochs.iter_rows(named=True):
        by_trial.setdefault(row["trial_id"], {})[row["epoch"]] = row["metric.eer"]
    search = {row["trial_id"] for row in summary.trials.iter_rows(named=True) if row["phase"] == "search"}
    reached = [e for e in range(1, 7) if sum(e in curve for key, curve in by_trial.items() if key in search) >= 8]

    assert max(reached) == epoch
    expected = sorted(curve[epoch] for key, curve in by_trial.items() if key in search and epoch in curve)
    assert pytest.approx(expected) == sorted(rows["value"].to_list())
    section = importance(run, summary)
    assert f"at epoch {epoch}" in " ".join(section.sentences)
    assert len(section.charts) == 1
