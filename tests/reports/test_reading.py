"""A reader sees one moment of a run, says what it could not read, and still reads old runs."""

import json
import shutil
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

import reports
from reports import reading
from reports.fragments import decode
from reports.manifest import MANIFEST, RunError, read_manifest
from reports.reading import knob_columns, metric_columns, read_run, read_scores
from reports.schema import SCHEMA_VERSION, TABLES, columns_of
from reports.store import Store
from reports.table_render import render_table
from reports.tables import TableWriter, next_start

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "data" / "run_v1"
GOLDEN_SEEDS = GOLDEN.with_name("run_v1_seeds")


@pytest.fixture(scope="module")
def run_path(fabricate_run, tmp_path_factory):
    return fabricate_run(tmp_path_factory.mktemp("runs") / "demo")


def test_what_a_run_holds(run_path):
    """One row a trial, attempt, epoch and start; every column of the schema; study and provenance."""
    run = read_run(run_path)
    trials, attempts, epochs = run.trials.collect(), run.attempts.collect(), run.epochs.collect()
    assert trials["state"].value_counts().sort("state").rows() == [("complete", 9), ("failed", 1), ("pruned", 5)]
    assert (trials.height, attempts.height, trials["trial_id"].n_unique()) == (15, 16, 15)
    assert trials["attempt"].to_list().count(2) == 1
    assert epochs.select("trial_id", "epoch").is_duplicated().sum() == 0
    assert epochs.group_by("trial_id").len()["len"].sum() == (trials["epochs"] + 1).sum()
    for table in TABLES:
        frame = getattr(run, table).collect()
        names = [column.name for column in columns_of(table, trainable=run.study.trainable)]
        assert frame.columns[: len(names)] == names
    assert run.starts.collect().select("start", "outcome").rows() == [(1, None), (2, "finished")]
    assert run.corpus.collect()["role"].to_list() == ["train", "dev"]
    assert run.rejected.collect()["row"].to_list() == [17, 203, 204]
    assert (run.study.search.trials, run.provenance["study_seed"], run.warnings) == (14, 0, ())
    assert run.place == str(run_path)


def test_inactive_knobs_are_null(run_path):
    """α has no effect under the plain loss, and there it is null; nothing else about that trial is."""
    trials = read_run(run_path).trials.collect()
    assert knob_columns(trials)[:2] == ["knob.loss", "knob.beta_alpha"]
    plain = trials.filter(trials["knob.loss"] == "ap")
    assert plain["knob.beta_alpha"].null_count() == plain.height > 0
    assert trials.filter(trials["knob.loss"] != "ap")["knob.beta_alpha"].null_count() == 0
    assert trials["knob.learning_rate"].null_count() == 0


def test_metric_columns(run_path):
    names = ["metric.eer", "metric.min_dcf", "metric.train_loss"]
    assert metric_columns(read_run(run_path).epochs) == names


def test_scores_of_a_trial(run_path):
    run = read_run(run_path)
    trials = run.trials.collect()
    complete, failed = (trials.filter(state=state)["trial_id"][0] for state in ("complete", "failed"))
    assert read_scores(run, complete).columns == ["split", "left", "right", "label", "score"]
    with pytest.raises(RunError, match=f"trial {failed} has no scores: they are written when a trial is complete"):
        read_scores(run, failed)
    with pytest.raises(RunError, match=f"no trial {complete[:-1]}; did you mean '{complete}'"):
        read_scores(run, complete[:-1])


def test_scores_of_all_trials(run_path):
    """A row a score with its trial, in the order of the trials; those without scores have none."""
    run = read_run(run_path)
    scores = run.scores.collect()
    scored = run.trials.filter(pl.col("scores").is_not_null()).select("trial_id").collect()["trial_id"].to_list()
    assert scores.schema == run.scores.collect_schema()
    assert scores.columns == ["trial_id", "split", "left", "right", "label", "score"]
    assert scores["trial_id"].unique(maintain_order=True).to_list() == scored
    for trial_id in scored:
        assert scores.filter(trial_id=trial_id).drop("trial_id").equals(read_scores(run, trial_id))


def test_scores_are_read_when_collected(run_path, monkeypatch):
    """Neither reading a run nor asking for its scores opens a scores object."""
    opened = []
    monkeypatch.setattr(reading, "decode", lambda store, path: opened.append(path) or decode(store, path))
    scores = read_run(run_path).scores.filter(pl.col("label")).select(pl.len())
    assert opened == []
    assert scores.collect().item() > 0
    assert len(opened) == 9


