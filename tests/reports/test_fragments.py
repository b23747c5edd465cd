"""A fragment's bytes give back the table, or an error that says what is wrong with them."""

import zlib

import pyarrow as pa
import pytest

from reports.fragments import DamagedError, decode, encode, unite
from reports.manifest import RunError
from reports.store import Store


def test_round_trip(tmp_path):
    """Values, types, nulls and metadata survive."""
    store = Store(str(tmp_path))
    table = pa.table({"a": pa.array([1, None], pa.int32()), "b": ["x", "é"]}).replace_schema_metadata({"k": "v"})
    data = encode(table)
    store.write("f", data)
    assert decode(store, "f", zlib.crc32(data)).equals(table, check_metadata=True)


def test_any_cut_is_noticed(tmp_path):
    """With its checksum and without: no beginning of a file passes for the file."""
    store, data = Store(str(tmp_path)), encode(pa.table({"a": list(range(100))}))
    for length in range(0, len(data), 37):
        (tmp_path / "f").write_bytes(data[:length])
        for crc32 in (zlib.crc32(data), None):
            with pytest.raises(DamagedError, match=f"{tmp_path}/f: "):
                decode(store, "f", crc32)


def test_a_newer_fragment_is_refused(tmp_path):
    store = Store(str(tmp_path))
    store.write("f", encode(pa.table({"a": [1]}).replace_schema_metadata({"voxstudy.schema": "3"})))
    with pytest.raises(RunError, match="written by schema 3"):
        decode(store, "f")


def test_types_that_grew_unite():
    """Integers of an old fragment become the floats of a new one; a column of one alone is null in the other."""
    old, new = pa.table({"a": [1], "b": ["x"]}), pa.table({"a": [0.5], "c": [True]})
    assert unite("trials", [old, new]).to_pylist() == [
        {"a": 1.0, "b": "x", "c": None},
        {"a": 0.5, "b": None, "c": True},
    ]
