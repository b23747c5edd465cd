"""What the tests of reports share: runs that nobody computed."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


def beside(name: str) -> ModuleType:
    """A module beside this file, loaded by its path: test folders are no packages."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def fabricate_run() -> Callable[..., Path]:
    """`fabricate_run(path, *, trials=14, failed=1, pruned=5, seeds=1, arms=(), confirm=0, test=False, …) -> Path`."""
    function: Callable[..., Path] = beside("fabricate").fabricate_run
    return function


@pytest.fixture(scope="session")
def handmade() -> ModuleType:
    """The module `handmade.py`: `trial`, `measured`, `reading`, `curve`, `run_of`."""
    return beside("handmade")


@pytest.fixture(scope="session")
def forms() -> ModuleType:
    """The module `forms.py`: `table_3`, `alpha_table`, `table_2`, `measured_rows`."""
    return beside("forms")
