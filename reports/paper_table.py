"""A paper's table from a run, as numbers: what arms and confirmed configs measured, beside what the paper printed.

No text is made here: `table_text` writes the cells and notes, `table_render` the formats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import polars as pl

from reports.arm_knobs import Knobs, differing_knobs, knobs_of_arms, setting_of
from reports.confirmed import confirmed_configs, default_table
from reports.manifest import RunError
from reports.measured import by_seed, measurements
from reports.origins import Origins, origins_of
from reports.reading import Run, metric_columns
from reports.schema import METRIC_PREFIX
from reports.statistics import Difference, Estimate, difference, estimate, relative_improvement
from search_spaces.knobs import Value
from search_spaces.registry import CONFIGS
from search_spaces.study import Study
from search_spaces.table import Cell, Published, Table

DEV, TEST = "dev", "test"


@dataclass(frozen=True)
class Comparison:
    """A cell against the baseline's cell on one split.

    `gain` is the relative improvement of the means in percent, None without two means; `difference` is the cell minus
    the baseline, as stored. `verdict` is "better", "worse", "tied", "unknown" without an interval, or "same" where the
    cell holds the baseline's own config.
    """

    split: str
    gain: float | None
    difference: Difference | None
    verdict: str

    @property
    def is_known(self) -> bool:
        """Whether there is a number to show."""
        return self.gain is not None or self.difference is not None

    @property
    def has_interval(self) -> bool:
        """Whether the difference has an interval."""
        return self.difference is not None and self.difference.low is not None


@dataclass(frozen=True)
class PaperCell:
    """A place of the table. `name` is the arm or config whose trials stand in it, None if there is none yet.

    `choices` are the arms of which it is the best on dev (empty unless there are several), `setting` the knobs that
    tell it from the others, with its values. Estimates are in the metric's stored unit, `published` in the report's.
    `comparison` and `published_gain` are None where there is nothing to compare with; `is_baseline` says that others
    are compared with this cell.
    """

    cell: Cell
    name: str | None
    choices: tuple[str, ...]
    setting: tuple[tuple[str, Value], ...]
    dev: Estimate | None
    test: Estimate | None
    comparison: Comparison | None
    published_gain: float | None
    is_baseline: bool

    @property
    def is_measured(self) -> bool:
        """Whether trials are asked for here; else there is a published figure alone."""
        return self.cell.arm is not None or self.cell.confirmed is not None

    @property
    def published(self) -> Published | None:
        """The paper's own figure."""
        return self.cell.published

    @property
    def confirmed(self) -> int | None:
        """The n of "the n-th best config of the search"."""
        return self.cell.confirmed

    def estimate(self, split: str) -> Estimate | None:
        """The mean on dev or test."""
        return self.test if split == TEST else self.dev


@dataclass(frozen=True)
class Missing:
    """A seed without a value on a split, and the state of its trial, None if there is no trial.

    The state is "complete" if the trial ended well, but measured nothing finite there.
    """

    name: str
    split: str
    seed: int
    state: str | None


@dataclass(frozen=True)
class PaperTable:
    """A computed table. `cells` is by (row, column); `seeds` is how many the study asks for.

    `has_test` says that the metric belongs to a test set, too, `is_synthetic` that the training voices are synthetic.
    `origins` has the arms that start from trained weights, and whose. `baseline_knobs` are those in which the arms
    differ that others are compared with: None if there is one such arm, or none.
    """

    caption: str
    corner: str
    baseline: str
    metric: str
    minimize: bool
    method: str
    seeds: int
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[str, str], PaperCell]
    missing: tuple[Missing, ...]
    has_test: bool
    is_synthetic: bool
    origins: Origins
    baseline_knobs: tuple[str, ...] | None

    def column_cells(self, column: str) -> list[PaperCell]:
        """The cells of a column, from top to bottom."""
        return [self.cells[row, column] for row in self.rows if (row, column) in self.cells]

    def compared(self) -> list[PaperCell]:
        """The measured cells that are compared with another, row by row."""
        return [cell for cell in self.cells.values() if cell.comparison is not None]

    def known(self) -> list[tuple[PaperCell, Comparison]]:
        """Those of them that have a number to show, with their comparison."""
        return [(c, c.comparison) for c in self.cells.values() if c.comparison is not None and c.comparison.is_known]


