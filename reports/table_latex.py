"""Tables for LaTeX: a float of the right width, and nothing that runs off the page."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, count

from reports.latex import latex_label, latex_text
from reports.page import environment
from reports.paper_table import DEV, TEST
from reports.table_text import PUBLISHED, Group, Line, TableText

HEADING_WIDTH = 12  # letters of a line of a heading
COLUMN_WIDTH = 48  # letters: what a column of a two-column page holds
# How many letters the width of LaTeX's article holds, size by size.
SIZES = ((66, ""), (72, r"\small"), (78, r"\footnotesize"), (88, r"\scriptsize"))
PAGE_WIDTH, SMALLEST = SIZES[-1]
PAGE_LINES = 50  # of a table with its notes
NOTE_WIDTH = 95  # letters of a line of the notes


def latex_tables(tables: Sequence[TableText]) -> list[str]:
    """A float a table, for pdflatex and booktabs."""
    # Jinja's own signs mean something in LaTeX.
    made = environment(autoescape=False).overlay(
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    made.filters |= {"tex": latex_text, "stacked": _stacked, "spans": _spans}
    template = made.get_template("table.tex.j2")
    labels = _labels([table.title for table in tables])
    return [
        template.render(table=table, label=label, **_layout(table)) for label, table in zip(labels, tables, strict=True)
    ]


def _labels(titles: Sequence[str]) -> list[str]:
    """A label a table, each of its own."""
    labels: list[str] = []
    for label in map(latex_label, titles):
        again = (f"{label}-{number}" for number in count(2))
        labels.append(next(new for new in chain([label], again) if new not in labels))
    return labels


def _layout(table: TableText) -> dict[str, object]:
    """What depends on the width: the float, the size of the letters, and the parts that stand below one another."""
    is_wide = _width(table) > COLUMN_WIDTH
    if is_wide:
        table = _narrowed(table)
    parts = [table] if _width(table) <= PAGE_WIDTH else _split(table)
    widest = max(_width(part) for part in parts)
    notes = sum(-(-len(note) // NOTE_WIDTH) for note in table.notes)
    is_tall = notes + sum(_height(part) for part in parts) > PAGE_LINES
    return {
        "float": "table*" if is_wide else "table",
        "size": next((size for most, size in SIZES if widest <= most), SMALLEST),
        # One float cannot go over a page: parts that are too tall together have a float each.
        "floats": [[part] for part in parts] if is_tall else [parts],
    }


def _narrowed(table: TableText) -> TableText:
    """With line breaks in headings and cells."""
    room = max([12, *(len(line.head) for line in table.lines)])
    return replace(
        table,
        corner="\n".join(textwrap.wrap(table.corner, room)),
        groups=tuple(replace(group, parts=tuple(map(_broken, group.parts))) for group in table.groups),
        lines=tuple(_stacked_line(line) for line in table.lines),
    )


def _stacked_line(line: Line) -> Line:
    """What an interval supports, and how many seeds are missing, on a line of their own."""
    breaks = re.compile(r"(?<=\]) | (?=\(\d+ of )")
    return replace(line, cells=tuple(replace(cell, text=breaks.sub("\n", cell.text)) for cell in line.cells))


def _split(table: TableText) -> list[TableText]:
    """The same rows with as many columns at a time as a page's width holds; a group that fits stays whole."""
    pieces: list[TableText] = []
    first = 0
    for group in table.groups:
        pieces += _pieces(table, group, first)
        first += len(group.parts)
    parts = pieces[:1]
    for piece in pieces[1:]:
        both = _beside(parts[-1], piece)
        parts = [*parts[:-1], both] if _width(both) <= PAGE_WIDTH else [*parts, piece]
    return parts


def _pieces(table: TableText, group: Group, first: int) -> list[TableText]:
    """A group whole, or its values and its comparisons apart, or less."""
    num = len(group.parts)
    whole = _columns(table, group, first, first + num)
    if _width(whole) <= PAGE_WIDTH or num == 1:
        return [whole]
    values = sum(part in (TEST, DEV, PUBLISHED) for part in group.parts)
    cut = values if 0 < values < num else num // 2
    left, right = (replace(group, parts=parts) for parts in (group.parts[:cut], group.parts[cut:]))
    return _pieces(table, left, first) + _pieces(table, right, first + cut)


def _columns(table: TableText, group: Group, first: int, last: int) -> TableText:
    lines = tuple(replace(line, cells=line.cells[first:last]) for line in table.lines)
    return replace(table, groups=(group,), lines=lines)


def _beside(left: TableText, right: TableText) -> TableText:
    """Both tables' columns; a group that was taken apart is one again."""
    lines = [replace(one, cells=one.cells + other.cells) for one, other in zip(left.lines, right.lines, strict=True)]
    groups = left.groups + right.groups
    if left.groups[-1].title == right.groups[0].title:
        joined = replace(left.groups[-1], parts=left.groups[-1].parts + right.groups[0].parts)
        groups = (*left.groups[:-1], joined, *right.groups[1:])
    return replace(left, groups=groups, lines=tuple(lines))


def _width(table: TableText) -> int:
    """Letters of a line of the table, roughly."""
    headings = [table.corner, *(part for group in table.groups for part in group.parts)]
    own = [line for line in table.lines if not line.is_title]
    rows = [headings, *([line.head, *(cell.text for cell in line.cells)] for line in own)]
    widest = [max(len(line) for text in column for line in text.split("\n")) for column in zip(*rows, strict=True)]
    return sum(widest) + 2 * len(widest)


def _height(table: TableText) -> int:
    """Lines of the table, without its notes."""
    texts = [[part for group in table.groups for part in group.parts]]
    texts += [[cell.text for cell in line.cells] for line in table.lines]
    return sum(max(text.count("\n") + 1 for text in row) for row in texts)


def _spans(table: TableText) -> list[tuple[int, int]]:
    """The first and the last column of each group, from 1; the rows' names are the first of all."""
    found, first = [], 2
    for group in table.groups:
        found.append((first, first + len(group.parts) - 1))
        first += len(group.parts)
    return found


def _broken(heading: str) -> str:
    """A heading in short lines; what stands in square brackets has its own."""
    words, bracket, unit = heading.partition(" [")
    return "\n".join([*textwrap.wrap(words, HEADING_WIDTH), *([f"[{unit}"] if bracket else [])])


def _stacked(text: str, place: str, side: str = "r") -> str:
    """A text of one or several lines in LaTeX, of which the first ("t") or the last ("b") is in line with its row."""
    lines = [latex_text(line) for line in text.split("\n")]
    if len(lines) == 1:
        return lines[0]
    return rf"\begin{{tabular}}[{place}]{{@{{}}{side}@{{}}}}" + r"\\".join(lines) + r"\end{tabular}"
