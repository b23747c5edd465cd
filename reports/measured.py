"""What arms and confirmations measured: the trials that verdicts and paper tables rest on, seed by seed."""

from __future__ import annotations

import polars as pl

from reports.reading import Run

MEASURING_PHASES = ("arm", "confirm")


def measurements(run: Run, metric: str) -> pl.DataFrame:
    """A row a trial of phase arm or confirm, in the order in which they were written.

    Columns: `config_id`, `name` (the arm's, or "#7" for the search's number 7), `arm`, `number`, `phase`, `seed`,
    `trial_id`, `state`, `dev` (the metric at the last epoch of a complete trial), `test` (what was read of the test
    set). Both are as stored, and null where there is no finite value.
    """
    trials = run.trials.filter(pl.col("phase").is_in(MEASURING_PHASES))
    if metric != run.study.objective[0].metric:
        trials = trials.with_columns(objective=pl.lit(None, pl.Float64))
    at_end = values_of(run.epochs, metric).select("trial_id", pl.col("epoch").alias("epochs"), last=pl.col("value"))
    read = values_of(run.readings, metric).filter(pl.col("split") == "test").select("trial_id", read=pl.col("value"))
    dev = pl.when(pl.col("state") == "complete").then(pl.coalesce("objective", "last"))
    return (
        trials.join(at_end, on=["trial_id", "epochs"], how="left", maintain_order="left")
        .join(read, on="trial_id", how="left", maintain_order="left")
        .select(
            "config_id",
            config_name().alias("name"),
            *("arm", "number", "phase", "seed", "trial_id", "state"),
            dev=pl.when(dev.is_finite()).then(dev),
            test=pl.when(pl.col("read").is_finite()).then("read"),
        )
        .collect()
    )


def searched_best(trials: pl.DataFrame, *, goal: str) -> list[str]:
    """Identities of the search's configs, the best first: by the mean of a config's complete trials, then by number.

    `trials` are rows of the trials table. The engine chooses in the same order what it confirms (`voxstudy.agenda`).
    """
    complete = (pl.col("phase") == "search") & (pl.col("state") == "complete") & pl.col("objective").is_finite()
    configs = trials.filter(complete).group_by("config_id").agg(pl.col("objective").mean(), pl.col("number").min())
    return configs.sort("objective", "number", descending=[goal == "maximize", False])["config_id"].to_list()


def is_search_over(trials: pl.DataFrame, asked: int) -> bool:
    """Whether the `asked` trials of the search have ended and none is running: then its best configs are known."""
    states = trials.filter(pl.col("phase") == "search")["state"]
    return states.len() >= asked and "running" not in states


def config_name() -> pl.Expr:
    """What a config is called: its arm's name, "#7" for the search's number 7, or the start of its id."""
    return pl.coalesce("arm", pl.format("#{}", pl.col("number")), pl.col("config_id").str.slice(0, 8))


def by_seed(rows: pl.DataFrame, split: str) -> dict[int, float]:
    """The values of one config by seed, "dev" or "test"; seeds without a value are left out."""
    return dict(rows.select("seed", split).drop_nulls().sort("seed").iter_rows())


def values_of(table: pl.LazyFrame, metric: str) -> pl.LazyFrame:
    """The table with a metric as `value`; null if no row of the run has it."""
    column = f"metric.{metric}"
    known = column in table.collect_schema().names()
    return table.with_columns(value=pl.col(column) if known else pl.lit(None, pl.Float64))
