"""A run's table as Markdown, LaTeX or HTML, for papers and pages of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

from reports.manifest import RunError
from reports.page import environment
from reports.paper_table import paper_table
from reports.reading import Run
from reports.table_latex import latex_tables
from reports.table_text import TableText, table_text
from reports.words import clean


def render_table(runs: Sequence[Run], format: str) -> str:
    """The table of each run, one after another, as "markdown", "latex" or "html".

    Raises RunError for another format, and for a table whose metric is unknown.
    """
    if format not in FORMATS:
        close = get_close_matches(format, list(FORMATS), n=1, cutoff=0.4)
        rule = f"--format must be one of {', '.join(FORMATS)}, but got {format!r}"
        raise RunError(rule + (f"; did you mean {close[0]!r}?" if close else ""))
    texts = FORMATS[format]([_table_of(run) for run in runs])
    return "\n".join(text.strip() + "\n" for text in texts)


def _table_of(run: Run) -> TableText:
    """The run's table in words; what could not be read stands below it."""
    text = table_text(paper_table(run))
    return replace(text, notes=(*text.notes, *(clean(f"Warning: {warning}") for warning in run.warnings)))


def _markdown(tables: Sequence[TableText]) -> list[str]:
    template = environment(autoescape=False).get_template("table.md.j2")
    return [template.render(table=table) for table in tables]


def _html(tables: Sequence[TableText]) -> list[str]:
    template = environment(autoescape=True).get_template("table.html.j2")
    return [template.render(table=table) for table in tables]


FORMATS: Mapping[str, Callable[[Sequence[TableText]], list[str]]] = {
    "markdown": _markdown,
    "latex": latex_tables,
    "html": _html,
}
