"""The summaries, against plain Python loops over the same rows."""

import math
import re
import statistics
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.reading import read_run
from reports.summaries import attempt_costs, best_so_far, cost_by_state, curves, failures, search_configs, summarise

STATES = st.sampled_from(["complete", "complete", "complete", "pruned", "failed", "running"])
VALUES = st.one_of(st.floats(0.01, 0.5), st.sampled_from([0.1, 0.2]), st.just(math.nan), st.none())
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def rows_of(handmade: ModuleType, drawn: list[tuple[str, float | None, int, float]]) -> list[dict[str, Any]]:
    """A trial a tuple of state, value, config and seconds; the first one is the baseline arm."""
    rows = []
    for place, (state, value, config, seconds) in enumerate(drawn):
        row = handmade.trial(None if place == 0 else place - 1, state=state, objective=value, duration_s=seconds)
        row |= {"config_id": f"c{config}", "knob.beta_alpha": 0.1 + config}
        if state == "running":
            row |= {"ended": None, "duration_s": None}
        rows.append(row)
    return rows


DRAWN = st.lists(st.tuples(STATES, VALUES, st.integers(0, 5), st.floats(0, 1e4)), min_size=1, max_size=14)


class TestLeaderboard:
    @FEW
    @given(drawn=DRAWN, goal=st.sampled_from(["minimize", "maximize"]))
    def test_ranks_as_a_loop_does(
        self, handmade: ModuleType, tmp_path: Path, drawn: list[tuple[str, float | None, int, float]], goal: str
    ) -> None:
        """Means over a config's complete finite trials, arms before search trials; best first; ties share a rank."""
        rows = rows_of(handmade, drawn)
        study = {"objective": [{"metric": "eer", "goal": goal}]}
        configs = summarise(handmade.run_of(tmp_path, rows, epochs=[], study=study)).configs

        by_config: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            if row["state"] == "complete" and row["objective"] is not None and math.isfinite(row["objective"]):
                by_config[row["config_id"]].append(row)
        expected = {}
        for config, members in by_config.items():
            measured = [row for row in members if row["phase"] == "arm"] or members
            values = [row["objective"] for row in measured]
            expected[config] = (statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)
        better = min if goal == "minimize" else max

        assert set(expected) == set(configs["config_id"])
        for config in configs.to_dicts():
            mean, deviation = expected[config["config_id"]]
            assert mean == pytest.approx(config["value"])
            assert (deviation is None) == (config["std"] is None)
            assert deviation is None or deviation == pytest.approx(config["std"], abs=1e-12)
        ordered = configs["value"].to_list()
        assert sorted(ordered, reverse=goal == "maximize") == ordered
        assert [1 + sum(better(o, v) == o and o != v for o in ordered) for v in ordered] == configs["rank"].to_list()

    def test_one_seed_has_no_deviation(self, handmade: ModuleType, tmp_path: Path) -> None:
        """The deviation of a single value is null, not 0."""
        configs = summarise(handmade.run_of(tmp_path, [handmade.trial(0)])).configs

        assert [None] == configs["std"].to_list()
        assert [1] == configs["seeds"].to_list()

    def test_other_metrics_are_those_of_the_last_epoch(self, handmade: ModuleType, tmp_path: Path) -> None:
        """minDCF beside the objective comes from the same epoch."""
        row = handmade.trial(0, objective=0.2)
        configs = summarise(handmade.run_of(tmp_path, [row], epochs=handmade.curve(row, [0.4, 0.1, 0.2]))).configs

        assert [0.4] == configs["metric.min_dcf"].to_list()
        assert [0.4] == configs["untrained"].to_list()

    def test_a_search_seed_never_enters_an_arms_value(self, handmade: ModuleType, tmp_path: Path) -> None:
        """A config that is an arm and was also found by the search is judged by the arm's trials."""
        rows = [handmade.trial(None, objective=0.2, config_id="c"), handmade.trial(0, objective=0.1, config_id="c")]
        configs = summarise(handmade.run_of(tmp_path, rows)).configs

        assert [("paper", 0.2, 1)] == configs.select("name", "value", "seeds").rows()


