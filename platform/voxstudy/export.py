"""`voxstudy export`: a complete trial of a run as a folder that can be used without the run."""

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from reports.manifest import RunError
from reports.measured import MEASURING_PHASES
from reports.model_card import model_card
from reports.reading import Run, read_run
from reports.schema import METRIC_PREFIX
from reports.summaries import Summary, summarise
from search_spaces.knobs import active_names, knobs_of, values_of
from search_spaces.problems import nearest_name
from search_spaces.registry import Config
from trainables.checkpoints import Checkpoints, folder_of, misfits
from trainables.corpora.corpus import CorpusError
from trainables.corpora.node_cache import is_uri
from trainables.corpora.roles import list_roles, shared
from trainables.embedding import build_net
from trainables.exported import (
    CARD,
    FACTS,
    FORMAT,
    WEIGHTS,
    as_json,
    front_end,
    load_model,
    packed_weights,
    speaker_mark,
)
from voxstudy.version import VERSION

BEST = "best"
FEWEST_OF_ID = 4  # characters of an id that may stand for it
NUM_NAMED = 3  # ids named in a message
FORMS = f"best, an id or its first {FEWEST_OF_ID} or more characters, NAME or NAME/SEED; an arm named best is best/SEED"


def export_trial(run: str, *, trial: str, out: str) -> dict[str, Any]:
    """Write a trial into the folder `out` and return what model.json says; the same trial gives the same bytes.

    Raises RunError for a run or a trial that cannot be exported, or a folder that holds something else.
    """
    found = read_run(run)
    summary = summarise(found)
    row = find_trial(summary, trial, place=found.place)
    refuse_incomplete(row, found.place)
    files, facts = exported_files(found, summary, row)
    place_files(Path(out), out, files)
    return facts


def find_trial(summary: Summary, wanted: str, *, place: str) -> dict[str, Any]:
    """The row of `summary.trials` that is meant by best, an id, a name, NAME/SEED, or the beginning of an id.

    What is said first wins: best is never an arm of that name, which is best/SEED; a name is never the beginning of an
    id. Names are those of arms, and #NUMBER or NUMBER of the search's configs. best is the config with the best mean on
    dev over several seeds, or, without any, the best one seen; of a config it is the seed with the best value on dev.
    """
    trials = summary.trials
    if wanted == BEST:
        best = summary.best()
        if best is None:
            raise RunError(f"{place}: no trial is complete, so there is no best one")
        return _best_seed(summary, trials.filter(pl.col("config_id") == best["config_id"]))
    by_id = trials.filter(pl.col("trial_id") == wanted)
    if by_id.height:
        return by_id.row(0, named=True)
    by_name = _of_name(trials, wanted)
    if by_name.height:
        return _best_seed(summary, by_name)
    name, _, seed = wanted.rpartition("/")
    of_name = _of_name(trials, name)
    by_seed = of_name.filter(pl.col("seed").cast(pl.String) == seed)
    if by_seed.height:
        return _best_seed(summary, by_seed)
    if of_name.height:
        seeds = ", ".join(map(str, sorted(set(of_name["seed"].to_list()))))
        raise RunError(f"{place}: --trial {wanted}: {name} has no trial of seed {seed} (it has {seeds})")
    begun = trials.filter(pl.col("trial_id").str.starts_with(wanted)) if len(wanted) >= FEWEST_OF_ID else trials.clear()
    if begun.height == 1:
        return begun.row(0, named=True)
    if begun.height:
        ids = ", ".join(begun["trial_id"].to_list()[:NUM_NAMED])
        raise RunError(
            f"{place}: --trial {wanted}: {begun.height} trials have ids that begin so ({ids}); write more of it"
        )
    names = list(dict.fromkeys(trials["config_name"].to_list()))
    near = nearest_name(wanted, [*names, BEST, *trials["trial_id"].to_list()])
    meant = f"; did you mean {near!r}?" if near else ""
    raise RunError(f"{place}: --trial {wanted}: no such trial{meant} ({FORMS}; names: {', '.join(names)})")


