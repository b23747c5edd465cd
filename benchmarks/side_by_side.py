"""Two ways of computing one thing, measured in turn in one run; what counts is their ratio."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """The fastest of some runs of each form, in seconds, and the ratio the design asks for (None: none)."""

    what: str
    ours: str
    theirs: str
    ours_s: float
    theirs_s: float
    wanted: float | None = None

    def __str__(self) -> str:
        ratio = self.theirs_s / self.ours_s
        goal = "" if self.wanted is None else f", wanted {self.wanted:g}x"
        return (
            f"{self.what}: {self.ours} {self.ours_s * 1e3:.1f} ms, {self.theirs} {self.theirs_s * 1e3:.1f} ms, "
            f"ratio {ratio:.{2 if ratio < 10 else 0}f}x{goal}"
        )


def compare(
    what: str,
    *,
    ours: tuple[str, Callable[[], object]],
    theirs: tuple[str, Callable[[], object]],
    rounds: int = 5,
    wanted: float | None = None,
) -> Comparison:
    """Run both forms alternately, after one run of each that does not count, so that the machine's load hits both."""
    best = [float("inf"), float("inf")]
    for counted in [False] + [True] * rounds:
        for side, (_, run) in enumerate((ours, theirs)):
            start = time.perf_counter()
            run()
            if counted:
                best[side] = min(best[side], time.perf_counter() - start)
    return Comparison(what, ours[0], theirs[0], *best, wanted)