class TestSeveralSeeds:
    def test_trials_are_named_with_their_seed(self, handmade: ModuleType, tmp_path: Path) -> None:
        """ "#7" is the search's trial, "#7 seed 2" a confirmation of it; configs have no seed in their name."""
        rows = [handmade.measured("paper", 1), handmade.measured("#7", 2), handmade.trial(7)]
        trials = summarise(handmade.run_of(tmp_path, rows, study={"seeds": 2})).trials

        assert {("paper seed 1", "paper"), ("#7 seed 2", "#7"), ("#7", "#7")} == set(
            trials.select("name", "config_name").rows()
        )

    def test_with_one_seed_an_arm_needs_none_in_its_name(self, handmade: ModuleType, tmp_path: Path) -> None:
        """A confirmation does: the search's trial has its number too."""
        rows = [handmade.measured("paper", 1), handmade.measured("#7", 1), handmade.trial(7)]
        trials = summarise(handmade.run_of(tmp_path, rows)).trials

        assert {"paper", "#7 seed 1", "#7"} == set(trials["name"])

    def test_the_best_is_confirmed_if_any_is(self, handmade: ModuleType, tmp_path: Path) -> None:
        """A better single seed does not lead; without a confirmed config it does."""
        lucky = handmade.trial(3, objective=0.01)
        rows = [
            lucky,
            *(handmade.measured(name, seed, v) for name, v in (("paper", 0.2), ("#7", 0.1)) for seed in (1, 2)),
        ]
        confirmed, seen = (summarise(handmade.run_of(tmp_path, some)) for some in (rows, [lucky, rows[1]]))

        assert ["#7", "paper"] == confirmed.leading["name"].to_list()
        assert ("#7", ["#3"]) == ((confirmed.best() or {})["name"], confirmed.unconfirmed["name"].to_list())
        assert [1] == confirmed.unconfirmed["rank"].to_list()
        assert "#3" == (seen.best() or {})["name"]

    def test_standings_and_configs_agree(self, fabricate_run: Callable[..., Path], tmp_path: Path) -> None:
        """The means of the verdict are those of the table that everything else reads."""
        summary = summarise(read_run(fabricate_run(tmp_path / "run", seeds=3, arms=("AP loss",), confirm=2, failed=0)))
        values = dict(summary.configs.select("config_id", "value").iter_rows())

        assert 4 == len(summary.confirmed)
        for one in summary.confirmed:
            assert one.dev is not None
            assert pytest.approx(values[one.config_id], rel=1e-12) == one.dev.mean

    def test_search_configs_have_the_values_that_the_search_saw(self, handmade: ModuleType, tmp_path: Path) -> None:
        """A confirmation is another measurement of the config."""
        rows = [handmade.trial(7, objective=0.1), *(handmade.measured("#7", seed, 0.3) for seed in (1, 2))]
        summary = summarise(handmade.run_of(tmp_path, rows))

        assert [("#7", 0.1)] == search_configs(summary).select("name", "value").rows()
        assert [("#7", pytest.approx(0.3))] == summary.configs.select("name", "value").rows()


class TestBestSoFar:
    @FEW
    @given(drawn=DRAWN, minimize=st.booleans())
    def test_steps_as_a_loop_does(
        self, handmade: ModuleType, tmp_path: Path, drawn: list[tuple[str, float | None, int, float]], minimize: bool
    ) -> None:
        """Ended trials in order of their end, the best complete value and the time spent until then."""
        rows = rows_of(handmade, drawn)
        found = best_so_far(summarise(handmade.run_of(tmp_path, rows, epochs=[])).trials, minimize=minimize)

        best: float | None = None
        total = 0.0
        expected = []
        for row in sorted((r for r in rows if r["state"] != "running"), key=lambda r: r["ended"]):
            total += row["duration_s"]
            value = row["objective"]
            if row["state"] == "complete" and value is not None and math.isfinite(value):
                best = value if best is None else (min if minimize else max)(best, value)
            expected.append((row["trial_id"], best, pytest.approx(total)))
        assert expected == found.select("trial_id", "best", "total_s").rows()
        assert list(range(1, len(expected) + 1)) == found["order"].to_list()