def _of_name(trials: pl.DataFrame, name: str) -> pl.DataFrame:
    """The trials of an arm, or of a config of the search, whose # may be left out."""
    found = trials.filter(pl.col("config_name") == name)
    if found.height or not name.isdecimal():
        return found
    return trials.filter(pl.col("config_name") == f"#{name}")


def _best_seed(summary: Summary, rows: pl.DataFrame) -> dict[str, Any]:
    """Of a config's trials the complete one with the best value on dev: of those that were measured, if there are."""
    measured = rows.filter(pl.col("phase").is_in(MEASURING_PHASES))
    rows = measured if measured.height else rows
    complete = rows.filter((pl.col("state") == "complete") & pl.col("value").is_not_null())
    if not complete.height:
        return rows.row(0, named=True)
    return complete.sort("value", "seed", descending=[not summary.minimize, False]).row(0, named=True)


def refuse_incomplete(row: Mapping[str, Any], place: str) -> None:
    """Raise RunError unless the trial reached its last epoch."""
    if row["state"] == "complete":
        return
    how = {"pruned": "was stopped early", "failed": "failed", "running": "has not ended"}[row["state"]]
    why = f": {row['error']}" if row["error"] else ""
    at = f"at epoch {row['epochs']} of {row['epochs_planned']}"
    raise RunError(
        f"{place}: trial {row['trial_id']} ({row['name']}) {how} {at}{why}; only complete trials are exported"
    )


def exported_files(run: Run, summary: Summary, row: Mapping[str, Any]) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of an export by name, and what its model.json says."""
    config = config_of(run, row)
    weights = weights_of_trial(run, row, config)
    packed = packed_weights(weights)
    held = run.corpus.select("role", "source", "utterances", "speakers", "hours", "fingerprint").collect().to_dicts()
    readings = run.readings.filter(pl.col("trial_id") == row["trial_id"]).collect().to_dicts()
    test = readings[0] if readings else {}
    last = run.epochs.filter((pl.col("trial_id") == row["trial_id"]) & (pl.col("epoch") == row["epochs"])).collect()
    parameters = sum(parameter.numel() for parameter in build_net(config).parameters())
    facts = {
        "format": FORMAT,
        "voxstudy": VERSION,
        "trainable": run.study.trainable,
        "config": values_of(config),
        "front_end": front_end(config),
        "weights": {
            "file": WEIGHTS,
            "sha256": hashlib.sha256(packed).hexdigest(),
            "tensors": len(weights),
            "parameters": parameters,
        },
        "trial": _trial_facts(run, row),
        "study": {
            "title": run.study.title,
            "objective": run.study.objective[0].model_dump(),
            "comparison": run.study.comparison,
            "seeds": run.study.seeds,
        },
        "corpus": {
            "fingerprint": run.provenance.get("corpus_fingerprint"),
            "test_fingerprint": test.get("fingerprint") or run.provenance.get("test_fingerprint"),
            "roles": {role: [each.model_dump() for each in given] for role, given in run.study.corpus.items()},
            "held": held,
            "speakers": speaker_marks(run, config, held),
        },
        "metrics": {"dev": _metrics(last.to_dicts()[0]) if last.height else {}, "test": _metrics(test)},
    }
    knobs = knobs_of(type(config))
    values = values_of(config)
    settings = {name: values[name] for name in active_names(knobs, values) if values[name] != knobs[name].default}
    card = model_card(run, summary, facts, settings)
    return {WEIGHTS: packed, FACTS: as_json(facts), CARD: card.encode()}, facts


def config_of(run: Run, row: Mapping[str, Any]) -> Config:
    """The config that a trial was trained with."""
    known = run.study.knobs()
    knobs = {name.removeprefix("knob."): value for name, value in row.items() if name.startswith("knob.")}
    return run.study.config_of({name: value for name, value in knobs.items() if name in known and value is not None})


def weights_of_trial(run: Run, row: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """The weights after the trial's last epoch; RunError if its checkpoints are gone, damaged or of another net."""
    where = f"{run.place}: trial {row['trial_id']} ({row['name']})"
    checkpoints = Checkpoints(run.store, folder_of(row["trial_id"]), attempt=1)
    if checkpoints.newest_name() is None:
        raise RunError(f"{where}: its checkpoints were deleted, so there is nothing to export")
    found = checkpoints.load_newest(epoch=row["epochs"])
    if found is None:
        raise RunError(f"{where}: its checkpoint after epoch {row['epochs']}, the last, is missing or damaged")
    weights: dict[str, Any] = found[1]["module"]
    faults = misfits(build_net(config), weights)
    if faults:
        raise RunError(f"{where}: its checkpoint is not of the net that this version builds: {faults[0]}")
    return weights


