"""The leaderboard: several seeds first, single seeds apart, and bold only what an interval supports."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from reports.blocks import Table
from reports.leaderboard import leaderboard
from reports.reading import read_run
from reports.summaries import summarise

UNCONFIRMED = "Unconfirmed: measured by the search alone, or with one seed"
SEARCH = {"trials": 2, "space": {"beta_alpha": True}}


def tables_of(handmade: ModuleType, folder: Path, rows: list[dict[str, Any]], **facts: Any) -> dict[str, Table]:
    """The section's tables by caption."""
    study = {"seeds": 3, "search": None, **facts.pop("study", {})}
    run = handmade.run_of(folder, rows, study=study, **facts)
    return {table.caption: table for table in leaderboard(run, summarise(run)).tables}


def columns(table: Table, *titles: str) -> list[tuple[str, ...]]:
    """These columns of a table."""
    places = [[column.title for column in table.columns].index(title) for title in titles]
    return [tuple(row.cells[place] for place in places) for row in table.rows]


@pytest.fixture
def rows(handmade: ModuleType) -> list[dict[str, Any]]:
    """The baseline, a better arm, one that is tied, one with a failed seed and one that failed throughout."""
    values = {
        "paper": (0.10, 0.12, 0.11),
        "AP loss": (0.07, 0.085, 0.082),
        "#7": (0.105, 0.11, 0.13),
        "slow": (0.2, None, 0.21),
        "#8": (None, None, None),
    }
    return [
        handmade.measured(name, seed, value, **({"state": "failed"} if value is None else {}))
        for name, seeds in values.items()
        for seed, value in enumerate(seeds, start=1)
    ]


