"""Checks of [table]: what its cells name, where they stand, and that each has something to be compared with."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from search_spaces.arm_checks import arm_names
from search_spaces.problems import Problem, unknown_name
from search_spaces.registry import CONFIGS
from search_spaces.table import Cell


def table_problems(raw: Mapping[str, Any], trainable: str | None) -> Iterator[Problem]:
    """What is wrong with the table of a study; `trainable` is None where it is not known."""
    table = raw.get("table")
    if not isinstance(table, Mapping):
        return
    metric = table.get("metric")
    if trainable is not None and isinstance(metric, str) and metric and metric not in CONFIGS[trainable].metrics:
        rule = f"{trainable} has no metric {metric!r}"
        yield unknown_name("table.metric", rule, metric, list(CONFIGS[trainable].metrics))
    entries = table.get("cell")
    cells = dict(_cells(entries if isinstance(entries, list) else []))
    for place, cell in cells.items():
        yield from _content_problems(place, cell, raw)
    yield from _twice_problems(cells)
    baseline = table.get("baseline")
    if isinstance(baseline, str) and baseline and cells and len(cells) == len(table["cell"]):
        yield from _baseline_problems(baseline, cells)


def _cells(entries: list[Any]) -> Iterator[tuple[str, Cell]]:
    """The cells of the right shape, each with its place."""
    for position, entry in enumerate(entries, start=1):
        try:
            yield f"table.cell[{position}]", Cell.model_validate(entry)
        except ValidationError:
            continue  # said by the checks of the shape


def _content_problems(place: str, cell: Cell, raw: Mapping[str, Any]) -> Iterator[Problem]:
    names = arm_names(raw)
    for name in cell.arm or ():
        if name not in names:
            yield unknown_name(f"{place}.arm", f"no arm {name!r}", name, names)
    if cell.arm is not None and cell.confirmed is not None:
        yield Problem(place, "either an arm or a confirmed config, but got both")
    elif cell.arm is None and cell.confirmed is None and cell.published is None:
        yield Problem(place, "is empty: it needs arm = …, confirmed = … or a published figure")
    if cell.confirmed is not None:
        yield from _confirmed_problems(f"{place}.confirmed", cell.confirmed, raw.get("confirm"))
    if cell.published is not None and cell.published.std is not None and cell.published.n < 2:
        rule = f"`n >= 2` must hold where there is a std, but got n={cell.published.n}"
        yield Problem(f"{place}.published.n", rule, cell.published.n)


def _confirmed_problems(place: str, confirmed: int, confirm: object) -> Iterator[Problem]:
    if confirm is None:
        yield Problem(
            place, "needs [confirm], which says how many of the search's best configs are confirmed", confirmed
        )
    top = confirm.get("top") if isinstance(confirm, Mapping) else None
    if isinstance(top, int) and confirmed > top >= 1:
        rule = f"`confirmed <= top` must hold, but got confirmed={confirmed}, and top={top} in [confirm]"
        yield Problem(place, rule, confirmed)


def _twice_problems(cells: Mapping[str, Cell]) -> Iterator[Problem]:
    first: dict[tuple[str, str], str] = {}
    for place, cell in cells.items():
        other = first.setdefault((cell.row, cell.column), place)
        if other != place:
            yield Problem(place, f"stands in the place of {other}: {_written(cell.row, cell.column)}")


def _baseline_problems(baseline: str, cells: Mapping[str, Cell]) -> Iterator[Problem]:
    rows = dict.fromkeys(cell.row for cell in cells.values())
    columns = dict.fromkeys(cell.column for cell in cells.values())
    if baseline in rows and baseline in columns:
        rule = f"must say which row or column is the baseline, but {baseline!r} is both; give one another name"
        yield Problem("table.baseline", rule, baseline)
    elif baseline not in rows and baseline not in columns:
        names = [name for name in (*rows, *columns) if name]
        yield unknown_name("table.baseline", f"no row or column {baseline!r}", baseline, names)
    else:
        there = {(cell.row, cell.column) for cell in cells.values()}
        for place, cell in cells.items():
            other = (baseline, cell.column) if baseline in rows else (cell.row, baseline)
            if other not in there:
                yield Problem(place, f"is compared with {_written(*other)}, where there is no cell")


def _written(row: str, column: str) -> str:
    return f"row {row!r}, column {column!r}" if column else f"row {row!r}"
