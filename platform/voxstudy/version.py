"""The package's version. A wheel's version carries a hash of what is in it: Ray caches wheels by their file name."""

import hashlib
import os
from pathlib import Path

BASE = "0.1.0"
ROOMS = ("platform/voxstudy", "search_spaces", "trainables", "reports")


def content_hash(root: Path) -> str:
    """8 hex digits over every file that a wheel built from this checkout holds."""
    digest = hashlib.sha256()
    files = (file for room in ROOMS for file in (root / room).rglob("*") if file.is_file())
    for file in sorted((*files, root / "pyproject.toml", root / "setup.py")):
        if "__pycache__" not in file.parts:
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:8]


# Set by `make wheel` alone: an editable install must not change its version with every edit.
VERSION = f"{BASE}+g{content_hash(Path(__file__).parents[2])}" if os.environ.get("VOXSTUDY_WHEEL") else BASE