@pytest.mark.parametrize("damage", ["truncated", "gone"])
def test_lost_scores_are_left_out_and_named(tmp_path, fabricate_run, damage):
    """Of all scores the others stay, with a warning; asked for alone, the lost ones are an error."""
    path = fabricate_run(tmp_path / "run", trials=2, failed=0, pruned=0, epochs=1)
    run = read_run(path)
    lost = run.trials.collect().row(1, named=True)
    file = path / "tables" / "scores" / lost["scores"]
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:100])
    else:
        file.unlink()
    with pytest.warns(UserWarning, match=f"{file}: the scores of trial {lost['trial_id']} are left out: "):
        left = run.scores.collect()
    assert (left["trial_id"].n_unique(), lost["trial_id"] in left["trial_id"]) == (2, False)
    with pytest.raises(RunError, match=f"{file}: the scores of trial {lost['trial_id']} are lost: "):
        read_scores(run, lost["trial_id"])


def test_scores_of_a_run_without_any(tmp_path, fabricate_run):
    """The columns are there all the same."""
    path = fabricate_run(tmp_path / "run", trials=2, failed=0, pruned=0, epochs=1)
    Store(str(path)).delete_folder("tables")
    assert read_run(path).scores.collect().shape == (0, 6)


def test_reading_from_python(monkeypatch, tmp_path, capsys):
    """`from reports import read_run`, as the package's docstring shows; an unknown name is an AttributeError."""
    shutil.copytree(GOLDEN, tmp_path / "runs" / "demo")
    monkeypatch.chdir(tmp_path)
    example = textwrap.dedent(reports.__doc__.partition(":\n\n")[2])
    exec(example, {})
    assert "objective" in capsys.readouterr().out
    assert (reports.Run, reports.read_run, reports.read_scores) == (reading.Run, read_run, read_scores)
    with pytest.raises(AttributeError, match="has no attribute 'raed_run'"):
        reports.raed_run  # noqa: B018


def test_importing_the_package_is_light():
    """`import reports` reads nothing; the reader needs no chart library, no torch and no Ray."""
    code = (
        "import sys, reports\n"
        "assert not {'polars', 'pyarrow'} & set(sys.modules)\n"
        "reports.read_run\n"
        "assert not {'altair', 'vl_convert', 'jinja2', 'scipy', 'torch', 'ray'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_highest_attempt_and_revision_hold(tmp_path, fabricate_run):
    """Epochs that a later attempt sent again replace the earlier ones in whatever order; of equals the last holds."""
    path = fabricate_run(tmp_path / "run", trials=2, failed=0, pruned=0, epochs=2)
    store = Store(str(path))
    writer = TableWriter(store, next_start(store), "contrastive_mixup")
    now = datetime(2026, 4, 1, tzinfo=UTC)
    for attempt, epoch, eer in ((3, 1, 0.31), (2, 1, 0.21), (2, 2, 0.22), (1, 2, 0.12), (3, 1, 0.32)):
        row = {"trial_id": "again", "attempt": attempt, "epoch": epoch, "time": now, "duration_s": 1.0}
        writer.append("epochs", row | {"metric.eer": eer})
        writer.commit()
    epochs = read_run(path).epochs.filter(trial_id="again").select("attempt", "epoch", "metric.eer").collect()
    assert epochs.sort("epoch").rows() == [(3, 1, 0.32), (2, 2, 0.22)]
    assert read_run(path).epochs.collect().height == 3 * 3 + 2


def test_a_run_that_has_just_begun(tmp_path, fabricate_run):
    """Before the first commit every table is there, with its columns and without rows."""
    path = fabricate_run(tmp_path / "run", trials=2, failed=0, pruned=0, epochs=1)
    Store(str(path)).delete_folder("tables")
    run = read_run(path)
    assert (run.generation, run.warnings) == (0, ())
    for table in TABLES:
        frame = getattr(run, table).collect()
        assert (frame.height, len(frame.columns) > 4) == (0, True)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "gone"])
