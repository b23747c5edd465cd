"""From a run's tables to the few numbers a report says: Polars all the way, no chart and no word in here.

A *value* is a trial's objective at its last epoch, null if it is missing or not finite. Only complete trials rank.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from reports.measured import MEASURING_PHASES, config_name, measurements
from reports.origins import Origins, origins_of
from reports.reading import Run
from reports.standings import Standing, standings
from search_spaces.study import BASELINE

STATES = ("complete", "pruned", "failed", "running")


@dataclass(frozen=True)
class Summary:
    """What the sections speak about.

    `trials`: a row a trial, in order of start, with `name` (see `name_expression`), `config_name`, `value`, `untrained`
    (the metric at epoch 0), `cost_s` (seconds times workers over all its attempts) and `is_baseline` beside the columns
    of the trials table.
    `configs`: a row a config that has a complete trial with a value, best first (see `config_table`).
    `standings`: the configs that arms and confirmations measured, with their intervals; verdicts rest on these alone,
    compared as `comparison` says (paired or welch).
    `origins`: the arms that start from trained weights, and whose (see `origins_of`).
    """

    metric: str
    minimize: bool
    searched: tuple[str, ...]
    shown_knobs: tuple[str, ...]
    metrics: tuple[str, ...]
    trials: pl.DataFrame
    configs: pl.DataFrame
    epochs: pl.DataFrame
    attempts: pl.DataFrame
    standings: tuple[Standing, ...]
    comparison: str
    origins: Origins

    def state_count(self, state: str) -> int:
        """How many trials are in this state now."""
        return int((self.trials["state"] == state).sum())

    @property
    def confirmed(self) -> tuple[Standing, ...]:
        """The configs with two or more seeds, best mean first."""
        return tuple(one for one in self.standings if one.is_confirmed)

    @property
    def unconfirmed(self) -> pl.DataFrame:
        """The other rows of `configs`, ranked among themselves."""
        rows = self.configs.filter(~pl.col("config_id").is_in([one.config_id for one in self.confirmed]))
        return rows.with_columns(rank=pl.col("value").rank("min", descending=not self.minimize).cast(pl.Int32))

    @property
    def leading(self) -> pl.DataFrame:
        """Rows of `configs` in the order in which to look at them: the confirmed ones, or all while there are none."""
        if not self.confirmed:
            return self.configs
        order = pl.DataFrame({"config_id": [one.config_id for one in self.confirmed]})
        return order.join(self.configs, on="config_id", maintain_order="left")

    def baseline(self) -> dict[str, object] | None:
        """The baseline's row of `configs`, if it has a complete trial."""
        rows = self.configs.filter(pl.col("is_baseline")).to_dicts()
        return rows[0] if rows else None

    def best(self) -> dict[str, object] | None:
        """The row of the best confirmed config, else of the best one seen, if any trial is complete."""
        return self.leading.row(0, named=True) if self.configs.height else None


def summarise(run: Run) -> Summary:
    """Computes everything that several sections share, once."""
    objective = run.study.objective[0]
    searched = tuple(run.study.space()) if run.study.search is not None else ()
    epochs = run.epochs.collect()
    attempts = attempt_costs(run.attempts.collect(), epochs)
    minimize = objective.goal == "minimize"
    measured = measurements(run, objective.metric)
    several = run.study.seeds > 1 or bool(measured["seed"].n_unique() > 1)
    trials = trial_table(run.trials.collect(), epochs, attempts, objective.metric, name_seeds=several)
    metrics = tuple(c.removeprefix("metric.") for c in epochs.columns if c.startswith("metric."))
    return Summary(
        metric=objective.metric,
        minimize=minimize,
        searched=tuple(k for k in searched if f"knob.{k}" in trials.columns),
        shown_knobs=varied_knobs(trials, searched),
        metrics=metrics,
        trials=trials,
        configs=config_table(trials, epochs, metrics, minimize=minimize),
        epochs=epochs,
        attempts=attempts,
        comparison=run.study.comparison,
        origins=origins_of(run.study),
        standings=standings(measured, seeds=run.study.seeds, method=run.study.comparison, minimize=minimize),
    )


def attempt_costs(attempts: pl.DataFrame, epochs: pl.DataFrame) -> pl.DataFrame:
    """The attempts with `cost_s`, seconds times workers; one whose end nobody wrote costs what its epochs took."""
    taken = epochs.group_by("trial_id", "attempt").agg(pl.col("duration_s").sum().alias("epochs_s"))
    seconds = pl.coalesce("duration_s", "epochs_s", pl.lit(0.0)) * pl.col("workers").fill_null(1)
    return attempts.join(taken, on=["trial_id", "attempt"], how="left").with_columns(cost_s=seconds).drop("epochs_s")


