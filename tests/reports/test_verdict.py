"""What the verdict says: the result, and what is not known."""

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from reports.summaries import summarise
from reports.verdict import verdict


@pytest.fixture
def said(handmade: ModuleType, tmp_path: Path) -> Callable[..., str]:
    """The verdict of some rows as one text."""

    def speak(rows: list[dict[str, Any]], **facts: Any) -> str:
        run = handmade.run_of(tmp_path, rows, **facts)
        return "\n".join(verdict(run, summarise(run)).sentences)

    return speak


def test_best_beside_baseline_and_untrained_net(handmade: ModuleType, said: Callable[..., str]) -> None:
    """The value, its knobs, the difference in points, the ratio to the untrained net, one seed."""
    text = said([handmade.trial(None), handmade.trial(0, objective=0.05), *(handmade.trial(n) for n in (1, 2, 3))])

    assert "The lowest dev EER is 5.00 %, by trial #0 with beta_alpha 0.15 and learning_rate 0.002." in text
    assert "The baseline “paper” has 10.00 %: the best is 5.00 points below, a relative 50 %." in text
    assert "Before training, this net has 40.00 %: the trained one has 0.12 times that." in text
    assert "Unconfirmed: one seed a config; differences may be noise" in text
    assert "5 trials: 5 complete." in text
    assert "not finished" not in text
    assert "±" not in text


def test_a_metric_to_maximize_turns_the_words(handmade: ModuleType, said: Callable[..., str]) -> None:
    """The highest is best, and it lies above."""
    objective = {"objective": [{"metric": "eer", "goal": "maximize"}]}
    text = said([handmade.trial(None), handmade.trial(0, objective=0.3)], study=objective)

    assert "The highest dev EER is 30.00 %" in text
    assert "20.00 points above" in text


def test_the_baseline_may_win(handmade: ModuleType, said: Callable[..., str]) -> None:
    """Then the verdict says that nothing beats it."""
    assert "No config beats the baseline “paper”" in said([handmade.trial(None), handmade.trial(0)])


def test_several_seeds_have_a_deviation(handmade: ModuleType, said: Callable[..., str]) -> None:
    """From two seeds on, the deviation is printed; a config with one seed keeps the doubt."""
    rows = [handmade.trial(None, trial_id=f"t{n}", seed=n, objective=v) for n, v in enumerate((0.1, 0.12, 0.14))]
    text = said(rows)

    assert "12.00 ± 2.00 %" in text
    assert "no test says yet which differences are real" in text
    assert "Unconfirmed: some configs have one seed only" in said([*rows, handmade.trial(5)])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], "No trial has started yet"),
        ([{"number": 0}], "The one config measured so far, trial #0, has a dev EER of 11.00 %"),
        ([{"number": 0}], "Unconfirmed: one config with one seed"),
        ([{"number": 0}], "There is no baseline to compare with: the arm “paper” has not run."),
        ([{"number": None, "state": "failed"}, {"number": 0}], "the arm “paper” failed"),
        ([{"number": None, "state": "running"}, {"number": 0}], "the arm “paper” is not complete"),
        ([{"number": None, "state": "failed"}, {"number": 0, "state": "failed"}], "All 2 trials failed"),
        ([{"number": 0, "state": "failed"}], "The only trial failed"),
        ([{"number": 0, "state": "pruned"}, {"number": 1, "state": "running"}], "No trial is complete yet"),
        ([{"number": 0, "objective": math.nan}], "1 trial is complete, but no dev EER can be used"),
        ([{"number": 0, "state": "running"}], "0 of the 4 trials of the search have ended"),
        ([{"number": 0}, {"number": 1, "code_hash": "other"}], "trials ran with 2 versions of it"),
    ],
)
def test_odd_runs_are_said_in_words(
    handmade: ModuleType, said: Callable[..., str], rows: list[dict[str, Any]], expected: str
) -> None:
    """Every odd run has its sentence."""
    made = [handmade.trial(row["number"], **{k: v for k, v in row.items() if k != "number"}) for row in rows]
    epochs = [] if any(math.isnan(row.get("objective", 0)) for row in rows) else None

    assert expected in said(made, epochs=epochs)


def test_warnings_and_a_lost_epoch_zero(handmade: ModuleType, said: Callable[..., str]) -> None:
    """A torn fragment is named, and so is an untrained value that the tables do not hold."""
    text = said([handmade.trial(0)], epochs=[], warnings=("tables/epochs/1-2.arrow: 12 rows left out: torn",))

    assert "Warning: tables/epochs/1-2.arrow: 12 rows left out: torn" in text
    assert "The tables hold no value of the untrained net (epoch 0)." in text
