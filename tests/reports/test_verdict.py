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


def test_the_doubt_stands_directly_behind_the_headline(handmade: ModuleType, said: Callable[..., str]) -> None:
    """Before any difference is named."""
    lines = said([handmade.trial(None), handmade.trial(0, objective=0.05)]).split("\n")

    assert lines[1].startswith("Unconfirmed: one seed a config;")
    assert lines[2].startswith("The baseline “paper” has 10.00 %")


def test_a_mean_over_search_trials_is_no_trial(handmade: ModuleType, said: Callable[..., str]) -> None:
    """The search tried a config twice: the headline says what its value is."""
    searched = [handmade.trial(n, objective=v, config_id="c7") for n, v in ((7, 0.04), (8, 0.06))]
    text = said([handmade.trial(None), *searched])

    assert "is 5.00 ± 1.41 %, by config #7 (mean of 2 search trials) with" in text
    assert "Unconfirmed: measured by the search alone, or with one seed; differences may be noise" in text


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
    """From two seeds on, the deviation and an interval are printed; a config with one seed keeps the doubt."""
    rows = [handmade.measured("paper", seed, value) for seed, value in enumerate((0.1, 0.12, 0.14))]
    text = said(rows)

    assert "12.00 ± 2.00 % (3 seeds)" in text
    assert "The 95 % interval of the mean is 7.03 to 16.97." in text
    assert "1 more config is unconfirmed (one seed): it is listed apart" in said([*rows, handmade.trial(5)])


def test_facts_on_top(handmade: ModuleType, tmp_path: Path) -> None:
    """The best confirmed mean and the baseline's with their seeds; while none is confirmed, the best seen."""
    several = [
        handmade.measured(name, seed, v + 0.01 * seed) for name, v in (("paper", 0.2), ("#7", 0.1)) for seed in (1, 2)
    ]
    single = [handmade.trial(None, objective=0.2), handmade.trial(7, objective=0.1)]
    found = []
    for rows in (several, single, []):
        run = handmade.run_of(tmp_path, rows)
        found.append([(fact.label, fact.value, fact.note) for fact in verdict(run, summarise(run)).facts[:3]])

    untrained = ("untrained net", "40.00 %", "the best config before its first step")
    assert [
        ("lowest mean dev EER", "11.50 ± 0.71 %", "config #7, 2 seeds"),
        ("baseline “paper”", "21.50 ± 0.71 %", "2 seeds"),
        untrained,
    ] == found[0]
    assert [
        ("lowest dev EER seen", "10.00 %", "trial #7, unconfirmed"),
        ("baseline “paper”", "20.00 %", "1 seed"),
        untrained,
    ] == found[1]
    assert [("lowest dev EER seen", "–", "no complete trial yet"), ("baseline “paper”", "–", "has not run")] == found[
        2
    ][:2]


def test_other_weights_are_no_untrained_net(handmade: ModuleType, tmp_path: Path, said: Callable[..., str]) -> None:
    """An arm that starts from another's weights: epoch 0 is before its own training, not an untrained net."""
    rows = [
        *(handmade.measured("paper", seed, 0.3) for seed in (1, 2)),
        *(handmade.measured("tuned", seed, 0.1, init=f"t-paper-{seed}") for seed in (1, 2)),
    ]
    run = handmade.run_of(tmp_path, rows)
    labels = [fact.label for fact in verdict(run, summarise(run)).facts]

    assert "Before its own training, from the weights of another trial, this net has 40.00 %: after it" in said(rows)
    assert "untrained" not in said(rows)
    assert "untrained" not in said(rows, epochs=[])
    assert "before its own training" in labels
    assert "untrained net" not in labels


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
