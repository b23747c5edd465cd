"""What came out: Arrow tables, Polars summaries, statistics, charts, pages.

From Python, a run is a few Polars frames; docs/tables.md describes their columns:

    import polars as pl
    from reports import read_run

    run = read_run("runs/demo")
    complete = run.trials.filter(pl.col("state") == "complete")
    print(complete.group_by("config_id").agg(pl.col("objective").mean(), pl.len()).collect())
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.reading import Run, read_run, read_scores

__all__ = ["Run", "read_run", "read_scores"]


def __getattr__(name: str) -> Any:
    # Read on demand: whoever imports one module of this package need not pay for the reader.
    if name in __all__:
        from reports import reading

        return getattr(reading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