def test_means_intervals_differences_and_words(
    handmade: ModuleType, tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    """Best mean first, the baseline among them; what has no value at the end; lost seeds are said."""
    table = tables_of(handmade, tmp_path, rows)["Means over several seeds"]

    assert [
        ("1", "AP loss", "7.90 ± 0.79", "better", "3", "5.93 to 9.87", "−3.10", "−4.00 to −2.20"),
        ("2", "paper (baseline)", "11.00 ± 1.00", "–", "3", "8.52 to 13.48", "–", "–"),
        ("3", "#7", "11.50 ± 1.32", "tied", "3", "8.21 to 14.79", "+0.50", "−3.23 to 4.23"),
        ("4", "slow", "20.50 ± 0.71", "worse", "2 of 3: 1 failed", "14.15 to 26.85", "+10.00", "10.00 to 10.00"),
        ("–", "#8", "–", "–", "0 of 3: 3 failed", "–", "–", "–"),
    ] == [row.cells[:8] for row in table.rows]


def test_bold_is_only_what_the_interval_supports(
    handmade: ModuleType, tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    """The better arm's name and word; the baseline's row has its own mark."""
    table = tables_of(handmade, tmp_path, rows)["Means over several seeds"]
    bold = [[row.cells[place] for place in row.strong] for row in table.rows]

    assert [["AP loss", "better"], [], [], [], []] == bold
    assert ["", "baseline", "", "", ""] == [row.mark for row in table.rows]


def test_a_lead_without_support_is_not_bold(handmade: ModuleType, tmp_path: Path) -> None:
    """The lowest mean may still be tied."""
    values = {"paper": (0.12, 0.12, 0.11), "AP loss": (0.10, 0.11, 0.13)}
    made = [handmade.measured(name, seed, v) for name, seeds in values.items() for seed, v in enumerate(seeds, 1)]
    table = tables_of(handmade, tmp_path, made)["Means over several seeds"]

    assert [("1", "AP loss", "tied")] == columns(table, "rank", "config", "dev: to “paper”")[:1]
    assert not any(row.strong for row in table.rows)


def test_test_column_only_where_it_was_read(handmade: ModuleType, tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """A mean with its deviation; its own n where it is not that of dev."""
    readings = [handmade.reading(row, 0.1 * row["seed"]) for row in rows if row["arm"] == "AP loss"]
    readings += [handmade.reading(row, 0.3) for row in rows if row["arm"] == "paper" and row["seed"] < 3]
    table = tables_of(handmade, tmp_path, rows, readings=readings)["Means over several seeds"]

    expected = ["20.00 ± 10.00", "30.00 ± 0.00 (n = 2)", "–", "–", "–"]
    assert expected == [cell for (cell,) in columns(table, "test EER (%)")]
    without = tables_of(handmade, tmp_path, rows)["Means over several seeds"]
    assert "test EER (%)" not in [column.title for column in without.columns]


def test_single_seeds_stand_apart(handmade: ModuleType, tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """Search trials and arms with one seed left have a ranking of their own; a confirmed config is not among them."""
    searched = [handmade.trial(7, objective=0.01), handmade.trial(9, objective=0.02)]
    lonely = [handmade.measured("late", 1, 0.015), handmade.measured("late", 2, None, state="failed")]
    study = {"search": SEARCH, "confirm": {"top": 1}}
    tables = tables_of(handmade, tmp_path, [*rows, *searched, *lonely], study=study)
    table = tables[UNCONFIRMED]

    assert [("1", "late", "1.50", "1 of 3: 1 failed and 1 not started"), ("2", "#9", "2.00", "1 (search)")] == columns(
        table, "rank", "config", "dev EER (%)", "seeds"
    )
    assert "judged by their confirmations alone" in " ".join(table.notes)
    unranked = [name for (name,) in columns(tables["Trials without a rank"], "trial")]
    assert ["#8 seed 1", "#8 seed 2", "#8 seed 3", "late seed 2", "slow seed 2"] == sorted(unranked)


def test_a_mean_over_search_trials_is_no_trial(handmade: ModuleType, tmp_path: Path) -> None:
    """The config's cell says what its value is."""
    made = [handmade.trial(n, objective=v, config_id="c7") for n, v in ((7, 0.04), (8, 0.06))]
    table = tables_of(handmade, tmp_path, [*made, handmade.trial(9, objective=0.2)], study={"search": SEARCH})[
        UNCONFIRMED
    ]

    assert [("#7 (mean of 2 search trials)", "2 (search)"), ("#9", "1 (search)")] == columns(table, "config", "seeds")


def test_headings_name_the_split(handmade: ModuleType, tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """The word stands beside the mean, where narrow screens show it."""
    table = tables_of(handmade, tmp_path, rows)["Means over several seeds"]

    first, then = ["dev EER (%)", "dev: to “paper”", "seeds"], ["95 % interval", "dev minus “paper”"]
    assert [*first, *then, "its 95 % interval"] == [column.title for column in table.columns[2:8]]


def test_notes_say_what_intervals_cover(handmade: ModuleType, tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """Seeds, for these speakers; missing seeds; and what a dash under a knob means, where there is one."""
    rows[0]["knob.beta_alpha"] = 0.7
    table = tables_of(handmade, tmp_path, rows)["Means over several seeds"]
    unlike = "Where seeds are missing, means rest on different seeds; the difference is over the common ones."
    dash = "– under a knob: it has no effect there."

    assert "Intervals are over seeds, for these speakers" in table.notes[0]
    assert unlike in table.notes
    assert dash not in table.notes
    inactive = [{**row, "knob.beta_alpha": None} if row["arm"] == "AP loss" else row for row in rows]
    assert dash == tables_of(handmade, tmp_path, inactive)["Means over several seeds"].notes[-1]
    whole = [row for row in rows if row["arm"] in ("paper", "AP loss")]
    assert unlike not in tables_of(handmade, tmp_path, whole)["Means over several seeds"].notes


@pytest.mark.parametrize("seeds", [1, 3])
def test_arms_with_trained_weights_name_them(
    handmade: ModuleType, tmp_path: Path, rows: list[dict[str, Any]], seeds: int
) -> None:
    """Whose they are stands behind the arm's name, in both tables."""
    arms = [{"name": "AP loss", "config": {}, "init_from": "slow"}, {"name": "slow", "config": {"loss": "ap"}}]
    made = [row for row in rows if row["seed"] <= seeds and row["arm"] in ("paper", "AP loss")]
    (table,) = tables_of(handmade, tmp_path, made, study={"seeds": seeds, "arm": arms}).values()

    assert [("AP loss (from slow)",), ("paper (baseline)",)] == columns(table, "config")


def test_one_seed_for_all_is_unconfirmed(handmade: ModuleType, tmp_path: Path) -> None:
    """A study with one seed has no other table of configs, and nothing in it is bold."""
    made = [handmade.measured("paper", 1, 0.2), handmade.measured("AP loss", 1, 0.1)]
    tables = tables_of(handmade, tmp_path, made, study={"seeds": 1})

    assert [UNCONFIRMED] == list(tables)
    (table,) = tables.values()
    assert [("1", "AP loss"), ("2", "paper (baseline)")] == columns(table, "rank", "config")
    assert not any(row.strong for row in table.rows)


def test_inactive_knobs_are_a_dash(fabricate_run: Callable[..., Path], tmp_path: Path) -> None:
    """The AP loss mixes nothing: it has no beta_alpha, in both tables."""
    run = read_run(fabricate_run(tmp_path / "run", seeds=2, arms=("AP loss",), confirm=1, test=True))
    for table in leaderboard(run, summarise(run)).tables:
        found = columns(table, "loss", "beta_alpha")

        assert {("ap", "–")} == {pair for pair in found if pair[0] == "ap"}
        assert all(alpha != "–" for loss, alpha in found if loss != "ap")