def trial_table(
    trials: pl.DataFrame, epochs: pl.DataFrame, attempts: pl.DataFrame, metric: str, *, name_seeds: bool = False
) -> pl.DataFrame:
    """The trials with the columns that `Summary` promises."""
    column = f"metric.{metric}"
    if column not in epochs.columns:
        epochs = epochs.with_columns(pl.lit(None, pl.Float64).alias(column))
    by_trial = epochs.sort("epoch").group_by("trial_id", maintain_order=True)
    seen = by_trial.agg(
        last_epoch=pl.col("epoch").last(),
        last_value=pl.col(column).last(),
        untrained=pl.col(column).filter(pl.col("epoch") == 0).last(),
    )
    cost = attempts.group_by("trial_id").agg(
        pl.col("cost_s").sum(), num_attempts=pl.len(), num_restarts=pl.col("restarts").sum()
    )
    value = pl.coalesce("objective", "last_value")
    is_baseline = (pl.col("phase") == "arm") & (pl.col("arm").fill_null("") == BASELINE)
    return (
        trials.join(seen, on="trial_id", how="left")
        .join(cost, on="trial_id", how="left")
        .with_columns(
            # A running trial's row may be older than its newest epoch.
            epochs=pl.max_horizontal("epochs", "last_epoch").fill_null(0).cast(pl.Int32),
            value=pl.when(value.is_finite()).then(value),
            untrained=pl.when(pl.col("untrained").is_finite()).then("untrained"),
            cost_s=pl.col("cost_s").fill_null(0.0),
            num_attempts=pl.col("num_attempts").fill_null(1),
            num_restarts=pl.col("num_restarts").fill_null(0),
            is_baseline=is_baseline,
            name=name_expression(name_seeds=name_seeds),
            config_name=config_name(),
        )
        .drop("last_epoch", "last_value")
        .sort("started", "number", "trial_id", nulls_last=True)
    )


def name_expression(*, name_seeds: bool) -> pl.Expr:
    """What a trial is called: its config's name, and "seed 2" behind it where that name could mean another trial.

    "#7" is the search's trial, "#7 seed 2" a confirmation of its config, "AP loss seed 2" an arm's of several seeds.
    """
    with_seed = pl.format("{} seed {}", config_name(), pl.col("seed"))
    named = pl.col("phase").is_in(MEASURING_PHASES if name_seeds else ["confirm"])
    return pl.when(named).then(with_seed).otherwise(config_name())


def varied_knobs(trials: pl.DataFrame, searched: tuple[str, ...]) -> tuple[str, ...]:
    """The searched knobs, then the others that differ between trials (the arms' settings)."""
    columns = [c for c in trials.columns if c.startswith("knob.")]
    varied = [c.removeprefix("knob.") for c in columns if trials[c].drop_nulls().n_unique() > 1]
    first = [k for k in searched if f"knob.{k}" in columns]
    return (*first, *(k for k in varied if k not in first))


def config_table(
    trials: pl.DataFrame, epochs: pl.DataFrame, metrics: tuple[str, ...], *, minimize: bool
) -> pl.DataFrame:
    """A row a config with a complete trial, best first.

    Columns: `rank`, `name`, `value` (mean over seeds), `std` (null for one seed), `number` (the search's, the first),
    `seeds`, `epochs`, `untrained`, `measured` (by arms or confirmations), `has_init` (it starts from other weights than
    its seed's), `metric.*` at the last epoch, knobs, `trial_ids`.
    A config that was measured as an arm or a confirmation is judged by those trials alone: its search value was picked
    for being good.
    """
    complete = trials.filter((pl.col("state") == "complete") & pl.col("value").is_not_null())
    last = epochs.sort("epoch").unique("trial_id", keep="last").select("trial_id", *(f"metric.{m}" for m in metrics))
    measuring = pl.col("phase").is_in(MEASURING_PHASES)
    kept = (
        complete.join(last, on="trial_id", how="left")
        .with_columns(measured=measuring.any().over("config_id"))
        .filter(measuring | ~pl.col("measured"))
    )
    names = (
        trials.sort(pl.col("arm").is_null(), "number", "trial_id", nulls_last=True)
        .group_by("config_id", maintain_order=True)
        .agg(
            pl.col("config_name").first().alias("name"),
            pl.col("is_baseline").any(),
            has_init=pl.col("init").is_not_null().any(),
        )
    )
    knobs = [c for c in trials.columns if c.startswith("knob.")]
    several = pl.len() > 1
    configs = (
        kept.group_by("config_id")
        .agg(
            pl.col("value").mean(),
            std=pl.when(several).then(pl.col("value").std(ddof=1)),
            number=pl.col("number").min(),
            seeds=pl.col("seed").n_unique().cast(pl.Int32),
            epochs=pl.col("epochs").max(),
            untrained=pl.col("untrained").mean(),
            measured=pl.col("measured").first(),
            trial_ids=pl.col("trial_id").sort(),
            **{f"metric.{m}": pl.col(f"metric.{m}").mean() for m in metrics},
            **{k: pl.col(k).first() for k in knobs},
        )
        .join(names, on="config_id")
        .sort("value", "config_id", descending=[not minimize, False])
    )
    rank = configs["value"].rank("min", descending=not minimize).cast(pl.Int32)
    return configs.with_columns(rank.alias("rank")).select("rank", "name", *(c for c in configs.columns if c != "name"))