class TestCost:
    @FEW
    @given(drawn=DRAWN)
    def test_adds_up_as_a_loop_does(
        self, handmade: ModuleType, tmp_path: Path, drawn: list[tuple[str, float | None, int, float]]
    ) -> None:
        """Trials and seconds by state; the shares are of the whole."""
        rows = rows_of(handmade, drawn)
        found = cost_by_state(summarise(handmade.run_of(tmp_path, rows, epochs=[])).trials)

        seconds: dict[str, float] = defaultdict(float)
        for row in rows:
            seconds[row["state"]] += row["duration_s"] or 0.0
        total = sum(seconds.values())
        assert dict(seconds) == {s: pytest.approx(c) for s, c in found.select("state", "cost_s").rows()}
        for state, share in found.select("state", "share").rows():
            assert (seconds[state] / total if total else 0.0) == pytest.approx(share)

    def test_an_attempt_that_nobody_ended_costs_its_epochs(self, handmade: ModuleType) -> None:
        """Two epochs of three seconds by two workers are twelve seconds."""
        row = handmade.trial(0, state="running", duration_s=None, ended=None, workers=2, epochs=1)
        epochs = handmade.frame("epochs", handmade.curve(row)).collect()

        assert [12.0] == attempt_costs(handmade.frame("trials", [row]).collect(), epochs)["cost_s"].to_list()

    def test_all_attempts_of_a_trial_count(self, handmade: ModuleType, tmp_path: Path) -> None:
        """A trial that was taken up again costs both attempts."""
        row = handmade.trial(0, attempt=2, restarts=1)
        first = {**row, "attempt": 1, "duration_s": 5.0, "state": "failed", "restarts": 0}
        found = cost_by_state(summarise(handmade.run_of(tmp_path, [row], attempts=[first, row])).trials)

        assert [("complete", 1, 2, 1, 15.0, 1.0)] == found.rows()


class TestFailures:
    @FEW
    @given(errors=st.lists(st.sampled_from(["diverged at epoch 3", "diverged at epoch 12", "killed", "", None])))
    def test_groups_as_a_loop_does(self, handmade: ModuleType, errors: list[str | None]) -> None:
        """Errors that differ in numbers only are one kind."""
        rows = [handmade.trial(n, state="failed", error=error) for n, error in enumerate(errors)]
        trials = handmade.frame("trials", rows).collect().with_columns(name=pl.format("#{}", "number"))

        expected: dict[str, list[str]] = defaultdict(list)
        for n, error in enumerate(errors):
            expected[re.sub(r"\d+", "#", error or "")].append(f"#{n}")
        assert dict(expected) == dict(failures(trials).select("kind", "names").iter_rows())


class TestCurves:
    def test_roles_and_ends(self, handmade: ModuleType, tmp_path: Path) -> None:
        """The best config, the baseline, the others; NaN epochs are no points."""
        rows = [handmade.trial(None), handmade.trial(0, objective=0.05), handmade.trial(1)]
        epochs = [e for row in rows for e in handmade.curve(row, [0.4, math.nan, row["objective"]])]
        lines = curves(summarise(handmade.run_of(tmp_path, rows, epochs=epochs)), top=1, others=10)

        expected = {("paper", "baseline"), ("#0", "best"), ("#1", "other")}
        assert expected == set(lines.select("name", "role").rows())
        assert {0, 2} == set(lines["epoch"])
        assert {2} == set(lines.filter(pl.col("is_end"))["epoch"])

    def test_is_thinned_but_keeps_both_ends(self, handmade: ModuleType, tmp_path: Path) -> None:
        """A thousand epochs become at most about sixty points, 0 and the last among them; other trials are sampled."""
        rows = [handmade.trial(n, epochs=1000) for n in range(30)]
        lines = curves(summarise(handmade.run_of(tmp_path, rows)), top=1, others=10, points=60)
        best = lines.filter(pl.col("role") == "best")

        assert best.height <= 62
        assert (0, 1000) == (best["epoch"].min(), best["epoch"].max())
        assert 11 >= lines["trial_id"].n_unique()


def test_knobs_that_only_fall_inactive_do_not_count_as_varied(handmade: ModuleType, tmp_path: Path) -> None:
    """A knob that is the same wherever it is active is no column of the leaderboard."""
    rows = [handmade.trial(0, **{"knob.volume": "rms"}), handmade.trial(1, **{"knob.volume": None})]

    assert ("beta_alpha", "learning_rate") == summarise(handmade.run_of(tmp_path, rows)).shown_knobs
