"""The search's configs that are confirmed, and the table of a study that states none."""

from __future__ import annotations

import polars as pl

from reports.measured import is_search_over, measurements, searched_best
from reports.reading import Run
from search_spaces.study import BASELINE
from search_spaces.table import Cell, Table


def default_table(run: Run, confirmed: list[str]) -> Table:
    """One column: the baseline, the arms in the study's order, the `confirmed` configs that are no arms."""
    arms = [BASELINE, *(arm.name for arm in run.study.arms)]
    cells = [Cell(row=name, arm=(name,)) for name in arms]
    cells += [Cell(row=name, confirmed=n) for n, name in enumerate(confirmed, start=1) if name not in arms]
    return Table(caption=run.study.title, baseline=BASELINE, cells=tuple(cells))


def confirmed_configs(run: Run) -> list[tuple[str, str]]:
    """Identity and name of the search's configs that are confirmed, the best in the search first.

    A config is confirmed by trials of its own or, if it is one of the best that [confirm] asks for, by the arm that it
    equals. Which are the best is not known before the search has ended: until then an arm confirms nothing.
    """
    study = run.study
    measured = measurements(run, study.objective[0].metric)
    names = dict(measured.select("config_id", "name").iter_rows())
    own = set(measured.filter(pl.col("phase") == "confirm")["config_id"])
    trials = run.trials.collect()
    ranked = searched_best(trials, goal=study.objective[0].goal)
    is_over = study.search is not None and is_search_over(trials, study.search.trials)
    top = study.confirm.top if study.confirm is not None and is_over else 0
    return [(key, names[key]) for n, key in enumerate(ranked) if key in own or (n < top and key in names)]
