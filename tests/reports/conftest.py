"""What the tests of reports share: runs that nobody computed."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def fabricate_run() -> Callable[..., Path]:
    """`fabricate_run(path, *, trials=14, failed=1, pruned=5, seeds=1, arms=(), confirm=0, test=False, …) -> Path`."""
    # Test folders are no packages, so the file beside this one is loaded by its path.
    spec = importlib.util.spec_from_file_location("fabricate", Path(__file__).with_name("fabricate.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[..., Path] = module.fabricate_run
    return function


@pytest.fixture(scope="session")
def handmade() -> ModuleType:
    """The module `handmade.py`: `trial`, `measured`, `reading`, `curve`, `run_of`."""
    spec = importlib.util.spec_from_file_location("handmade", Path(__file__).with_name("handmade.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
