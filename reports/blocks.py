"""A report is made of sections of sentences, facts, charts, tables and verbatim texts. Both templates print these."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """One figure a reader looks for first: what it is, its value, and a remark."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A column's heading; numbers stand to the right."""

    title: str
    numeric: bool = False


@dataclass(frozen=True)
class Row:
    """A line of a table, one text a column; `mark` names the rows that are drawn apart ("baseline", "total"); of
    a "title" the first text alone is shown, as the heading of the rows below it.

    `strong` are the places of the cells, from 0, that are set in bold.
    """

    cells: tuple[str, ...]
    mark: str = ""
    strong: tuple[int, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table with a caption; the `notes` stand below it, one by one."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert all(len(row.cells) == len(self.columns) for row in self.rows), f"ragged table {self.caption!r}"


@dataclass(frozen=True)
class Chart:
    """A drawn chart: `sentence` says what the data show, `alt` is read out instead of the drawing.

    `narrow` is a second drawing for small screens, where the wide one could not be read; empty if one serves both.
    """

    key: str
    title: str
    sentence: str
    alt: str
    wide: str
    narrow: str = ""
    half: bool = False


@dataclass(frozen=True)
class Verbatim:
    """A text shown as it is (a study file, a traceback), folded away in the page."""

    title: str
    text: str
    language: str = ""


@dataclass(frozen=True)
class Section:
    """A chapter of the report, in the order: facts, sentences, charts, tables, verbatim texts."""

    key: str
    title: str
    sentences: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    verbatims: tuple[Verbatim, ...] = ()