def search_configs(summary: Summary) -> pl.DataFrame:
    """The configs that the search asked for, by its own trials: what arms and confirmations add is another measurement.

    Arms were chosen by people and would bend the picture of a search; means over the seeds of a few confirmed configs
    beside single values of the others would too.
    """
    asked = summary.trials.filter(pl.col("phase") == "search")
    return config_table(asked, summary.epochs, summary.metrics, minimize=summary.minimize)


def best_so_far(trials: pl.DataFrame, *, minimize: bool) -> pl.DataFrame:
    """The ended trials by their end: `order` from 1, `value` if complete, `best` and `total_s` spent until then."""
    complete = pl.when(pl.col("state") == "complete").then("value")
    running = pl.col("value").cum_min() if minimize else pl.col("value").cum_max()
    return (
        trials.filter(pl.col("state") != "running")
        .sort("ended", "started", "trial_id", nulls_last=True)
        .select("trial_id", "name", "state", "is_baseline", "cost_s", value=complete)
        .with_columns(order=pl.int_range(1, pl.len() + 1, dtype=pl.Int32), total_s=pl.col("cost_s").cum_sum())
        .with_columns(best=running.forward_fill())
    )


def curves(summary: Summary, *, top: int, others: int, points: int = 60) -> pl.DataFrame:
    """The objective by epoch: trial_id, name, config_name, role, epoch, value, state, has_init, is_end.

    The role is best, baseline or other. All trials of the `top` leading configs and of the baseline, and an even sample
    of at most `others` more, each thinned to about `points` epochs (first and last always stay).
    """
    column = f"metric.{summary.metric}"
    if column not in summary.epochs.columns:
        return pl.DataFrame(schema={"trial_id": pl.String, "name": pl.String, "role": pl.String, "value": pl.Float64})
    leading = summary.leading.head(top).filter(~pl.col("is_baseline"))["trial_ids"].explode().to_list()
    is_best = pl.col("trial_id").is_in(leading)
    role = pl.when("is_baseline").then(pl.lit("baseline")).when(is_best).then(pl.lit("best")).otherwise(pl.lit("other"))
    has_init = pl.col("init").is_not_null().alias("has_init")
    named = summary.trials.select("trial_id", "name", "config_name", "state", has_init, role.alias("role"))
    rest = named.filter(pl.col("role") == "other")
    step = max(1, -(-rest.height // max(1, others)))
    kept = pl.concat([named.filter(pl.col("role") != "other"), rest.gather_every(step)])
    lines = summary.epochs.select("trial_id", "epoch", value=column).filter(pl.col("value").is_finite())
    last = pl.col("epoch").max().over("trial_id")
    stride = (last // points + 1).clip(1)
    return (
        lines.join(kept, on="trial_id")
        .with_columns(is_end=pl.col("epoch") == last)
        .filter(pl.col("is_end") | (pl.col("epoch") % stride == 0))
        .sort("trial_id", "epoch")
    )


def failures(trials: pl.DataFrame) -> pl.DataFrame:
    """Failed trials by kind of error, most frequent first: `count`, `example` (the first one's), `names`, `traceback`.

    Two errors are of a kind if their first lines differ in numbers only ("diverged at epoch 3" and "… at epoch 5").
    """
    failed = trials.filter(pl.col("state") == "failed").with_columns(pl.col("error").fill_null("").str.strip_chars())
    first_line = pl.col("error").str.split("\n").list.first()
    return (
        failed.with_columns(kind=first_line.str.replace_all(r"\d+(\.\d+)?([eE][+-]?\d+)?", "#"))
        .group_by("kind", maintain_order=True)
        .agg(
            count=pl.len(),
            example=pl.col("error").first(),
            names=pl.col("name"),
            traceback=pl.col("traceback").drop_nulls().first(),
        )
        .sort("count", "kind", descending=[True, False])
    )


def cost_by_state(trials: pl.DataFrame) -> pl.DataFrame:
    """A row a state that occurs: `trials`, `attempts`, `restarts`, `cost_s` and `share` of the whole cost."""
    order = {state: place for place, state in enumerate(STATES)}
    rows = trials.group_by("state").agg(
        trials=pl.len(),
        attempts=pl.col("num_attempts").sum(),
        restarts=pl.col("num_restarts").sum(),
        cost_s=pl.col("cost_s").sum(),
    )
    total = rows["cost_s"].sum()
    return (
        rows.with_columns(share=pl.col("cost_s") / total if total > 0 else pl.lit(0.0))
        .sort(pl.col("state").replace_strict(order, default=len(order), return_dtype=pl.Int32), "state")
        .select("state", "trials", "attempts", "restarts", "cost_s", "share")
    )
