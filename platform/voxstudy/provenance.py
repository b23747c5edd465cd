"""Where results come from: command, code, versions, machine."""

import hashlib
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import search_spaces

PACKAGES = ("voxstudy", "ray", "torch", "torchaudio", "optuna", "pyarrow", "polars", "numpy", "soundfile")
ROOMS_OF_RESULTS = ("search_spaces", "trainables")  # what a trial's numbers depend on; command line and pages are not


@lru_cache
def code_hash() -> str:
    """12 hex digits over the Python files of the rooms that compute a trial."""
    root = Path(search_spaces.__file__).parent.parent
    digest = hashlib.sha256()
    for room in ROOMS_OF_RESULTS:
        for file in sorted((root / room).rglob("*.py")):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed as a package"
    return found


def machine() -> dict[str, Any]:
    """The driver's machine, as far as results depend on it."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        processor = names[0] if names else processor
    return {"node": platform.node(), "system": platform.platform(), "processor": processor, "cpus": os.cpu_count()}


def git_state() -> tuple[str | None, str | None]:
    """(commit, hash of the uncommitted diff) of the checkout that the code runs from; (None, None) for a wheel."""
    root = Path(search_spaces.__file__).parent.parent

    def git(*words: str) -> bytes | None:
        try:
            done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=False, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout if done.returncode == 0 else None

    top = git("rev-parse", "--show-toplevel")
    if top is None or Path(top.decode().strip()) != root:
        return None, None
    commit, diff = git("rev-parse", "HEAD"), git("diff", "HEAD")
    return (
        commit.decode().strip() if commit else None,
        hashlib.sha256(diff).hexdigest()[:12] if diff else None,
    )


def command() -> str:
    """The command line of this process, as a user would type it."""
    program = Path(sys.argv[0]).name
    words = ["python", "-m", "voxstudy"] if program == "__main__.py" else [program]
    return shlex.join([*words, *sys.argv[1:]])


def provenance(*, fingerprint: str, test_fingerprint: str | None, seed: int, seeds: int) -> dict[str, Any]:
    """What `provenance.json` holds, written when a run begins; later starts are rows of the table `starts`."""
    commit, diff_hash = git_state()
    return {
        "command": command(),
        "git_commit": commit,
        "diff_hash": diff_hash,
        "code_hash": code_hash(),
        "versions": versions(),
        "machine": machine(),
        "corpus_fingerprint": fingerprint,
        "test_fingerprint": test_fingerprint,
        "study_seed": seed,
        "arm_seeds": list(range(1, seeds + 1)),
    }


def as_json(facts: dict[str, Any]) -> bytes:
    """Readable JSON with a final newline."""
    return (json.dumps(facts, indent=2, sort_keys=True) + "\n").encode()
