"""What arms and confirmations measured, seed by seed."""

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from reports.measured import by_seed, measurements
from reports.reading import read_run

COLUMNS = "config_id name arm number phase seed trial_id state dev test"


def test_arms_and_confirmations_by_name(handmade: ModuleType, tmp_path: Path) -> None:
    """A row a trial that is no search trial; a confirmation is called after the search's number."""
    rows = [
        handmade.trial(7),
        handmade.measured("paper", 1),
        handmade.measured("#7", 1),
        handmade.measured("AP loss", 1),
    ]
    found = measurements(handmade.run_of(tmp_path, rows), "eer")

    assert COLUMNS.split() == found.columns
    assert [("paper", "arm"), ("#7", "confirm"), ("AP loss", "arm")] == found.select("name", "phase").rows()


@pytest.mark.parametrize("state", ["failed", "running", "pruned"])
def test_dev_is_that_of_complete_trials_alone(handmade: ModuleType, tmp_path: Path, state: str) -> None:
    """A trial that did not reach its last epoch has no value, nor has one whose value is no number."""
    rows = [
        handmade.measured("paper", 1, 0.1),
        handmade.measured("paper", 2, 0.2, state=state),
        handmade.measured("paper", 3, math.nan),
        handmade.measured("paper", 4, math.inf),
        handmade.measured("paper", 5, 0.3),
    ]
    found = measurements(handmade.run_of(tmp_path, rows, epochs=[]), "eer")

    assert [0.1, None, None, None, 0.3] == found["dev"].to_list()
    assert {1: 0.1, 5: 0.3} == by_seed(found, "dev")


def test_other_metrics_are_those_of_the_last_epoch(handmade: ModuleType, tmp_path: Path) -> None:
    """Of epochs 0, 1, 2 the last; an earlier one does not stand in for a lost row; an unknown metric is null."""
    whole, torn = handmade.measured("paper", 1), handmade.measured("paper", 2)
    epochs = [*handmade.curve(whole, [0.4, 0.3, 0.1]), *handmade.curve(torn, [0.4, 0.3])]
    run = handmade.run_of(tmp_path, [whole, torn], epochs=epochs)

    assert [pytest.approx(0.2), None] == measurements(run, "min_dcf")["dev"].to_list()
    assert [None, None] == measurements(run, "accuracy")["dev"].to_list()
    assert [None, None] == measurements(run, "accuracy")["test"].to_list()


def test_test_is_what_was_read(handmade: ModuleType, tmp_path: Path) -> None:
    """A reading belongs to its trial, in every metric; without one, or without a number in it, there is none."""
    rows = [handmade.measured("paper", seed) for seed in (1, 2, 3)]
    readings = [handmade.reading(rows[0], 0.12), handmade.reading(rows[1], math.nan)]
    readings.append(handmade.reading(rows[2], 0.5, split="other"))
    run = handmade.run_of(tmp_path, rows, readings=readings)

    assert [0.12, None, None] == measurements(run, "eer")["test"].to_list()
    assert {1: 0.24} == by_seed(measurements(run, "min_dcf"), "test")


def test_nothing_measured_is_an_empty_frame(handmade: ModuleType, tmp_path: Path) -> None:
    """No trial, or trials of the search alone."""
    for rows in ([], [handmade.trial(0)]):
        found = measurements(handmade.run_of(tmp_path, rows), "eer")

        assert (0, COLUMNS.split()) == (found.height, found.columns)
        assert {} == by_seed(found, "dev")


def test_a_written_run_reads_as_it_was_fabricated(fabricate_run: Callable[..., Path], tmp_path: Path) -> None:
    """Three seeds of every arm and confirmation, each with dev and test, through the real writer and reader."""
    folder = fabricate_run(tmp_path / "run", seeds=3, arms=("AP loss",), confirm=2, test=True)
    found = measurements(read_run(folder), "eer")

    assert 4 == found["config_id"].n_unique()
    assert {1, 2, 3} == set(found["seed"])
    assert 12 == found.select("dev", "test").drop_nulls().height
    assert {"arm": 6, "confirm": 6} == dict(found["phase"].value_counts().iter_rows())
    assert (found.filter(pl.col("phase") == "confirm")["name"].str.starts_with("#")).all()


def test_the_committed_run_has_its_one_baseline_trial() -> None:
    """A run of the first schema has no readings and one seed: it reads, with one row."""
    found = measurements(read_run(Path(__file__).with_name("data") / "run_v1"), "eer")

    assert [("paper", None)] == found.select("name", "test").rows()
    assert 1 == found["dev"].drop_nulls().len()
