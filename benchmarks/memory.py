"""How much memory a computation takes at its peak (Linux)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

GIB = 1 << 30
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_bytes(run: Callable[[], object]) -> int:
    """The most memory that the process had during `run`, beyond what it had before."""
    ctypes.CDLL(None).malloc_trim(0)  # memory that was freed but kept would hide what `run` takes
    CLEAR.write_text("5")  # the peak begins anew
    before = _status("VmRSS")
    run()
    return _status("VmHWM") - before


def available_bytes() -> int:
    """What may still be taken on this machine."""
    return _read(Path("/proc/meminfo"), "MemAvailable")


def _status(name: str) -> int:
    return _read(STATUS, name)


def _read(file: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith(f"{name}:")) * 1024
