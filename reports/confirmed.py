"""The search's configs that are confirmed, and the table of a study that states none."""

from __future__ import annotations

import polars as pl

from reports.measured import measurements, searched_best
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
    equals.
    """
    study = run.study
    measured = measurements(run, study.objective[0].metric)
    names = dict(measured.select("config_id", "name").iter_rows())
    own = set(measured.filter(pl.col("phase") == "confirm")["config_id"])
    ranked = searched_best(run.trials.collect(), goal=study.objective[0].goal)
    top = study.confirm.top if study.confirm is not None else 0
    return [(key, names[key]) for n, key in enumerate(ranked) if key in own or (n < top and key in names)]