def test_damaged_fragment_is_left_out_and_named(tmp_path, fabricate_run, damage):
    """A torn, changed or lost fragment costs its rows and no others; the warning says which and how many."""
    path = fabricate_run(tmp_path / "run", trials=2, failed=0, pruned=0, epochs=1)
    store = Store(str(path))
    before = read_run(path).epochs.collect().height
    victim = read_manifest(store).fragments["epochs"][1]
    file = path / "tables" / "epochs" / victim.name
    data = file.read_bytes()
    if damage == "truncated":
        file.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        file.write_bytes(data[:900] + bytes([data[900] ^ 1]) + data[901:])
    else:
        file.unlink()
    run = read_run(path)
    assert run.epochs.collect().height == before - victim.rows
    reason = "no such file" if damage == "gone" else "bytes are not those that were written"
    assert len(run.warnings) == 1
    assert run.warnings[0].startswith(f"{file}: {victim.rows} rows left out: ")
    assert reason in run.warnings[0]


def test_a_merge_under_the_reader(tmp_path, fabricate_run, monkeypatch):
    """A fragment that a merge took away is no damage: the newer manifest is read, and nothing is missing."""
    path = fabricate_run(tmp_path / "run", trials=2, failed=0, pruned=0, epochs=1)
    store = Store(str(path))
    writer = TableWriter(store, next_start(store), "contrastive_mixup")
    begun = []

    def interrupted(place):
        manifest = read_manifest(place)
        if not begun:
            begun.append(manifest)
            for row in range(20):
                writer.append("rejected", {"source": "m.csv", "row": row, "path": "x", "reason": "no such file"})
                writer.append("epochs", EPOCH | {"epoch": row})
                writer.commit()
        return manifest

    monkeypatch.setattr(reading, "read_manifest", interrupted)
    run = read_run(path)
    assert set(begun[0].fragments["epochs"]) - set(read_manifest(store).fragments["epochs"]) != set()
    assert (run.warnings, run.generation) == ((), read_manifest(store).generation)
    assert run.epochs.filter(trial_id="new").collect().height == 20


def test_newer_schema_is_refused(tmp_path, fabricate_run):
    path = fabricate_run(tmp_path / "run", trials=2, failed=0, pruned=0, epochs=1)
    manifest = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps(manifest | {"schema_version": 3, "fragments": "of another kind"}))
    with pytest.raises(RunError) as caught:
        read_run(path)
    assert str(caught.value) == f"{path}: written by schema 3, this voxstudy reads up to 1; upgrade voxstudy"


def test_no_such_run(tmp_path, fabricate_run):
    """A typing mistake is answered with the run that was meant."""
    fabricate_run(tmp_path / "runs" / "demo", trials=2, failed=0, pruned=0, epochs=1)
    (tmp_path / "runs" / "zzz").mkdir()
    with pytest.raises(RunError) as caught:
        read_run(tmp_path / "runs" / "dmo")
    assert str(caught.value) == f"{tmp_path}/runs/dmo: no such run; did you mean 'demo'?"
    with pytest.raises(RunError) as caught:
        read_run(tmp_path / "runs" / "zzz")
    assert str(caught.value) == f"{tmp_path}/runs/zzz: not a run directory: it has no resolved.toml"
    with pytest.raises(RunError, match=r"not a run directory: it has no resolved\.toml$"):
        read_run(tmp_path / "runs")


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (MANIFEST, b"{]", "manifest.json: not a manifest of voxstudy: "),
        (MANIFEST, b'{"schema_version": 1}', "manifest.json: not a manifest of voxstudy: 'generation'"),
        ("resolved.toml", b"title = ", "resolved.toml: not a study that this voxstudy understands: "),
        ("resolved.toml", b"title = 'x'", "resolved.toml: not a study that this voxstudy understands: "),
    ],
)
def test_broken_files_are_named(tmp_path, fabricate_run, name, content, complaint):
    path = fabricate_run(tmp_path / "run", trials=2, failed=0, pruned=0, epochs=1)
    (path / name).write_bytes(content)
    with pytest.raises(RunError, match=complaint):
        read_run(path)


def test_without_provenance_a_run_is_read(tmp_path, fabricate_run):
    path = fabricate_run(tmp_path / "run", trials=2, failed=0, pruned=0, epochs=1)
    (path / "provenance.json").unlink()
    run = read_run(path)
    assert (run.provenance, len(run.warnings)) == ({}, 1)
    assert "provenance.json: where the run came from is unknown" in run.warnings[0]


