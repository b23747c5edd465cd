"""`voxstudy show`: a row a trial, for people and for programs."""

import csv
import io
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from reports.listing import listing, render_listing
from reports.reading import Run, read_run


@pytest.fixture(scope="module")
def run(fabricate_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A fabricated run."""
    return read_run(fabricate_run(tmp_path_factory.mktemp("runs") / "listed", unfinished=1))


def test_columns_and_rows(run: Run) -> None:
    """One row a trial, the searched knobs under their own names."""
    rows = listing(run)

    expected = (
        "trial phase arm number seed state epochs epochs_planned objective loss beta_alpha learning_rate duration_s"
    )
    assert expected.split() == rows.columns
    assert 15 == rows.height == rows["trial"].n_unique()


def test_json_and_csv_say_the_same(run: Run) -> None:
    """Both hold all rows, numbers as stored."""
    objects = json.loads(render_listing(run, "json"))
    lines = list(csv.DictReader(io.StringIO(render_listing(run, "csv"))))

    assert len(objects) == len(lines) == 15
    for one, line in zip(objects, lines, strict=True):
        assert {k: "" if v is None else str(v) for k, v in one.items()} == line


def test_nan_is_no_json(handmade: ModuleType, tmp_path: Path) -> None:
    """A value that is no number is null, for JSON has no NaN."""
    text = render_listing(handmade.run_of(tmp_path, [handmade.trial(0, objective=math.nan)]), "json")

    assert [None] == [row["objective"] for row in json.loads(text)]


def test_table_is_aligned_and_clean(handmade: ModuleType, tmp_path: Path) -> None:
    """Percent in the heading, columns in line, no control character of a user's text."""
    rows = [handmade.trial(None), handmade.trial(1, arm="a\x1b[31m", phase="arm", state="running", duration_s=None)]
    text = render_listing(handmade.run_of(tmp_path, rows))
    lines = text.splitlines()

    assert "dev EER (%)" in lines[0]
    assert lines[0].index("state") == lines[1].index("complete")
    assert "\x1b" not in text
    assert "10.00" in lines[1]


def test_confirmations_tell_config_and_seed(handmade: ModuleType, tmp_path: Path) -> None:
    """A confirmation is a trial of its own phase, with the search's number and a seed of the study."""
    text = render_listing(handmade.run_of(tmp_path, [handmade.trial(7), handmade.measured("#7", 2, 0.25)]))
    heading, search, confirmed = (line.split()[1:7] for line in text.splitlines())

    assert ["phase", "number", "seed", "state", "epochs", "dev"] == heading
    assert ["search", "7", "8", "complete", "2/2", "18.00"] == search
    assert ["confirm", "7", "2", "complete", "2/2", "25.00"] == confirmed


def test_nothing_to_list_and_an_unknown_format(handmade: ModuleType, tmp_path: Path) -> None:
    """An empty run says so; a wrong format names the right ones."""
    empty = handmade.run_of(tmp_path, [])

    assert "no trial has started yet\n" == render_listing(empty)
    assert [] == json.loads(render_listing(empty, "json"))
    with pytest.raises(ValueError, match="table, json, csv, but got 'xml'"):
        render_listing(empty, "xml")


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("reports.listing", ["altair", "vl_convert", "jinja2", "scipy", "torch", "ray"]),
        ("reports.page", ["torch", "ray", "scipy.stats"]),
    ],
)
def test_imports_stay_light(module: str, absent: list[str]) -> None:
    """What a command does not need is not loaded."""
    code = f"import sys, {module}; print([m for m in {absent!r} if m in sys.modules])"

    assert (
        "[]" == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    )
