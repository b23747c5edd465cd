"""The verdict of a study with a table: its own comparisons lead, and no best is picked over rows that are no rivals."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from reports.blocks import Section
from reports.leaderboard import leaderboard
from reports.paper_table import paper_table
from reports.reading import Run
from reports.summaries import summarise
from reports.table_notes import notes
from reports.verdict import verdict

MakeRun = Callable[..., Run]


@pytest.fixture
def run_of(handmade: ModuleType, forms: ModuleType, tmp_path: Path) -> MakeRun:
    """`run_of("table_3", **study)`: a measured run of a study of `forms.py`."""

    def make(name: str, **study: Any) -> Run:
        asked = getattr(forms, name)()
        trials, readings = forms.measured_rows(handmade, asked)
        run: Run = handmade.run_of(tmp_path, trials, readings=readings, study={**asked, **study})
        return run

    return make


def section_of(run: Run) -> Section:
    """The verdict."""
    return verdict(run, summarise(run))


def test_each_rows_difference_leads(run_of: MakeRun) -> None:
    """Counts and places first, then a line a row with difference, interval, values and the chosen α."""
    run = run_of("table_3")
    section = section_of(run)
    table = section.tables[0]
    words = [c.verdict for cell in paper_table(run).compared() if (c := cell.comparison) is not None]

    assert section.sentences[0].startswith("Of the 4 comparisons with “AP loss” on the test set, by 95 % intervals")
    assert "“10, contrastive mixup”" in section.sentences[0]
    assert ["2", "3", "5", "10"] == [row.cells[0] for row in table.rows]
    assert words == [row.cells[1] for row in table.rows]
    assert [word == "better" for word in words] == [row.strong == (1,) for row in table.rows]
    assert all("[" in row.cells[2] and row.cells[3].startswith("α 0.") for row in table.rows)
    assert ("better than “AP loss”", f"{words.count('better')} of 4") == (
        section.facts[0].label,
        section.facts[0].value,
    )


def test_no_winner_over_different_amounts_of_data(run_of: MakeRun) -> None:
    """With a baseline a row nothing is called the lowest, neither in the sentences nor in the figures on top."""
    section = section_of(run_of("table_3"))
    said = " ".join([*section.sentences, *(fact.label for fact in section.facts)])

    assert "These baselines differ in train_utterances" in said
    assert "lowest" not in said
    assert "“paper”" not in said


def test_the_leaderboard_compares_with_no_baseline_then(run_of: MakeRun) -> None:
    """Means and intervals stay; the differences to "paper" are gone, and a sentence says why."""
    for name, is_compared in (("table_3", False), ("table_2", True)):
        run = run_of(name)
        section = leaderboard(run, summarise(run))
        titles = [column.title for column in section.tables[0].columns]

        assert is_compared == ("dev minus “paper”" in titles) == ("dev: to “paper”" in titles)
        assert is_compared == any(row.mark == "baseline" for row in section.tables[0].rows)
        assert is_compared == (not any("differ in train_utterances" in said for said in section.sentences))
        assert "95 % interval" in titles


def test_with_one_baseline_the_usual_verdict_follows(run_of: MakeRun) -> None:
    """The table first, then the lowest mean and what else is said of configs."""
    section = section_of(run_of("table_2"))

    assert section.sentences[0].startswith("Of the 3 comparisons with “Original AP” on the test set")
    assert "What follows speaks of all configs, and its baseline is “paper”." == section.sentences[1]
    assert section.sentences[2].startswith(("The lowest mean dev EER", "No config beats"))
    assert "Each cell against “Original AP”, on the test set" == section.tables[0].caption


def test_twenty_comparisons(run_of: MakeRun) -> None:
    """Only counted in the sentence, a line each below; those that stand there twice are told."""
    section = section_of(run_of("alpha_table"))
    table = section.tables[0]

    assert "“" not in section.sentences[0].partition("on the test set")[2]
    assert 20 == len(table.rows)
    assert ["α", "column", "verdict"] == [column.title for column in table.columns[:3]]
    assert "5 comparisons are that of another cell with the same arm." in table.notes


def test_a_chosen_baseline_is_the_same(handmade: ModuleType, tmp_path: Path) -> None:
    """Dev may choose the baseline's own arm: then the cell differs in nothing, and is counted as such."""
    trials = [
        handmade.measured(name, seed, v + 0.01 * seed) for name, v in (("paper", 0.1), ("a", 0.2)) for seed in (1, 2)
    ]
    cells = [{"row": name, "arm": name} for name in ("paper", "a")] + [{"row": "chosen", "arm": ["paper", "a"]}]
    table = {"caption": "T", "baseline": "paper", "cell": cells}
    run = handmade.run_of(tmp_path, trials, study={"seeds": 2, "table": table, "arm": [{"name": "a"}]})
    section = section_of(run)

    assert ("worse", "the same") == tuple(row.cells[1] for row in section.tables[0].rows)
    assert "1 is worse (“a”) and 1 is the baseline's own arm." in section.sentences[0]


@pytest.mark.parametrize("num", [3, 99])
def test_one_seed_names_no_winner_over_rows_that_are_no_rivals(
    handmade: ModuleType, forms: ModuleType, tmp_path: Path, num: int
) -> None:
    """Without an interval, too: the arm with the most data would win."""
    asked = forms.table_3()
    rows = [row for row in forms.measured_rows(handmade, asked)[0] if row["seed"] == 1][:num]
    section = section_of(handmade.run_of(tmp_path, rows, study=asked))
    said = " ".join([*section.sentences, *(fact.label for fact in section.facts)])

    assert "lowest" not in said
    assert "no fair winner" in said
    assert "by 95 % intervals" not in said
    assert ("have no interval" in said) == (num == 99)


def test_a_young_run_of_one_baseline_has_the_verdict_of_any(
    handmade: ModuleType, forms: ModuleType, tmp_path: Path
) -> None:
    """While no comparison has an interval, there is nothing to lead with."""
    asked = forms.table_2()
    rows = [row for row in forms.measured_rows(handmade, asked)[0] if row["seed"] == 1][:3]
    section = section_of(handmade.run_of(tmp_path, rows, study=asked))

    assert () == section.tables
    assert "Of the" not in section.sentences[0]


def test_nothing_has_run(handmade: ModuleType, forms: ModuleType, tmp_path: Path) -> None:
    """It says so, and not that comparisons lack values."""
    section = section_of(handmade.run_of(tmp_path, [], study=forms.table_3()))

    assert "No trial has started yet: there is nothing to report." == section.sentences[0]


def test_seeds_are_those_that_were_measured(handmade: ModuleType, forms: ModuleType, tmp_path: Path) -> None:
    """Not those that were planned: in the verdict and below the table."""
    asked = forms.table_3()
    trials, readings = forms.measured_rows(handmade, asked)
    corpus = {"train": "synthetic?speakers=8"}
    run = handmade.run_of(tmp_path, trials, readings=readings, study={**asked, "seeds": 7, "corpus": corpus})
    num = len(forms.SEEDS)

    assert f"by 95 % intervals over {num} seeds," in section_of(run).sentences[0]
    (said,) = [note for note in notes(paper_table(run)) if "synthetic" in note]
    assert f"{num} seeds of them are no reproduction" in said