def speaker_marks(run: Run, config: Config, held: Sequence[Mapping[str, Any]]) -> dict[str, str] | None:
    """The marks of all speakers of train and dev, to know them again; None where the corpus cannot be listed any more.

    The run's tables do not name them, so that its sources are listed again, without a look at their audio.
    """
    roles = {role: list(given) for role, given in run.study.corpus.items() if role in ("train", "dev", "test")}
    try:
        share = shared(list_roles(roles, config.sample_rate, ()))
    except (CorpusError, OSError):
        return None
    names = {role: set(rows["speaker"].to_pylist()) for role, rows in (("train", share.train), ("dev", share.dev))}
    # What was heard must be among what is listed: bad files are left out later.
    is_whole = all(each["speakers"] <= len(names[each["role"]]) for each in held if each["role"] in names)
    return {role: " ".join(sorted(map(speaker_mark, found))) for role, found in names.items()} if is_whole else None


def _trial_facts(run: Run, row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("config_id", "phase", "arm", "number", "seed", "epochs", "workers", "loss_speakers", "init", "code_hash")
    facts = {name: row[name] for name in names if name in row}
    return {"id": row["trial_id"], **facts, "threads": run.study.resources.cpus_per_worker}


def _metrics(row: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a row of epochs or readings, as stored, without those of training."""
    found = {name.removeprefix(METRIC_PREFIX): value for name, value in row.items() if name.startswith(METRIC_PREFIX)}
    return {name: value for name, value in found.items() if value is not None and not name.startswith("train_")}


def place_files(folder: Path, written: str, files: Mapping[str, bytes]) -> None:
    """Write an exported net aside, read it once, and rename it: `folder` holds all of it or nothing.

    A folder that holds these very files stays as it is; RunError if it holds anything else, or cannot be written.
    """
    if is_uri(written):
        raise RunError(f"--out {written}: a net is exported into a folder of this machine; copy it from there")
    try:
        if folder.is_dir() and (there := sorted(each.name for each in folder.iterdir())):
            same = there == sorted(files) and all((folder / name).read_bytes() == data for name, data in files.items())
            if same:
                return
            what = "another export" if FACTS in there else f"'{there[0]}'"
            raise RunError(f"--out {written}: the folder holds {what}; give one that is new or empty")
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{re.sub(r'[^A-Za-z0-9_.-]', '_', folder.name)}.", dir=folder.parent))
        try:
            for name, data in files.items():
                with open(aside / name, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            load_model(aside, device=None)
            aside.chmod(0o777 & ~_umask())
            os.replace(aside, folder)
        except BaseException:
            with contextlib.suppress(OSError):
                shutil.rmtree(aside)
            raise
    except OSError as error:
        raise RunError(f"--out {written}: cannot be written: {error.strerror}") from error


def _umask() -> int:
    """What the process takes from the rights of new files; mkdtemp takes all from others."""
    umask = os.umask(0)
    os.umask(umask)
    return umask
