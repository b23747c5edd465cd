"""The one description of the tables covers every column, and its documentation derives from it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from reports import read_run
from reports.schema import SCORES, TABLES, arrow_schema, columns_of, documentation
from search_spaces.knobs import knobs_of
from search_spaces.registry import CONFIGS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tables.md"
REWRITE = "python -m reports.schema > docs/tables.md"


def test_every_column_is_described_once():
    for table in (*TABLES.values(), SCORES):
        names = [column.name for column in table.columns]
        assert sorted(set(names)) == sorted(names)
        assert [c.name for c in table.columns if not c.sentence.endswith((".", "…"))] == []


def test_knob_columns_derive_from_the_config():
    """A column a knob, in the order of the class, nullable, in the knob's own type."""
    arrow = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}
    for trainable, config in CONFIGS.items():
        columns = columns_of("trials", trainable=trainable)[len(TABLES["trials"].columns) :]
        expected = [(f"knob.{name}", arrow[knob.type], True) for name, knob in knobs_of(config).items()]
        assert [(c.name, c.type, c.optional) for c in columns] == expected


def test_fragments_say_their_schema():
    schema = arrow_schema("epochs", columns_of("epochs", trainable="contrastive_mixup"))
    assert schema.metadata == {b"voxstudy.schema": b"1", b"voxstudy.table": b"epochs"}


def test_documentation_names_every_column():
    """Markdown with a heading a table and a line a column, knobs and open columns included."""
    text = documentation()
    for table in (*TABLES.values(), SCORES):
        assert f"## {table.name}\n" in text
        assert [c.name for c in table.columns if f"| `{c.name}` |" not in text] == []
    for trainable in CONFIGS:
        columns = columns_of("trials", trainable=trainable)
        assert [c.name for c in columns if f"| `{c.name}` |" not in text] == []
    assert "| `metric.<name>` | double | yes |" in text


def test_page_is_the_documentation():
    """docs/tables.md says what the code says."""
    assert documentation() == PAGE.read_text(), f"docs/tables.md is not what the code says; rewrite it: {REWRITE}"


def test_command_that_rewrites_the_page():
    """It prints the page and nothing else."""
    command = [sys.executable, *REWRITE.split(" > ")[0].split()[1:]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert (documentation(), "") == (done.stdout, done.stderr)


@pytest.mark.filterwarnings("error")
def test_examples_of_the_page_run(tmp_path, monkeypatch, capsys):
    """With voxstudy and with Polars alone; both read the same trials and epochs."""
    shutil.copytree(Path(__file__).parent / "data" / "run_v1", tmp_path / "runs" / "demo")
    monkeypatch.chdir(tmp_path)
    ours, alone = ({"__name__": "example"} for _ in range(2))
    examples = re.findall(r"(?s)```python\n(.*?)```", PAGE.read_text())
    for example, names in zip(examples, (ours, alone), strict=True):
        exec(example, names)

    run = read_run("runs/demo")
    assert ours["run"].trials.collect().equals(run.trials.collect())
    for table, key in (("trials", ["trial_id"]), ("epochs", ["trial_id", "epoch"])):
        known = getattr(run, table).collect().select(alone[table].columns).sort(key)
        assert known.equals(alone[table].sort(key))
    assert "619b5ad49337" in capsys.readouterr().out
