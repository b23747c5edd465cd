"""A paper's table in words: headings, cells and notes, the same for every format, without any markup."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reports.blocks import Column, Row, Section
from reports.blocks import Table as TableBlock
from reports.paper_table import DEV, TEST, PaperCell, PaperTable, paper_table
from reports.reading import Run
from reports.statistics import Estimate
from reports.summaries import Summary
from reports.table_notes import notes
from reports.words import (
    NOTHING,
    clean,
    limit,
    measure_of,
    number,
    short_setting,
    signed,
    signed_difference,
)
from search_spaces.table import Published

MEANING = "mean ± standard deviation (number of seeds)"
PUBLISHED, GAIN, PUBLISHED_GAIN, DIFFERENCE = "published", "gain", "published gain", "difference"
PARTS = (TEST, DEV, PUBLISHED, GAIN, PUBLISHED_GAIN, DIFFERENCE)
MOST_BESIDE = 10  # sub-columns that are still read side by side


@dataclass(frozen=True)
class Text:
    """What is written in a cell; bold is kept for what the interval supports."""

    text: str
    is_bold: bool = False


@dataclass(frozen=True)
class Group:
    """A column of the table with the headings of its sub-columns."""

    title: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """A row of the table: its name, then a text a sub-column; or the title of the block of rows below it."""

    head: str
    cells: tuple[Text, ...]
    is_title: bool = False


@dataclass(frozen=True)
class TableText:
    """A table that is ready to be set; `groups` have empty titles where there is one unnamed column.

    `title` is the caption without the metric and what its numbers are.
    """

    title: str
    caption: str
    corner: str
    groups: tuple[Group, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    def headings(self) -> list[str]:
        """One heading a sub-column, for formats with a single heading row: "AP loss: test"."""
        return [f"{g.title}: {part}" if g.title else part for g in self.groups for part in g.parts]


def paper_section(run: Run, summary: Summary) -> Section:
    """The report's section: the study's table, or its arms and confirmed configs if it states none."""
    del summary
    study = run.study
    if study.table is None and not study.arms and study.confirm is None:
        alone = "The study states no table, and no arm or confirmed config stands beside the baseline."
        return Section("table", "Table", (alone,))
    table = paper_table(run)
    text = table_text(table)
    columns = (Column(text.corner), *(Column(heading, True) for heading in text.headings()))
    rows = [
        Row(
            (line.head, *(cell.text for cell in line.cells)),
            mark="title" if line.is_title else "baseline" if line.head == clean(table.baseline) else "",
            strong=tuple(place for place, cell in enumerate(line.cells, start=1) if cell.is_bold),
        )
        for line in text.lines
    ]
    return Section("table", "Table", tables=(TableBlock(text.caption, columns, tuple(rows), text.notes),))


def table_text(table: PaperTable) -> TableText:
    """The table in words: what is said of a column side by side, or below one another where that would be too wide."""
    measure = measure_of(table.metric)
    title = table.caption.strip()
    parts = {column: parts_of(table, column) for column in table.columns}
    groups, lines = (_beside if sum(map(len, parts.values())) <= MOST_BESIDE else _below)(table, parts)
    return TableText(
        title=clean(title),
        caption=clean(f"{title}{'' if title.endswith(('.', '?', '!')) else '.'} {measure.heading}, {MEANING}"),
        corner=clean(table.corner),
        groups=groups,
        lines=lines,
        notes=tuple(clean(note) for note in notes(table)),
    )


def _beside(table: PaperTable, parts: Mapping[str, tuple[str, ...]]) -> tuple[tuple[Group, ...], tuple[Line, ...]]:
    """A sub-column for all that is said of a column."""
    groups = [Group(clean(column), tuple(heading(table, part) for part in found)) for column, found in parts.items()]
    lines = [
        Line(clean(row), tuple(_text(table, row, column, part) for column in parts for part in parts[column]))
        for row in table.rows
    ]
    return tuple(groups), tuple(lines)


def _below(table: PaperTable, parts: Mapping[str, tuple[str, ...]]) -> tuple[tuple[Group, ...], tuple[Line, ...]]:
    """The table's own columns; a block of rows for all that is said of them."""
    lines: list[Line] = []
    for part in PARTS:
        columns = [column for column in parts if part in parts[column]]
        texts = {
            row: tuple(_text(table, row, column, part) if column in columns else Text("") for column in parts)
            for row in table.rows
        }
        said = [Line(clean(row), cells) for row, cells in texts.items() if any(cell.text for cell in cells)]
        if said:
            lines += [Line(heading(table, part), (Text(""),) * len(parts), is_title=True), *said]
    return tuple(Group("", (clean(column),)) for column in parts), tuple(lines)


