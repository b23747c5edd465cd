"""Where measured configs stand, against plain loops over their trials."""

import math
import statistics
from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.measured import measurements
from reports.standings import Standing, standings
from reports.statistics import difference

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = ("paper", "AP loss", "#3", "#4")
STATES = st.sampled_from(["complete", "complete", "complete", "failed", "running"])
VALUES = st.one_of(st.sampled_from([0.1, 0.2, 0.3]), st.floats(0.01, 0.5), st.just(math.nan))
DRAWN = st.dictionaries(st.tuples(st.sampled_from(NAMES), st.integers(1, 4)), st.tuples(STATES, VALUES))


def found_of(handmade: ModuleType, folder: Path, rows: list[dict[str, Any]], **facts: Any) -> tuple[Standing, ...]:
    """The standings of these rows."""
    measured = measurements(handmade.run_of(folder, rows, epochs=[], readings=facts.pop("readings", None)), "eer")
    return standings(measured, **{"seeds": 3, "method": "paired", "minimize": True, **facts})


@FEW
@given(drawn=DRAWN, minimize=st.booleans(), method=st.sampled_from(["paired", "welch"]))
def test_means_ranks_and_lost_seeds_as_a_loop_finds_them(
    handmade: ModuleType, tmp_path: Path, drawn: dict[tuple[str, int], tuple[str, float]], minimize: bool, method: str
) -> None:
    """Each config by its complete finite trials; every seed is a value, failed, unfinished, unusable or not started."""
    rows = [handmade.measured(name, seed, value, state=state) for (name, seed), (state, value) in drawn.items()]
    found = found_of(handmade, tmp_path, rows, minimize=minimize, method=method)

    values: dict[str, dict[int, float]] = defaultdict(dict)
    for (name, seed), (state, value) in drawn.items():
        if state == "complete" and math.isfinite(value):
            values[name][seed] = value
    means = {name: statistics.fmean(v.values()) for name, v in values.items() if len(v) > 1}
    better = (lambda a, b: a < b - 1e-15) if minimize else (lambda a, b: a > b + 1e-15)
    assert {name for name, _ in drawn} == {one.name for one in found}
    for one in found:
        mine = values[one.name]
        assert len(mine) == (one.dev.n if one.dev else 0)
        assert one.dev is None or pytest.approx(statistics.fmean(mine.values())) == one.dev.mean
        assert (one.name in means) == one.is_confirmed
        rank = 1 + sum(better(mean, means[one.name]) for mean in means.values()) if one.is_confirmed else None
        assert rank == one.rank
        ended = [state for (name, _), (state, _) in drawn.items() if name == one.name]
        assert (ended.count("failed"), ended.count("running")) == (one.failed, one.unfinished)
        assert ended.count("complete") - len(mine) == one.unusable
        assert max(3, len(ended)) == one.asked == len(ended) + one.missing
        expected = None if one.is_baseline else difference(mine, values["paper"], method=method)
        assert expected == one.gap
    confirmed = [one.is_confirmed for one in found]
    assert sorted(confirmed, reverse=True) == confirmed
    ordered = [one.dev.mean for one in found if one.is_confirmed and one.dev]
    assert sorted(ordered, reverse=not minimize) == ordered


def test_test_set_is_compared_where_both_read_it(handmade: ModuleType, tmp_path: Path) -> None:
    """The arm's readings against the baseline's, seed by seed; a config without readings has none."""
    rows = [handmade.measured(name, seed) for name in ("paper", "AP loss", "#1") for seed in (1, 2)]
    read = {"t-paper-1": 0.2, "t-paper-2": 0.3, "t-AP loss-1": 0.1, "t-AP loss-2": 0.2}
    readings = [handmade.reading(row, read[row["trial_id"]]) for row in rows if row["trial_id"] in read]
    by_name = {one.name: one for one in found_of(handmade, tmp_path, rows, readings=readings)}

    gap = by_name["AP loss"].test_gap
    assert gap is not None
    assert (pytest.approx(-0.1), 2) == (gap.mean, gap.n)
    assert (None, None) == (by_name["#1"].test, by_name["#1"].test_gap)
    assert by_name["paper"].test_gap is None


def test_no_baseline_no_comparison(handmade: ModuleType, tmp_path: Path) -> None:
    """Means stand by themselves then."""
    (found,) = found_of(handmade, tmp_path, [handmade.measured("AP loss", seed) for seed in (1, 2)])

    assert found.is_confirmed
    assert found.gap is None


def test_a_confirmation_that_became_an_arm_is_one_config(handmade: ModuleType, tmp_path: Path) -> None:
    """Trials of one identity are one config, called by the arm."""
    rows = [handmade.measured("#1", 1, config_id="c"), handmade.measured("AP loss", 2, config_id="c")]

    assert [("AP loss", 2)] == [(one.name, one.dev.n) for one in found_of(handmade, tmp_path, rows) if one.dev]


def test_seeds_that_were_added_later_count_as_asked(handmade: ModuleType, tmp_path: Path) -> None:
    """Of five seeds three have run: two have not started."""
    (found,) = found_of(handmade, tmp_path, [handmade.measured("paper", seed) for seed in (1, 2, 3)], seeds=5)

    assert (5, 2) == (found.asked, found.missing)
