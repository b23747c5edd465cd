"""The one description of the tables covers every column, and its documentation derives from it."""

import pyarrow as pa

from reports.schema import SCORES, TABLES, arrow_schema, columns_of, documentation
from search_spaces.knobs import knobs_of
from search_spaces.registry import CONFIGS


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
