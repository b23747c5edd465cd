"""What stands below a paper's table: how cells were compared and chosen, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator

from reports.paper_table import DEV, TEST, Missing, PaperCell, PaperTable
from reports.words import are, count, joined, number, ordinal

STATES = {"failed": "failed", "running": "unfinished", "pruned": "stopped early", None: "not run"}
METHODS = {
    "paired": "seed by seed, with the 95 % interval of a paired t over the common seeds",
    "welch": "of the means, with the 95 % interval of Welch's t",
}


def notes(table: PaperTable) -> list[str]:
    """The notes in the order in which they stand below the table."""
    return [
        *_comparisons(table),
        *_correlations(table),
        *_choices(table),
        *_confirmed(table),
        *_missing(table),
        *_published(table),
        *_synthetic(table),
    ]


def place_of(cell: PaperCell) -> str:
    """A cell's place, in quotes: its row, and its column if that has a name."""
    return f"“{cell.cell.row}, {cell.cell.column}”" if cell.cell.column else f"“{cell.cell.row}”"


def _comparisons(table: PaperTable) -> Iterator[str]:
    splits = {cell.comparison.split for cell in table.compared() if cell.comparison is not None}
    if not splits:
        return
    unread = "the test set was not read for both sides"
    if splits == {TEST}:
        where = "the test set"
    elif splits == {DEV}:
        where = f"dev: {unread}" if table.has_test else "dev"
    else:
        where = f"the test set; where marked “on dev”, {unread}"
    yield f"Gain and difference are on {where}."
    base = f"“{table.baseline}”"
    yield (
        f"Gain: relative improvement of the mean over {base}, as the papers compute it. "
        f"Difference to {base}: {METHODS[table.method]}; the study fixed this before the run. "
        f"Bold: the interval supports “better”; tied: it holds 0. Each interval holds for one comparison by itself."
    )
    found = [cell.comparison.difference for cell in table.compared() if cell.comparison is not None]
    if table.method == "paired" and any(one is not None and one.n < table.seeds for one in found):
        yield "Where seeds are missing, the gain is of the means as shown, the difference of the common seeds alone."


def _correlations(table: PaperTable) -> Iterator[str]:
    known, unknown = [], []
    for cell in table.compared():
        found = cell.comparison.difference if cell.comparison is not None else None
        if found is not None and found.correlation is not None:
            known.append(f"{place_of(cell)} {number(found.correlation, 2)}")
        elif found is not None:
            unknown.append(place_of(cell))
    if known:
        yield f"Correlation with “{table.baseline}” over the seeds: {joined(known)}."
    if unknown:
        why = "it takes three common seeds, and values that differ"
        yield f"Correlation with “{table.baseline}” over the seeds is unknown for {joined(unknown)}: {why}."


def _choices(table: PaperTable) -> Iterator[str]:
    cells = [cell for cell in table.cells.values() if cell.choices]
    if not cells:
        return
    chosen = [
        f"{'none yet' if cell.name is None else f'“{cell.name}”'} for {place_of(cell)} (of {len(cell.choices)} arms)"
        for cell in cells
    ]
    yield (
        f"Chosen on dev, the arm with the best mean there: {joined(chosen)}. "
        f"A mean that was picked for being good is too good on dev; the test set had no part in the choice."
    )


def _confirmed(table: PaperTable) -> Iterator[str]:
    """Which of the search's configs stand in the table."""
    ranks, absent = [], []
    for cell in table.cells.values():
        if cell.confirmed is None:
            continue
        rank = "the best" if cell.confirmed == 1 else f"the {ordinal(cell.confirmed)} best"
        if cell.name is None:
            absent.append(f"{place_of(cell)} ({rank})")
        else:
            name = f", “{cell.name}”" if cell.name != cell.cell.row else ""
            ranks.append(f"{place_of(cell)} is {rank}{name}")
    if ranks:
        yield f"Of the search's configs that are confirmed, {joined(ranks)}, by the search's own values."
    if absent:
        yield f"Not confirmed yet: {joined(absent)} of the search."


def _missing(table: PaperTable) -> Iterator[str]:
    for split, where in ((DEV, "on dev"), (TEST, "on the test set")):
        by_name: dict[str, list[Missing]] = {}
        for entry in table.missing:
            if entry.split == split:
                by_name.setdefault(entry.name, []).append(entry)
        if by_name:
            named = [f"“{name}” ({_seeds(entries)})" for name, entries in by_name.items()]
            yield f"Without a value {where}: {joined(named)}."


def _seeds(entries: list[Missing]) -> str:
    """Seeds by what became of them: "seed 2 failed, seeds 3 and 4 not run"."""
    by_fate: dict[str, list[str]] = {}
    for entry in entries:
        ended = "no finite value" if entry.split == DEV else "not read or not finite"
        by_fate.setdefault(STATES.get(entry.state, ended), []).append(str(entry.seed))
    found = [f"{'seed' if len(s) == 1 else 'seeds'} {joined(s)} {fate}" for fate, s in by_fate.items()]
    return ", ".join(found)


def _published(table: PaperTable) -> Iterator[str]:
    alone = [place_of(cell) for cell in table.cells.values() if cell.published is not None and not cell.is_measured]
    if alone:
        yield f"Published, but measured by no arm of this study: {joined(alone)}."


def _synthetic(table: PaperTable) -> Iterator[str]:
    if table.is_synthetic:
        of_what = "the published figures" if any(c.published for c in table.cells.values()) else "results on speech"
        seeds = f"{count(table.seeds, 'seed')} of them {are(table.seeds)}"
        yield f"The voices are synthetic: {seeds} no reproduction of {of_what}."
