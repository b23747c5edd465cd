"""PAPERS.md speaks of what exists: functions, knobs, tests, studies; and leaves out no loss, mixup, metric or table."""

import ast
import importlib
import inspect
import math
import re
import tomllib
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from reports.statistics import relative_improvement
from search_spaces.knob_checks import value_problems
from search_spaces.knobs import knobs_of
from search_spaces.reading import read_study, shipped_studies
from search_spaces.registry import CONFIGS
from trainables import losses, metrics, mixup

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "PAPERS.md").read_text()
ROOMS = ("search_spaces", "trainables", "reports", "voxstudy")
TRAINABLE = "contrastive_mixup"
Figures = dict[tuple[str, str], tuple[float, float]]
HEADINGS = ("source", "function", "test", "study")


def rows() -> list[list[str]]:
    """The cells of all rows of all tables; the first column is what the paper says."""
    lines = [line for line in TEXT.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("|---")]


def names_of(column: int) -> list[str]:
    """What stands in backticks in a column."""
    return [name for row in rows() if tuple(row[1:]) != HEADINGS for name in quoted(row[column])]


def quoted(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


def exists(path: str) -> bool:
    """Whether a dotted path is a module, or something in one."""
    parts = path.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            if not hasattr(found, name):
                return False
            found = getattr(found, name)
        return True
    return False


def knob_problems(text: str) -> list[str]:
    """What is wrong with `knob` or `knob = value`; nothing if a study's [config] may have it."""
    name, is_set, value = text.partition(" = ")
    knobs = knobs_of(CONFIGS[TRAINABLE])
    if not is_set:
        return [] if name in knobs else [f"{TRAINABLE} has no knob {name!r}"]
    try:
        given = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        given = value  # a text, without its quotes
    return [str(problem) for problem in value_problems({name: given}, "PAPERS.md", TRAINABLE, knobs)]


@cache
def functions_of(path: str) -> frozenset[str]:
    """The names of the test functions of a file, also those in classes."""
    tree = ast.parse((ROOT / path).read_text())
    names = (node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return frozenset(name for name in names if name.startswith("test_"))


def public_functions(module: ModuleType) -> list[str]:
    """The functions that a module offers, by their dotted paths."""
    found = inspect.getmembers(module, inspect.isfunction)
    return [f"{module.__name__}.{n}" for n, f in found if not n.startswith("_") and f.__module__ == module.__name__]


def test_every_row_is_whole() -> None:
    """Five cells; a source that is paper, code or ours; none of them empty."""
    for row in rows():
        assert 5 == len(row), row
        assert all(row), row
        if tuple(row[1:]) != HEADINGS:
            words = set(re.findall(r"\b(paper|code|ours)\b", row[1]))
            assert words, row
            assert not re.sub(r"\b(paper|code|ours|place|rest|order|nested|α = 0)\b|[:;, ]", "", row[1]), row


@pytest.mark.parametrize("name", sorted(set(names_of(2))))
def test_functions_and_knobs_exist(name: str) -> None:
    """A dotted path leads to something, all else is a knob with a value that it may have."""
    if name.partition(".")[0] in ROOMS:
        assert exists(name), f"PAPERS.md names {name}, which does not exist"
    else:
        assert [] == knob_problems(name)


@pytest.mark.parametrize("node", sorted(set(names_of(3))))
def test_tests_exist(node: str) -> None:
    """A file of this repository and a test function in it."""
    path, _, name = node.partition("::")

    assert (ROOT / path).is_file(), f"PAPERS.md names {path}, which does not exist"
    assert name in functions_of(path), f"PAPERS.md names {node}, but that file has no such test"


@pytest.mark.parametrize("name", sorted(set(names_of(4))))
def test_studies_are_shipped(name: str) -> None:
    """By the name that `voxstudy run` takes."""
    assert name in shipped_studies()


def test_whatever_else_is_quoted_exists() -> None:
    """In the other columns and in the text: knobs, trainables, commands."""
    prose = [name for line in TEXT.splitlines() if not line.startswith("|") for name in quoted(line)]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for name in [*prose, *names_of(0), *names_of(1)]:
        if name.startswith("make "):
            assert name.removeprefix("make ") in targets, f"the Makefile has no target for `{name}`"
        elif name not in ("knob = value", "voxstudy run NAME", "distilled_multitask", *CONFIGS):
            assert [] == knob_problems(name)


@pytest.mark.parametrize("path", [path for module in (losses, mixup, metrics) for path in public_functions(module)])
def test_no_loss_mixup_or_metric_is_left_out(path: str) -> None:
    """Each public function of the three modules has a row."""
    assert path in names_of(2)


def test_no_study_with_published_figures_is_left_out() -> None:
    """Whatever shows a paper's figure beside its own has a row."""
    for name in shipped_studies():
        table = read_study(name).study.table
        if table is not None and any(cell.published is not None for cell in table.cells):
            assert name in names_of(4), f"{name} has published figures, but no row in PAPERS.md"


# As the paper prints them: mean and standard deviation of the EER in percent.
TABLE_2 = {"AP loss": (2.21, 0.03), "CE mixup (6)": (2.19, 0.01), "contrastive mixup (7)": (2.11, 0.02)}
OF_LOG_MEL = (2.44, 0.06)  # section 4.4
TABLE_3 = {
    "2": ((14.80, 0.25), (12.38, 0.24)),
    "3": ((12.32, 0.33), (10.53, 0.12)),
    "5": ((9.43, 0.14), (8.26, 0.07)),
    "10": ((6.63, 0.08), (6.05, 0.14)),
}
TABLE_4 = {
    "2": ((11.21, 0.28), (10.75, 0.15)),
    "3": ((9.15, 0.33), (8.98, 0.21)),
    "5": ((7.65, 0.12), (7.55, 0.03)),
    "10": ((5.86, 0.12), (5.84, 0.07)),
}


def two_columns(table: dict[str, tuple[tuple[float, float], tuple[float, float]]], suffix: str = "") -> Figures:
    """A table of the AP loss beside contrastive mixup, by row and column of the shipped study."""
    columns = ("AP loss" + suffix, "contrastive mixup" + suffix)
    return {(row, column): pair for row, pairs in table.items() for column, pair in zip(columns, pairs, strict=True)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "contrastive_mixup_table2",
            {(row, ""): pair for row, pair in {**TABLE_2, "contrastive mixup (7) of log-mel": OF_LOG_MEL}.items()},
        ),
        ("contrastive_mixup_table3", two_columns(TABLE_3)),
        ("contrastive_mixup_table4", two_columns(TABLE_4, " + augmentation")),
        (
            "contrastive_mixup_alpha",
            {
                **{("chosen on dev", f"{row} utterances"): mixup for row, (_, mixup) in TABLE_3.items()},
                ("chosen on dev", "all utterances"): TABLE_2["contrastive mixup (7)"],
            },
        ),
        ("mixup_seeds", {("AP loss", ""): TABLE_3["2"][0], ("contrastive mixup", ""): TABLE_3["2"][1]}),
    ],
)
def test_published_figures_are_the_papers(name: str, expected: Figures) -> None:
    """Each in its place, none missing, none beside them."""
    table = read_study(name).study.table
    assert table is not None
    cells = [cell for cell in table.cells if cell.published is not None]

    assert expected == {(c.row, c.column): (c.published.mean, c.published.std) for c in cells if c.published}