def parts_of(table: PaperTable, column: str) -> tuple[str, ...]:
    """The sub-columns of a column: those in which one of its cells could have something to say."""
    cells = table.column_cells(column)
    is_measured = any(cell.is_measured for cell in cells)
    on_dev = any(cell.dev for cell in table.cells.values()) or not any(cell.test for cell in table.cells.values())
    is_compared = any(cell.comparison is not None for cell in cells)
    wanted = {
        TEST: is_measured and table.has_test,
        DEV: is_measured and on_dev,
        PUBLISHED: any(cell.published is not None for cell in cells),
        GAIN: is_compared,
        PUBLISHED_GAIN: any(cell.published_gain is not None for cell in cells),
        DIFFERENCE: is_compared,
    }
    return tuple(part for part, is_wanted in wanted.items() if is_wanted)


def heading(table: PaperTable, part: str) -> str:
    """The heading of a sub-column, with its unit where it is not the metric's own."""
    points = "points; " if measure_of(table.metric).unit == "%" else ""
    side = "below" if table.minimize else "above"
    units = {
        GAIN: "gain (%)",
        PUBLISHED_GAIN: "published gain (%)",
        DIFFERENCE: f"difference ({points}{side} 0 is better) [95 % interval]",
    }
    return units.get(part, part)


def _text(table: PaperTable, row: str, column: str, part: str) -> Text:
    cell = table.cells.get((row, column))
    if cell is None:
        return Text("")
    if part in (TEST, DEV):
        compared = cell.comparison
        is_better = compared is not None and (compared.split, compared.verdict) == (part, "better")
        return Text(f"{chosen_text(table, cell, part)}{_value(table, cell, part)}", is_better)
    writers: Mapping[str, Callable[[PaperTable, PaperCell], str]] = {
        PUBLISHED: lambda table, cell: published_text(table, cell.published),
        GAIN: gain_text,
        PUBLISHED_GAIN: lambda _, cell: "" if cell.published_gain is None else signed(number(cell.published_gain, 2)),
        DIFFERENCE: difference_text,
    }
    return Text(writers[part](table, cell))


def _value(table: PaperTable, cell: PaperCell, split: str) -> str:
    return value_text(table, cell.estimate(split)) if cell.is_measured else ""


def chosen_text(table: PaperTable, cell: PaperCell, split: str) -> str:
    """Which of several arms stands in a cell, before its first value: "α 0.4: "."""
    if not cell.choices or cell.name is None or split != (TEST if table.has_test else DEV):
        return ""
    return f"{short_setting(cell.setting) or cell.name}: "


def value_text(table: PaperTable, found: Estimate | None) -> str:
    """A mean with its standard deviation and the number of seeds; how many are missing, if some are."""
    if found is None:
        return NOTHING
    measure = measure_of(table.metric)
    values = [found.mean] if found.std is None else [found.mean, found.std]
    text = " ± ".join(number(value * measure.factor, measure.decimals) for value in values)
    if found.n < table.seeds:
        return f"{text} ({found.n} of {table.seeds} seeds)"
    return f"{text} ({found.n})" if found.n > 1 else f"{text} (one seed)"


def published_text(table: PaperTable, figure: Published | None) -> str:
    """A paper's figure, which has the report's unit already."""
    if figure is None:
        return ""
    decimals = measure_of(table.metric).decimals
    text = " ± ".join(number(value, decimals) for value in (figure.mean, figure.std) if value is not None)
    return f"{text} ({figure.n})" if figure.n > 1 else text


def gain_text(_: PaperTable, cell: PaperCell) -> str:
    """The relative improvement in percent."""
    if cell.comparison is None or cell.comparison.verdict == "same":
        return ""
    return NOTHING if cell.comparison.gain is None else signed(number(cell.comparison.gain, 2))


def difference_text(table: PaperTable, cell: PaperCell) -> str:
    """The difference to the baseline, its interval, and what the interval supports; or why there is none."""
    compared = cell.comparison
    if compared is None:
        return "baseline" if cell.is_baseline and cell.is_measured else ""
    if compared.verdict == "same":
        return "same as the baseline"
    if not compared.is_known:
        return NOTHING
    is_mixed = len({one.split for _, one in table.known()}) > 1
    where = " on dev" if is_mixed and compared.split == DEV else ""
    found, metric = compared.difference, table.metric
    if found is None:
        return f"{NOTHING} (no common seed){where}"
    if found.low is None or found.high is None:
        common = "common " if table.method == "paired" and table.seeds > 1 else ""
        return f"{NOTHING} (one {common}seed){where}"
    ends = ", ".join(signed(limit(metric, end)) for end in (found.low, found.high))
    return f"{signed_difference(metric, found.mean)} [{ends}] {compared.verdict}{where}"
