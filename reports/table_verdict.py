"""The verdict of a study that states a table: what the table's own comparisons say, each cell against its baseline.

A best of all arms would be picked over rows that are no rivals (the one with the most data wins), so it is not named.
"""

from __future__ import annotations

from reports.blocks import Column, Fact, Row, Table
from reports.paper_table import DEV, TEST, Comparison, PaperCell, PaperTable
from reports.table_notes import place_of
from reports.table_text import DIFFERENCE, chosen_text, difference_text, gain_text, heading, value_text
from reports.words import METHOD_WORDS, NOTHING, are, clean, count, joined, measure_of, seeds_between

WORDS = ("better", "tied", "worse")
SAME = "the same"
MOST_NAMED = 6  # places that a sentence names


def has_verdict(table: PaperTable) -> bool:
    """Whether a comparison of the table has anything to say."""
    return any(_word(comparison) in WORDS for _, comparison in table.known())


def table_sentences(table: PaperTable) -> list[str]:
    """How many cells are better, tied or worse than the table's baseline, and why none of them is called the best."""
    if not table.known():
        return ["No comparison of the table has a value yet.", *_not_ranked(table)]
    return [_headline(table), *_not_ranked(table)]


def table_facts(table: PaperTable) -> list[Fact]:
    """How many comparisons came out which way."""
    compared = table.compared()
    better, tied, worse = (len(_places(table, word)) for word in WORDS)
    rest = len(compared) - better - tied - worse
    others = [f"{worse} worse", *([f"{rest} neither"] if rest else [])]
    return [
        Fact(f"better than “{clean(table.baseline)}”", f"{better} of {len(compared)}", f"cells, on {_splits(table)}"),
        Fact("tied with it", f"{tied} of {len(compared)}", joined(others)),
    ]


def comparisons_table(table: PaperTable) -> Table:
    """A line a comparison: readable on a narrow screen, too, where the table itself is wide."""
    found = [(cell, cell.comparison) for cell in table.compared() if cell.comparison is not None]
    several = len({cell.cell.column for cell, _ in found}) > 1
    unit, base = measure_of(table.metric).heading, f"“{clean(table.baseline)}”"
    columns = [Column(clean(table.corner) or "row"), *([Column("column")] if several else []), Column("verdict")]
    titles = (heading(table, DIFFERENCE), unit, f"{unit} of {base}", "gain (%)")
    rows = []
    for cell, compared in found:
        place = (cell.cell.row, *([cell.cell.column] if several else []))
        texts = [clean(text) for text in (*place, _word(compared), *_numbers(table, cell, compared))]
        rows.append(Row(tuple(texts), strong=(len(place),) if compared.verdict == "better" else ()))
    whose = "Each cell" if several or not found[0][0].cell.column else f"“{clean(found[0][0].cell.column)}”"
    return Table(
        f"{whose} against {base}, on {_splits(table)}",
        (*columns, *(Column(title, True) for title in titles)),
        tuple(rows),
        tuple(_doubts(table)),
    )


def _numbers(table: PaperTable, cell: PaperCell, compared: Comparison) -> tuple[str, ...]:
    """Difference with its interval, value, the baseline's value, gain."""
    baseline = table.cells[_baseline_place(table, cell)]
    own_split = TEST if table.has_test else DEV  # where `chosen_text` names the arm
    value = f"{chosen_text(table, cell, own_split)}{value_text(table, cell.estimate(compared.split))}"
    said = difference_text(table, cell).removesuffix(f" {compared.verdict}")
    return said, value, value_text(table, baseline.estimate(compared.split)), gain_text(table, cell) or NOTHING


def _baseline_place(table: PaperTable, cell: PaperCell) -> tuple[str, str]:
    if table.baseline in table.columns:
        return cell.cell.row, table.baseline
    return table.baseline, cell.cell.column


def _word(comparison: Comparison) -> str:
    """What the interval supports, "the same" for the baseline's own config, a dash without an interval."""
    return {"same": SAME, "unknown": NOTHING}.get(comparison.verdict, comparison.verdict)


def _places(table: PaperTable, word: str) -> list[str]:
    return [place_of(cell) for cell in table.compared() if cell.comparison and _word(cell.comparison) == word]


def _splits(table: PaperTable) -> str:
    splits = {comparison.split for _, comparison in table.known()}
    return "the test set" if splits == {TEST} else "dev" if splits == {DEV} else "the test set (or dev, where marked)"


def _headline(table: PaperTable) -> str:
    compared = table.compared()
    found = [(word, _places(table, word)) for word in WORDS]
    parts = [_counted(word, places, is_named=len(compared) <= MOST_NAMED) for word, places in found if places]
    same = len(_places(table, SAME))
    parts += [f"{same} {are(same)} the baseline's own arm"] if same else []
    rest = len(compared) - same - sum(len(places) for _, places in found)
    parts += [f"{rest} {'has' if rest == 1 else 'have'} no interval"] if rest else []
    asked = f"{count(len(compared), 'comparison')} with “{table.baseline}” on {_splits(table)}"
    measured = [found.difference.n for _, found in table.known() if found.difference and found.has_interval]
    by = f", by 95 % intervals over {seeds_between(measured)}" if measured else ""
    return f"Of the {asked}{by}, {joined(parts)}."


def _counted(word: str, places: list[str], *, is_named: bool) -> str:
    return f"{len(places)} {are(len(places))} {word}" + (f" ({joined(places)})" if is_named else "")


def _doubts(table: PaperTable) -> list[str]:
    method = METHOD_WORDS[table.method]
    said = [f"What is compared, and by which interval ({method}), was fixed in the study file before the run."]
    num = sum(comparison.has_interval for _, comparison in table.known())
    if num > 1:
        chance = "if nothing differed, one in 20 would leave 0 out by chance"
        said.append(f"Each of the {num} intervals holds by itself: {chance}.")
    repeated = _repeated(table)
    if repeated:
        said.append(
            f"{count(repeated, 'comparison').capitalize()} {are(repeated)} that of another cell with the same arm."
        )
    chosen = [cell.comparison for cell in table.compared() if cell.choices]
    if chosen:
        is_flattered = any(comparison is not None and comparison.split == DEV for comparison in chosen)
        end = "so differences on dev flatter it" if is_flattered else "the test set had no part in the choice"
        said.append(f"Where a cell had several arms, the one with the best mean on dev stands in it; {end}.")
    return said


def _repeated(table: PaperTable) -> int:
    """How many cells hold an arm that another cell compares with the same baseline."""
    pairs = [(cell.name, _baseline_place(table, cell)) for cell in table.compared() if cell.name is not None]
    return len(pairs) - len(set(pairs))


def _not_ranked(table: PaperTable) -> list[str]:
    """Why no best of all arms is named, where the baselines are several."""
    if table.baseline_knobs is None:
        return []
    why = f"differ in {joined(table.baseline_knobs)}" if table.baseline_knobs else "are not one config"
    of_each = "row" if table.baseline in table.columns else "column"
    own = f"Each cell is compared with “{table.baseline}” of its own {of_each}."
    return [f"{own} These baselines {why}: the best mean of all arms would be no fair winner, and none is named."]