def test_the_gains_of_tables_2_to_4_come_out() -> None:
    """Cut off after the last printed digit, not rounded: so are 16.35, printed 16.3, and 1.86, printed 1.8."""
    pairs = [(TABLE_2["AP loss"], TABLE_2[row]) for row in ("CE mixup (6)", "contrastive mixup (7)")]
    gains = [relative_improvement(ours[0], base[0], minimize=True) for base, ours in (*pairs, *TABLE_3.values())]
    gains += [relative_improvement(ours[0], base[0], minimize=True) for base, ours in TABLE_4.values()]
    printed = [0.90, 4.52, 16.3, 14.5, 12.4, 8.7, 4.1, 1.8, 1.3, 0.3]
    digits = [2, 2, *[1] * 8]

    assert printed == [math.floor(gain * 10**n) / 10**n for gain, n in zip(gains, digits, strict=True) if gain]


@pytest.mark.parametrize(
    "wrong", ["trainables.losses.ap_loss", "trainables.loses.ce_mixup_loss", "reports.statistics.estimate.x"]
)
def test_a_typo_in_a_path_is_seen(wrong: str) -> None:
    """Neither a module nor a name is taken on trust."""
    assert not exists(wrong)


@pytest.mark.parametrize("wrong", ["beta_alhpa", "loss = app", "augmentation = maybe", "epochs = 0"])
def test_a_typo_in_a_knob_is_seen(wrong: str) -> None:
    """Nor a knob, nor its value."""
    assert knob_problems(wrong)