@dataclass(frozen=True)
class _Config:
    """What may stand in a cell: the values of an arm or of a confirmed config by seed."""

    name: str
    config_id: str | None
    dev: dict[int, float]
    test: dict[int, float]
    states: dict[int, str]

    def values(self, split: str) -> dict[int, float]:
        return self.test if split == TEST else self.dev

    def is_same(self, other: _Config) -> bool:
        """Whether both are one config, be it as an arm or as a confirmed one."""
        return self.name == other.name or (self.config_id is not None and self.config_id == other.config_id)


def paper_table(run: Run) -> PaperTable:
    """The table that the study states; without one, its arms and confirmed configs beside the baseline.

    Raises RunError if the table's metric is none of the trainable's.
    """
    study = run.study
    confirmed = confirmed_configs(run)
    objective = study.objective[0].metric
    asked = study.table or default_table(run, [name for _, name in confirmed])
    metric = asked.metric or objective
    minimize = _is_minimized(run, metric)
    rows = measurements(run, metric)
    sources = {(c.row, c.column): _sources(c, rows, [key for key, _ in confirmed]) for c in asked.cells}
    chosen = {place: _best(configs, minimize=minimize) for place, configs in sources.items()}
    has_test = _has_test(run, metric)
    knobs = knobs_of_arms(study)
    cells = {
        (cell.row, cell.column): _paper_cell(asked, cell, chosen, knobs, method=study.comparison, minimize=minimize)
        for row in asked.rows()
        for column in asked.columns()
        if (cell := asked.cell(row, column)) is not None
    }
    configs = {config.name: config for found in sources.values() for config in found}
    return PaperTable(
        caption=asked.caption,
        corner=asked.corner,
        baseline=asked.baseline,
        metric=metric,
        minimize=minimize,
        method=study.comparison,
        seeds=study.seeds,
        rows=tuple(asked.rows()),
        columns=tuple(asked.columns()),
        cells=cells,
        missing=tuple(_missing(configs, study.seeds, has_test=has_test)),
        has_test=has_test,
        is_synthetic=any(source.source.startswith("synthetic") for source in study.corpus.get("train", ())),
        origins=origins_of(study),
        baseline_knobs=baseline_knobs(study),
    )


def baseline_knobs(study: Study) -> tuple[str, ...] | None:
    """The knobs in which the arms differ that a study's table compares with; None without a table or with one such arm.

    Where there are several, no arm is compared with all the others: those of another row may have had more data.
    """
    if study.table is None:
        return None
    compared = [other for cell in study.table.cells if (other := study.table.compared_with(cell)) is not None]
    if len({(cell.arm, cell.confirmed) for cell in compared}) < 2:
        return None
    names = sorted({name for cell in compared for name in cell.arm or ()})
    knobs = knobs_of_arms(study)
    return differing_knobs([knobs[name] for name in names if name in knobs])


def _is_minimized(run: Run, metric: str) -> bool:
    objective = run.study.objective[0]
    known = {**CONFIGS[run.study.trainable].metrics, objective.metric: objective.goal}
    if metric not in known:
        close = get_close_matches(metric, list(known), n=1, cutoff=0.4)
        rule = f"table.metric must be one of {', '.join(known)}, but got {metric!r}"
        raise RunError(f"{run.place}: {rule}" + (f"; did you mean {close[0]!r}?" if close else ""))
    return known[metric] == "minimize"


def _sources(cell: Cell, rows: pl.DataFrame, confirmed: list[str]) -> list[_Config]:
    """The configs that may stand in a cell, also those without a trial."""
    if cell.arm is not None:
        return [_config(arm, rows.filter((pl.col("phase") == "arm") & (pl.col("arm") == arm))) for arm in cell.arm]
    if cell.confirmed is None or cell.confirmed > len(confirmed):
        return []
    found = rows.filter(pl.col("config_id") == confirmed[cell.confirmed - 1])
    return [_config([*found["arm"].drop_nulls(), found["name"][0]][0], found)]


