"""What tests of several rooms share."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `make wheel` makes, built from a copy of the checkout so that nothing is left in it."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "checkout"
    rooms = ("platform", "search_spaces", "trainables", "reports")
    files = [file for room in rooms for file in (ROOT / room).rglob("*") if file.is_file()]
    for file in [*files, *(ROOT / name for name in ("pyproject.toml", "setup.py", "README.md"))]:
        if "__pycache__" not in file.parts:
            target = copy / file.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    words = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder), str(copy)]
    environment = {"VOXSTUDY_WHEEL": "1", "PATH": str(Path(sys.executable).parent)}
    subprocess.run([sys.executable, *words], check=True, env=environment)
    return next(folder.glob("*.whl"))
