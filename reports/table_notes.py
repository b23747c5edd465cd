"""What stands below a paper's table: how cells were compared and chosen, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator

from reports.origins import trained_longer
from reports.paper_table import DEV, TEST, Missing, PaperCell, PaperTable
from reports.words import COVERAGE, KNOB_SIGNS, METHOD_WORDS, are, best_rank, count, joined, number, seeds_between
from search_spaces.study import BASELINE

MOST_CORRELATIONS = 6  # that are told one by one
STATES = {"failed": "failed", "running": "unfinished", "pruned": "stopped early", None: "not run"}


def notes(table: PaperTable) -> list[str]:
    """The notes in the order in which they stand below the table."""
    return [
        *_comparisons(table),
        *_correlations(table),
        *_other_baseline(table),
        *trained_longer([cell.name for cell in table.cells.values() if cell.name is not None], table.origins),
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
    found = [comparison for _, comparison in table.known()]
    splits = {comparison.split for comparison in found}
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
    yield f"Gain: relative improvement of the mean over {base}, as the papers compute it."
    if any(comparison.has_interval for comparison in found):
        yield (
            f"Difference to {base}: with the 95 % interval {METHOD_WORDS[table.method]}; the study fixed this before "
            f"the run. Bold: the interval supports “better”; tied: it holds 0. Each interval holds for one comparison "
            f"by itself. {COVERAGE}"
        )
    differences = [comparison.difference for comparison in found if comparison.difference is not None]
    if table.method == "paired" and any(one.n < table.seeds for one in differences):
        yield "Where seeds are missing, the gain is of the means as shown, the difference of the common seeds alone."


def _correlations(table: PaperTable) -> Iterator[str]:
    known: list[tuple[float, str]] = []
    unknown = []
    for cell, comparison in table.known():
        found = comparison.difference
        if found is not None and found.correlation is not None:
            pairs = count(found.pairs, "pair")
            known.append((found.correlation, f"{place_of(cell)} {number(found.correlation, 2)} ({pairs})"))
        elif comparison.has_interval:
            unknown.append(place_of(cell))
    said = [text for _, text in known]
    if len(known) > MOST_CORRELATIONS:
        (_, lowest), (_, highest) = min(known), max(known)
        said = [f"{lowest} is the lowest of {len(known)}, {highest} the highest"]
    if said:
        yield f"Correlation with “{table.baseline}” over the seeds: {joined(said)}."
    if unknown:
        why = "it takes three common seeds, and values that differ"
        yield f"Correlation with “{table.baseline}” over the seeds is unknown for {joined(unknown)}: {why}."


def _other_baseline(table: PaperTable) -> Iterator[str]:
    """Says that leaderboard and verdict compare with another config than the table, where they compare at all."""
    if table.baseline_knobs is not None:
        return
    names = list(dict.fromkeys(c.name for c in table.cells.values() if c.is_baseline and c.name is not None))
    if not table.compared() or set(names) <= {BASELINE}:
        return
    held = "" if names == [table.baseline] else f" ({joined([f'“{name}”' for name in names])})"
    yield f"Compared here with “{table.baseline}”{held}; leaderboard and verdict compare with “{BASELINE}”."


def _choices(table: PaperTable) -> Iterator[str]:
    cells = [cell for cell in table.cells.values() if cell.choices]
    if not cells:
        return
    sizes = {len(cell.choices) for cell in cells}
    of_each = f"{'' if len(cells) == 1 else 'each time '}of {min(sizes)} arms " if len(sizes) == 1 else ""
    chosen = [
        f"{'none yet' if cell.name is None else f'“{cell.name}”'} for {place_of(cell)}"
        f"{'' if of_each else f' (of {len(cell.choices)} arms)'}"
        for cell in cells
    ]
    signs = {KNOB_SIGNS[name]: name for cell in cells for name, _ in cell.setting if name in KNOB_SIGNS}
    meaning = "".join(f" {sign} is the knob {name}." for sign, name in signs.items())
    yield (
        f"Chosen on dev, {of_each}the one with the best mean there: {joined(chosen)}. "
        f"A mean that was picked for being good is too good on dev; the test set had no part in the choice.{meaning}"
    )


def _confirmed(table: PaperTable) -> Iterator[str]:
    """Which of the search's configs stand in the table, and what their choice does to their values."""
    ranks: list[str] = []
    absent: list[str] = []
    for cell in table.cells.values():
        if cell.confirmed is None:
            continue
        rank = best_rank(cell.confirmed)
        if cell.name is None:
            absent.append(f"{place_of(cell)} (the search's {rank})")
        else:
            name = f", {cell.name}" if cell.name != cell.cell.row else ""
            what = f"its {rank}" if ranks else f"is the search's {rank} config"
            ranks.append(f"{place_of(cell)} {what}{name}")
    if ranks:
        unread = "; the test set had no part in the choice" if table.has_test else ""
        yield (
            f"Of the confirmed configs, by the search's own values: {'; '.join(ranks)}. "
            f"The search chose on the same dev speakers, so values on dev flatter them{unread}."
        )
    if absent:
        yield f"Not confirmed yet: {joined(absent)}."


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
        found = [one.n for cell in table.cells.values() for one in (cell.dev, cell.test) if one is not None]
        seeds = f"{seeds_between(found)} of them {are(max(found))}" if found else "what is measured on them is"
        yield f"The voices are synthetic: {seeds} no reproduction of {of_what}."
