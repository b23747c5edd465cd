"""`voxstudy logs RUN [TRIAL]`: what trials printed, and their tracebacks, wherever they ran."""

import polars as pl

from reports.manifest import RunError
from reports.reading import Run
from reports.store import Store
from search_spaces.problems import nearest_name


def overview(run: Run, store: Store) -> str:
    """A line a trial: its id, name, state, how many logs it has, its error."""
    lines = []
    for row in run.trials.collect().sort("number", "seed", "arm", nulls_last=False).iter_rows(named=True):
        logs = len(_log_names(store, row["trial_id"]))
        line = f"{row['trial_id']}  {_name(row):<16} {row['state']:<9} {logs} log{'s' if logs != 1 else ''}"
        lines.append(line + (f"  {row['error']}" if row["error"] else ""))
    return "\n".join(
        [
            *lines,
            "`voxstudy logs RUN TRIAL` shows one: an id or its beginning, a number of the search, or a name as above",
        ]
    )


def trial_log(run: Run, store: Store, trial: str) -> str:
    """Everything that a trial printed, attempt by attempt, and the tracebacks that the tables hold."""
    row = _find(run, trial)
    parts = []
    for name in _log_names(store, row["trial_id"]):
        text = store.read(f"logs/{row['trial_id']}/{name}").decode(errors="replace").rstrip()
        parts.append(f"== {_name(row)}, {name.removesuffix('.log')}\n{text}")
    attempts = run.attempts.filter(pl.col("trial_id") == row["trial_id"]).collect().sort("attempt", "revision")
    for attempt in attempts.filter(pl.col("error").is_not_null()).iter_rows(named=True):
        head = f"== {_name(row)}, attempt {attempt['attempt']} failed: {attempt['error']}"
        parts.append(f"{head}\n{attempt['traceback'] or ''}".rstrip())
    return "\n".join(parts) if parts else f"{_name(row)} has printed nothing yet"


def _find(run: Run, trial: str) -> dict[str, object]:
    trials = run.trials.collect()
    wanted = trial.removeprefix("trial ")
    by_id = trials.filter(pl.col("trial_id").str.starts_with(wanted))
    by_number = trials.filter((pl.col("phase") == "search") & (pl.col("number").cast(pl.String) == wanted))
    by_name = trials.filter(pl.Series([_name(row) == trial for row in trials.iter_rows(named=True)], dtype=pl.Boolean))
    by_arm = trials.filter(pl.col("arm") == wanted)
    for found in (by_name, by_number, by_arm, by_id):
        if found.height == 1:
            return found.row(0, named=True)
        if found.height > 1:
            several = ", ".join(f"{row['trial_id']} ({_name(row)})" for row in found.iter_rows(named=True))
            raise RunError(f"{trial!r} must name one trial, but it may be {several}")
    ids = [*trials["trial_id"].to_list(), *(str(n) for n in trials["number"].drop_nulls().to_list())]
    near = nearest_name(wanted, ids)
    raise RunError(f"no trial {trial!r} in this run" + (f"; did you mean {near!r}?" if near else ""))


def _name(row: dict[str, object]) -> str:
    if row["phase"] == "search":
        return f"trial {row['number']}"
    return f"{row['arm'] if row['arm'] is not None else 'config ' + str(row['number'])} (seed {row['seed']})"


def _log_names(store: Store, trial_id: object) -> list[str]:
    return [name for name in store.names(f"logs/{trial_id}") if name.endswith(".log")]