def test_run_of_schema_1():
    """A run that was written with schema version 1 and committed here stays readable, number for number."""
    assert SCHEMA_VERSION >= 1
    run = read_run(GOLDEN)
    names = ("trial_id", "arm", "number", "state", "epochs", "attempt", "objective", "knob.beta_alpha")
    trials = run.trials.select(names)
    assert [(*row[:6], round(row[6], 6), row[7]) for row in trials.collect().rows()] == GOLDEN_TRIALS
    epochs = run.epochs.collect()
    assert (run.warnings, epochs.height, run.attempts.collect().height) == ((), GOLDEN_EPOCHS, 6)
    first = epochs.filter(trial_id=GOLDEN_TRIALS[0][0]).sort("epoch")
    assert first["metric.eer"].round(6).to_list() == GOLDEN_CURVE
    assert first["metric.train_loss"].null_count() == 1
    assert first["time"][0] == datetime(2026, 3, 2, 9, 0, 2, tzinfo=UTC)
    assert run.starts.collect().select("start", "pid", "outcome").rows() == [(1, 4001, None), (2, 4002, "finished")]
    assert run.corpus.collect().select("role", "utterances").rows() == [("train", 800), ("dev", 100)]
    assert run.rejected.collect().height == 3
    assert read_scores(run, GOLDEN_TRIALS[0][0]).height == 24
    assert (run.study.objective[0].metric, run.provenance["corpus_fingerprint"]) == ("eer", "5f1d0c7a9b3e")


def test_run_of_schema_1_over_seeds():
    """Arms and confirmations over three seeds, with readings of the test set, scores of both sets and a table."""
    run = read_run(GOLDEN_SEEDS)
    states = run.trials.group_by("phase", "state").len().sort("phase", "state").collect()
    assert states.rows() == [
        ("arm", "complete", 9),
        ("confirm", "complete", 3),
        ("search", "complete", 2),
        ("search", "failed", 1),
        ("search", "pruned", 1),
    ]
    who = run.trials.select("trial_id", "phase", "number", "seed", "init")
    readings = run.readings.join(who.filter(pl.col("phase") == "confirm"), on="trial_id").collect()
    columns = ("split", "scored", "number", "seed", "init", pl.col("metric.eer").round(6))
    assert readings.select(columns).sort("seed").rows() == [
        ("test", 24, 1, 1, None, 0.147537),
        ("test", 24, 1, 2, None, 0.155855),
        ("test", 24, 1, 3, None, 0.154318),
    ]
    assert (run.warnings, run.readings.collect().height) == ((), 12)
    assert run.scores.group_by("split").len().sort("split").collect().rows() == [("dev", 336), ("test", 288)]
    lines = render_table([run], "markdown").splitlines()[4:7]
    assert lines == GOLDEN_TABLE


EPOCH = {"trial_id": "new", "attempt": 1, "time": datetime(2026, 4, 1, tzinfo=UTC), "duration_s": 1.0}
GOLDEN_TRIALS = [
    ("619b5ad49337", "paper", None, "complete", 3, 1, 0.111626, 0.1),
    ("a9e8c91156bb", None, 0, "complete", 3, 1, 0.085779, 0.43468743057789355),
    ("06ef19e216e4", None, 1, "pruned", 1, 2, 0.242887, None),
    ("ec55717fbefc", None, 2, "failed", 2, 1, 0.170674, None),
    ("af091adffe3e", None, 3, "complete", 3, 1, 0.126919, None),
]
GOLDEN_EPOCHS = 17
GOLDEN_CURVE = [0.369417, 0.227628, 0.152308, 0.111626]
GOLDEN_TABLE = [
    "| AP loss | 16.75 ± 1.18 (3) | 15.35 ± 1.11 (3) | 2.21 ± 0.03 (3) |  |  | baseline |",
    (
        "| mixup | α 0.1: 16.02 ± 0.72 (3) | 14.54 ± 0.70 (3) | 2.11 ± 0.02 (3) | +4.36 | +4.52 "
        "| −0.73 \\[−1.98, +0.53\\] tied |"
    ),
    "| found | 15.26 ± 0.44 (3) | 14.00 ± 0.29 (3) |  | +8.89 |  | −1.49 \\[−3.59, +0.62\\] tied |",
]