def _config(name: str, rows: pl.DataFrame) -> _Config:
    return _Config(
        name=name,
        config_id=rows["config_id"][0] if rows.height else None,
        dev=by_seed(rows, DEV),
        test=by_seed(rows, TEST),
        states=dict(rows.select("seed", "state").iter_rows()),
    )


def _best(configs: list[_Config], *, minimize: bool) -> _Config | None:
    """The config with the best mean on dev, of equals the first; one alone needs no mean."""
    if len(configs) == 1:
        return configs[0]
    means = [(found.mean, config) for config in configs if (found := estimate(list(config.dev.values()))) is not None]
    return (min if minimize else max)(means, key=lambda pair: pair[0])[1] if means else None


def _has_test(run: Run, metric: str) -> bool:
    """Whether the metric was read on a test set, or will be."""
    read = metric_columns(run.readings)
    opened = TEST in run.corpus.select("role").collect()["role"]
    return METRIC_PREFIX + metric in read or (opened and not read)


def _paper_cell(
    asked: Table,
    cell: Cell,
    chosen: Mapping[tuple[str, str], _Config | None],
    knobs: Mapping[str, Knobs],
    *,
    method: str,
    minimize: bool,
) -> PaperCell:
    config, other = chosen[cell.row, cell.column], asked.compared_with(cell)
    comparison, published_gain = None, None
    if other is not None:
        if _asks_for_trials(cell) and _asks_for_trials(other):
            comparison = _comparison(config, chosen[other.row, other.column], method=method, minimize=minimize)
        if cell.published is not None and other.published is not None:
            published_gain = relative_improvement(cell.published.mean, other.published.mean, minimize=minimize)
    choices = cell.arm if cell.arm is not None and len(cell.arm) > 1 else ()
    return PaperCell(
        cell=cell,
        name=config.name if config is not None else None,
        choices=choices,
        setting=setting_of(config.name, choices, knobs) if config is not None and choices else (),
        dev=estimate(list(config.dev.values())) if config is not None else None,
        test=estimate(list(config.test.values())) if config is not None else None,
        comparison=comparison,
        published_gain=published_gain,
        is_baseline=any(asked.compared_with(one) is cell for one in asked.cells),
    )


def _asks_for_trials(cell: Cell) -> bool:
    return cell.arm is not None or cell.confirmed is not None


def _comparison(config: _Config | None, baseline: _Config | None, *, method: str, minimize: bool) -> Comparison:
    """On the test set if both were read there, else on dev; a config differs in nothing from itself."""
    if config is None or baseline is None:
        return Comparison(DEV, None, None, "unknown")
    split = TEST if config.test and baseline.test else DEV
    if config.is_same(baseline):
        return Comparison(split, None, None, "same")
    ours, theirs = config.values(split), baseline.values(split)
    mean, base = estimate(list(ours.values())), estimate(list(theirs.values()))
    gain = relative_improvement(mean.mean, base.mean, minimize=minimize) if mean and base else None
    found = difference(ours, theirs, method=method)
    return Comparison(split, gain, found, found.verdict(minimize=minimize) if found is not None else "unknown")


def _missing(configs: Mapping[str, _Config], seeds: int, *, has_test: bool) -> list[Missing]:
    """The seeds that a config with fewer values than seeds lacks; one that is missing on dev is not named for test."""
    found = []
    for name, config in configs.items():
        for split in (DEV, TEST) if has_test else (DEV,):
            if len(config.values(split)) < seeds:
                absent = [seed for seed in range(1, seeds + 1) if seed not in config.values(split)]
                named = [seed for seed in absent if split == DEV or seed in config.dev]
                found += [Missing(name, split, seed, config.states.get(seed)) for seed in named]
    return found
