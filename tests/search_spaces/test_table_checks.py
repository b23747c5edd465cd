from collections.abc import Callable

import pytest

from search_spaces.reading import ReadStudy

BODY = """
[corpus]
train = "synthetic"
[[arm]]
name = "AP"
config = { loss = "ap" }
[search]
trials = 4
[search.space]
learning_rate = true
[confirm]
top = 2
[table]
caption = "EER"
baseline = "AP loss"
"""
CELLS = (
    '{ row = "2", column = "AP loss", arm = "AP" }',
    '{ row = "2", column = "mixup", arm = ["paper", "AP"], published = { mean = 1, std = 0, n = 3 } }',
    '{ row = "2", column = "best", confirmed = 2 }',
    '{ row = "4", column = "AP loss", published = { mean = 3.5 } }',
)


def table(*cells: str, head: str = BODY) -> str:
    """A study with a table of the cells that are right, and these."""
    return head + f"cell = [{', '.join((*CELLS, *cells))}]"


def test_a_table_is_read_in_the_order_of_its_cells(read_body: Callable[..., ReadStudy]) -> None:
    """Arms, confirmed configs and published figures; each cell is compared with the baseline's in its row."""
    found = read_body(table('{ row = "4", column = "mixup", arm = "paper" }')).study.table

    assert found is not None
    assert (["2", "4"], ["AP loss", "mixup", "best"]) == (found.rows(), found.columns())
    assert [None, found.cells[0], found.cells[0], None, found.cells[3]] == [
        found.compared_with(cell) for cell in found.cells
    ]
    assert ("paper", "AP") == found.cells[1].arm


def test_a_row_may_be_the_baseline_of_one_column(read_body: Callable[..., ReadStudy]) -> None:
    """A table of one column needs no name for it."""
    head = BODY.replace("AP loss", "AP")
    found = read_body(head + 'cell = [{ row = "AP", arm = "AP" }, { row = "mixup", arm = "paper" }]').study.table

    assert found is not None
    assert [None, found.cells[0]] == [found.compared_with(cell) for cell in found.cells]


WRONG = {
    "unknown arm": (
        table('{ row = "2", column = "x", arm = "papr" }'),
        "table.cell[5].arm: no arm 'papr'; did you mean 'paper'? (choices: paper, AP)",
    ),
    "unknown arm of several": (
        table('{ row = "2", column = "x", arm = ["paper", "mixup"] }'),
        "table.cell[5].arm: no arm 'mixup' (choices: paper, AP)",
    ),
    "confirmed too many": (
        table('{ row = "2", column = "x", confirmed = 3 }'),
        "table.cell[5].confirmed: `confirmed <= top` must hold, but got confirmed=3, and top=2 in [confirm]",
    ),
    "nothing confirmed": (
        table(head=BODY.replace("[confirm]\ntop = 2\n", "")),
        "table.cell[3].confirmed: needs [confirm], which says how many of the search's best configs are confirmed",
    ),
    "arm and confirmed": (
        table('{ row = "2", column = "x", confirmed = 1, arm = "AP" }'),
        "table.cell[5]: either an arm or a confirmed config, but got both",
    ),
    "empty cell": (
        table('{ row = "2", column = "x" }'),
        "table.cell[5]: is empty: it needs arm = …, confirmed = … or a published figure",
    ),
    "no arms": (table('{ row = "2", column = "x", arm = [] }'), "table.cell[5].arm: must have at least 1 entry"),
    "same place": (
        table('{ row = "2", column = "mixup", arm = "AP" }'),
        "table.cell[5]: stands in the place of table.cell[2]: row '2', column 'mixup'",
    ),
    "no baseline": (
        table('{ row = "8", column = "mixup", arm = "paper" }'),
        "table.cell[5]: is compared with row '8', column 'AP loss', where there is no cell",
    ),
    "unknown baseline": (
        table(head=BODY.replace('"AP loss"', '"AP los"')),
        "table.baseline: no row or column 'AP los'; did you mean 'AP loss'? (choices: 2, 4, AP loss, mixup, best)",
    ),
    "two baselines": (
        table('{ row = "AP loss", column = "AP loss", arm = "AP" }'),
        "table.baseline: must say which row or column is the baseline, but 'AP loss' is both; give one another name",
    ),
    "metric": (
        table(head=BODY + 'metric = "err"\n'),
        "table.metric: contrastive_mixup has no metric 'err'; did you mean 'eer'? (choices: eer, min_dcf)",
    ),
    "std of one": (
        table('{ row = "2", column = "x", published = { mean = 1.0, std = 0.1 } }'),
        "table.cell[5].published.n: `n >= 2` must hold where there is a std, but got n=1",
    ),
    "negative std": (
        table('{ row = "2", column = "x", published = { mean = 1.0, std = -0.1, n = 3 } }'),
        "table.cell[5].published.std: `std >= 0` must hold, but got -0.1",
    ),
    "mean is a text": (
        table('{ row = "2", column = "x", published = { mean = "1.0" } }'),
        'table.cell[5].published.mean: must be a number, but got "1.0"',
    ),
    "figure alone": (
        table('{ row = "2", column = "x", published = 3.4 }'),
        "table.cell[5].published: must be a table, but got 3.4",
    ),
    "no mean": (
        table('{ row = "2", column = "x", published = { n = 3 } }'),
        "table.cell[5].published.mean: is missing: write mean = ",
    ),
    "unknown key of a cell": (
        table('{ row = "2", colum = "x", arm = "AP" }'),
        "table.cell[5].colum: [[table.cell]] has no such key; did you mean 'column'?",
    ),
    "unknown key of a table": (
        table(head=BODY.replace("[table]", '[table]\ncorener = "x"')),
        "table.corener: [table] has no such key; did you mean 'corner'?",
    ),
    "no row": (table('{ column = "x", arm = "AP" }'), 'table.cell[5].row: is missing: write row = "…"'),
    "no cells": (BODY, "table.cell: is missing: write [[table.cell]] with row = "),
    "no cell": (BODY + "cell = []", "table.cell: must have at least 1 entry, but got []"),
    "one bracket": (BODY + '[table.cell]\nrow = "2"', "table.cell: cells are a list: write [[table.cell]] with two"),
    "no caption": (table(head=BODY.replace('caption = "EER"', "")), "table.caption: is missing: write caption = "),
}


@pytest.mark.parametrize(("body", "expected"), WRONG.values(), ids=list(WRONG))
def test_a_mistake_is_one_precise_message(mistakes: Callable[..., list[str]], body: str, expected: str) -> None:
    """Each mistake in a table is said once, where it stands."""
    [message] = mistakes(body)

    assert message.startswith(expected)


def test_a_cell_of_the_wrong_shape_hides_no_other_mistake(mistakes: Callable[..., list[str]]) -> None:
    """All cells are looked at."""
    found = mistakes(table('{ row = 3, arm = "AP" }', '{ row = "2", column = "x", arm = "nobody" }'))

    assert ["table.cell[5].row", "table.cell[6].arm"] == [text.split(": ")[0] for text in found]
