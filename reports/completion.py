"""Whether a run did all that its study asks for, and what is missing."""

from __future__ import annotations

import polars as pl

from reports.measured import searched_best
from reports.reading import Run
from reports.summaries import Summary
from reports.words import count, joined


def run_state(run: Run, summary: Summary) -> list[str]:
    """A sentence if the run is not finished: how many trials of each phase have ended, of how many."""
    counts = [(arms_ended(run, summary), "of the arms"), (search_ended(run, summary), "of the search")]
    is_searched = counts[1][0][0] >= counts[1][0][1]
    parts = [f"{ended} of the {count(asked, 'trial')} {where}" for (ended, asked), where in counts if ended < asked]
    later = ""
    if run.study.confirm is not None and run.study.search is not None:
        ended, asked = confirmations_ended(run, summary)
        if not is_searched:
            later = " Its best configs are confirmed after that."
        elif ended < asked:
            parts.append(f"{ended} of {count(asked, 'confirmation trial')}")
    unfinished = summary.state_count("running")
    if not parts and not unfinished:
        return []
    missing = f"{joined(parts)} have ended" if parts else f"{count(unfinished, 'trial')} had not ended when it was read"
    return [f"The run is not finished: {missing}. The same command continues it.{later}"]


def arms_ended(run: Run, summary: Summary) -> tuple[int, int]:
    """How many trials of the baseline and the arms have ended, and how many the study asks for."""
    ended = ended_of(summary, "arm").filter(pl.col("seed") <= run.study.seeds)
    return ended.height, run.study.seeds * (1 + len(run.study.arms))


def search_ended(run: Run, summary: Summary) -> tuple[int, int]:
    """The same of the search."""
    return ended_of(summary, "search").height, run.study.search.trials if run.study.search is not None else 0


def confirmations_ended(run: Run, summary: Summary) -> tuple[int, int]:
    """The same of the confirmations, once the search has ended: its best configs, and those of an earlier end.

    A config that equals an arm is confirmed by that arm.
    """
    assert run.study.confirm is not None
    best = searched_best(summary.trials, goal=run.study.objective[0].goal)
    by_phase = {
        phase: set(summary.trials.filter(pl.col("phase") == phase)["config_id"]) for phase in ("arm", "confirm")
    }
    wanted = (set(best[: run.study.confirm.top]) | by_phase["confirm"]) - by_phase["arm"]
    ended = ended_of(summary, "confirm").filter(pl.col("config_id").is_in(wanted) & (pl.col("seed") <= run.study.seeds))
    return ended.height, run.study.seeds * len(wanted)


def ended_of(summary: Summary, phase: str) -> pl.DataFrame:
    """The trials of a phase that are over, however they ended."""
    return summary.trials.filter((pl.col("phase") == phase) & (pl.col("state") != "running"))
