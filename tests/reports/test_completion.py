"""What is missing of a run, phase by phase."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from reports.completion import run_state
from reports.summaries import summarise

SEARCH = {"trials": 2, "space": {"beta_alpha": True}}
STUDY: dict[str, Any] = {"seeds": 2, "search": SEARCH, "confirm": {"top": 2}}


def state_of(handmade: ModuleType, folder: Path, rows: list[dict[str, Any]], **study: Any) -> str:
    """The sentence, empty if nothing is missing."""
    run = handmade.run_of(folder, rows, study={**STUDY, **study})
    return "".join(run_state(run, summarise(run)))


@pytest.fixture
def rows(handmade: ModuleType) -> list[dict[str, Any]]:
    """Two seeds of the baseline, a search of two, two confirmations of each."""
    confirmed = [handmade.measured(name, seed) for seed in (1, 2) for name in ("#0", "#1")]
    return [*(handmade.measured("paper", seed) for seed in (1, 2)), *(handmade.trial(n) for n in (0, 1)), *confirmed]


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        (8, ""),
        (7, "The run is not finished: 3 of 4 confirmation trials have ended. The same command continues it."),
        (4, "The run is not finished: 0 of 4 confirmation trials have ended. The same command continues it."),
        (
            3,
            "1 of the 2 trials of the search have ended. The same command continues it. Its best configs are confirmed",
        ),
        (1, "1 of the 2 trials of the arms and 0 of the 2 trials of the search have ended."),
    ],
)
def test_each_phase_is_counted(
    handmade: ModuleType, tmp_path: Path, rows: list[dict[str, Any]], kept: int, expected: str
) -> None:
    """Confirmations are counted once the search has ended, for only then they are known."""
    said = state_of(handmade, tmp_path, rows[:kept])

    assert expected in said
    assert bool(expected) == bool(said)


def test_a_trial_under_way_has_not_ended(handmade: ModuleType, tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """It is counted as missing; a failed one has ended."""
    running = [*rows[:-1], {**rows[-1], "state": "running"}]
    failed = [*rows[:-1], {**rows[-1], "state": "failed"}]

    assert "3 of 4 confirmation trials" in state_of(handmade, tmp_path, running)
    assert "" == state_of(handmade, tmp_path, failed)


def test_a_config_that_equals_an_arm_needs_no_confirmation(
    handmade: ModuleType, tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    """The arm's trials confirm it: two configs are the best, one is left to confirm."""
    same = [{**row, "config_id": "cpaper"} if row["number"] == 0 else row for row in rows]
    kept = [row for row in same if not (row["phase"] == "confirm" and row["number"] == 0)]

    assert "" == state_of(handmade, tmp_path, kept)
    assert "1 of 2 confirmation trials" in state_of(handmade, tmp_path, kept[:-1])


def test_the_best_are_counted_with_those_of_an_earlier_end(
    handmade: ModuleType, tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    """A search that went on found a better config: the old one's confirmations count, the new one's are missing."""
    found = [*rows[:4], handmade.trial(2, objective=0.01), *(row for row in rows[4:] if row["number"] == 0)]

    said = state_of(handmade, tmp_path, found, confirm={"top": 1}, search={**SEARCH, "trials": 3})

    assert "2 of 4 confirmation trials" in said


def test_equal_values_are_confirmed_in_the_order_of_their_numbers(
    handmade: ModuleType, tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    """Of two configs that share the best value, the first one is what the run confirms."""
    equal = [{**row, "objective": 0.1, "config_id": f"c{9 - (row['number'] or 0)}"} for row in rows[2:]]
    found = [*rows[:2], *(row for row in equal if row["phase"] == "search" or row["number"] == 0)]

    assert "" == state_of(handmade, tmp_path, found, confirm={"top": 1})


def test_lowered_seeds_leave_nothing_open(handmade: ModuleType, tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """Trials beyond the study's seeds stand for none that is missing."""
    seed_two = [row for row in rows if row["phase"] == "search" or row["seed"] == 2]

    assert "0 of the 1 trial of the arms and 0 of 2 confirmation trials have ended" in state_of(
        handmade, tmp_path, seed_two, seeds=1
    )


def test_without_a_search(handmade: ModuleType, tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """Arms alone; a trial under way beyond what is asked for is said too."""
    more = handmade.measured("AP loss", 1, state="running")

    assert "" == state_of(handmade, tmp_path, rows[:2], search=None, confirm=None)
    expected = "1 trial had not ended when it was read. The same command continues it."
    assert expected in state_of(handmade, tmp_path, [*rows[:2], more], search=None, confirm=None)
