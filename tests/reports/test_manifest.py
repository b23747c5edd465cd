"""The manifest goes through its file unchanged, and what is none is said to be none."""

import pytest

from reports.manifest import MANIFEST, Fragment, Manifest, RunError, check_version, read_manifest
from reports.schema import SCHEMA_VERSION
from reports.store import Store


def test_round_trip(tmp_path):
    store = Store(str(tmp_path))
    assert read_manifest(store) is None
    manifest = Manifest(7, 2, {"epochs": (Fragment("part-0001-000003-l1.arrow", 16, 1, 99),), "trials": ()})
    store.write(MANIFEST, manifest.encoded())
    assert read_manifest(store) == manifest


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"schema_version": "x"}', b'{"schema_version": 1}'])
def test_no_manifest(tmp_path, content):
    store = Store(str(tmp_path))
    store.write(MANIFEST, content)
    with pytest.raises(RunError, match=f"{tmp_path}/{MANIFEST}: not a manifest of voxstudy: "):
        read_manifest(store)


def test_versions():
    """What is older or of today is read, what is newer is not."""
    for version in range(SCHEMA_VERSION + 1):
        check_version("here", version)
    with pytest.raises(RunError, match=f"here: written by schema {SCHEMA_VERSION + 1}, .*; upgrade voxstudy"):
        check_version("here", SCHEMA_VERSION + 1)
