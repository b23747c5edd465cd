"""Commits are whole, nothing acknowledged is lost, and the manifest stays short."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import polars as pl
import pytest

from reports import store as store_module
from reports.fragments import read_fragment
from reports.manifest import MANIFEST, RunError, read_manifest
from reports.reading import read_run
from reports.store import Store, StoreError
from reports.tables import TableWriter, next_start

TRAINABLE = "contrastive_mixup"
STUDY = """
title = "Nothing"
trainable = "contrastive_mixup"
objective = [{ metric = "eer", goal = "minimize" }]
corpus = { train = "synthetic" }
"""
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def new_run(path):
    store = Store(str(path))
    store.write("resolved.toml", STUDY.encode())
    store.write("provenance.json", b"{}")
    return store


def epoch_row(epoch, trial="t0", attempt=1, **metrics):
    row = {"trial_id": trial, "attempt": attempt, "epoch": epoch, "time": NOW, "duration_s": 1.0}
    return row | {f"metric.{name}": value for name, value in metrics.items()}


def trial_row(epoch, trial="t0", attempt=1, **more):
    row = {"trial_id": trial, "config_id": "c0", "phase": "search", "seed": 1, "attempt": attempt, "revision": epoch}
    row |= {"state": "running", "epochs": epoch, "epochs_planned": 9, "started": NOW, "workers": 1, "restarts": 0}
    return row | {"code_hash": "h", "knob.loss": "ap"} | more


def rejected_row(row):
    return {"source": "m.csv", "row": row, "path": "x.wav", "reason": "no such file"}


def rejected_rows(store):
    """The column `row` of the table, in the order of the manifest."""
    live = read_manifest(store).fragments.get("rejected", ())
    return [row for one in live for row in read_fragment(store, "rejected", one)["row"].to_pylist()]


@pytest.fixture
def quick_disk(monkeypatch):
    """No waiting for the disk where thousands of commits are no test of it."""
    monkeypatch.setattr(store_module.os, "fsync", lambda _descriptor: None)


def test_rows_come_back(tmp_path):
    """All types survive; what a row leaves out is null; `start` is filled in."""
    store = new_run(tmp_path)
    writer = TableWriter(store, next_start(store), TRAINABLE)
    writer.append("trials", trial_row(3, error="ü|\n", number=7, ended=NOW, objective=1, **{"knob.beta_alpha": 0.5}))
    assert writer.dirty
    assert writer.commit() == 1
    assert not writer.dirty
    row = read_run(tmp_path).trials.collect().to_dicts()[0]
    assert (row["error"], row["number"], row["ended"], row["objective"]) == ("ü|\n", 7, NOW, 1.0)
    assert (row["start"], row["arm"], row["knob.beta_alpha"], row["knob.epochs"]) == (1, None, 0.5, None)


def test_commit_without_rows_writes_nothing(tmp_path):
    store = new_run(tmp_path)
    writer = TableWriter(store, 1, TRAINABLE)
    before = store.read(MANIFEST)
    assert writer.commit() == 0
    assert store.read(MANIFEST) == before


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (epoch_row(1) | {"eer": 0.1}, "epochs has no column 'eer'"),
        (epoch_row(1) | {"epoch": "1"}, "epochs.epoch takes int32, not '1'"),
        (epoch_row(1) | {"epoch": True}, "epochs.epoch takes int32, not True"),
        (epoch_row(1) | {"epoch": 1.0}, "epochs.epoch takes int32, not 1.0"),
        (epoch_row(1) | {"metric.eer": "low"}, "epochs.metric.eer takes double, not 'low'"),
        (epoch_row(1) | {"time": datetime(2026, 1, 1)}, "epochs.time takes UTC"),
        (epoch_row(1) | {"trial_id": None}, "epochs needs \\['trial_id'\\]"),
    ],
)
def test_wrong_rows_are_our_mistakes(tmp_path, row, complaint):
    writer = TableWriter(new_run(tmp_path), 1, TRAINABLE)
    with pytest.raises(AssertionError, match=complaint):
        writer.append("epochs", row)
    assert not writer.dirty


def test_late_metrics_unite(tmp_path):
    """A metric that appears late is null before; merging keeps that."""
    store = new_run(tmp_path)
    writer = TableWriter(store, 1, TRAINABLE)
    for epoch in range(20):
        writer.append("epochs", epoch_row(epoch, eer=epoch / 100, **({"min_dcf": 0.5} if epoch >= 18 else {})))
        if epoch == 10:
            writer.append("epochs", epoch_row(0, trial="t1", only_here=3))
        writer.commit()
    frame = read_run(tmp_path).epochs.collect()
    assert frame.columns[5:] == ["metric.eer", "metric.only_here", "metric.min_dcf"]
    one = frame.filter(trial_id="t0")
    assert one["metric.eer"].to_list() == [epoch / 100 for epoch in range(20)]
    assert one["metric.min_dcf"].to_list() == [None] * 18 + [0.5, 0.5]
    assert frame.filter(trial_id="t1")["metric.only_here"].to_list() == [3.0]


@pytest.mark.slow
def test_two_thousand_commits_stay_few_fragments(tmp_path, quick_disk):
    """2,000 = 7 * 256 + 13 * 16 + 0 commits are 7 + 13 + 0 fragments; every row is there, in order, over two starts."""
    store = new_run(tmp_path)
    most = 0
    for start in (1, 2):
        writer = TableWriter(store, next_start(store), TRAINABLE)
        for row in range(1000 * (start - 1), 1000 * start):
            writer.append("rejected", rejected_row(row))
            writer.commit()
            most = max(most, len(writer._manifest.fragments["rejected"]))
    manifest = read_manifest(store)
    assert [one.level for one in manifest.fragments["rejected"]] == [2] * 7 + [1] * 13
    assert most <= 3 * 15
    assert rejected_rows(store) == list(range(2000))
    assert store.names("tables/rejected") == sorted(one.name for one in manifest.fragments["rejected"])
    assert (manifest.generation, manifest.start) == (2000, 2)


@pytest.mark.parametrize("failing", range(5))
def test_failed_commit_keeps_the_rows(tmp_path, monkeypatch, failing):
    """Whichever write of a merging commit fails, readers see what was; the same rows are committed later, once."""
    store = new_run(tmp_path)
    writer = TableWriter(store, 1, TRAINABLE)
    for epoch in range(15):
        writer.append("epochs", epoch_row(epoch, eer=0.5))
        writer.append("trials", trial_row(epoch))
        writer.commit()
    writer.append("epochs", epoch_row(15, eer=0.5))
    writer.append("trials", trial_row(15))
    write, calls = Store.write, []

    def full(self, path, data):
        calls.append(path)
        if len(calls) == failing + 1:
            raise StoreError(self.place(path), "cannot write: No space left on device")
        write(self, path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", full)
        with pytest.raises(StoreError, match="No space left"):
            writer.commit()
    assert calls[4:] == [MANIFEST][: failing - 3]
    assert writer.dirty
    run = read_run(tmp_path)
    assert (run.generation, run.epochs.collect().height, run.warnings) == (15, 15, ())
    writer.append("epochs", epoch_row(16, eer=0.5))
    writer.append("trials", trial_row(16))
    writer.commit()
    run = read_run(tmp_path)
    assert run.epochs.collect()["epoch"].to_list() == list(range(17))
    assert run.trials.collect()["epochs"].to_list() == [16]
    live = read_manifest(store).fragments
    assert {table: store.names(f"tables/{table}") for table in live} == {
        table: [one.name for one in fragments] for table, fragments in live.items()
    }


def test_lost_answer_of_the_swap(tmp_path, monkeypatch):
    """An object store may swap and not say so: what it swapped in is readable till the next commit, no row doubles."""
    store = new_run(tmp_path)
    writer = TableWriter(store, 1, TRAINABLE)
    writer.append("epochs", epoch_row(0))
    write = Store.write

    def mute(self, path, data):
        write(self, path, data)
        if path == MANIFEST:
            raise StoreError(self.place(path), "cannot write: timeout")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", mute)
        with pytest.raises(StoreError, match="timeout"):
            writer.commit()
    run = read_run(tmp_path)
    assert (run.epochs.collect()["epoch"].to_list(), run.warnings) == ([0], ())
    writer.append("epochs", epoch_row(1))
    writer.commit()
    assert read_run(tmp_path).epochs.collect()["epoch"].to_list() == [0, 1]
    assert len(store.names("tables/epochs")) == 1


def test_opening_sweeps_what_a_killed_driver_left(tmp_path):
    """Fragments in no manifest and asides go; what others wrote stays."""
    store = new_run(tmp_path)
    writer = TableWriter(store, 1, TRAINABLE)
    writer.append("epochs", epoch_row(0))
    writer.commit()
    kept = store.names("tables/epochs")
    for name in (
        "tables/epochs/part-0001-000009-l0.arrow",
        "_tmp/part.123",
        "tables/scores/t0-a1.arrow",
        "tables/epochs/README",
    ):
        store.write(name, b"torn")
    TableWriter(store, next_start(store), TRAINABLE)
    assert store.names("tables/epochs") == ["README", *kept]
    assert (store.names("_tmp"), store.names("tables/scores")) == ([], ["t0-a1.arrow"])


def test_a_driver_that_was_taken_over_cannot_commit(tmp_path):
    store = new_run(tmp_path)
    old = TableWriter(store, next_start(store), TRAINABLE)
    old.append("epochs", epoch_row(0))
    old.commit()
    new = TableWriter(store, next_start(store), TRAINABLE)
    old.append("epochs", epoch_row(1))
    with pytest.raises(StoreError, match="driver start 2 has taken over; start 1 may not write any more"):
        old.commit()
    new.append("epochs", epoch_row(2))
    new.commit()
    run = read_run(tmp_path)
    assert (run.epochs.collect()["epoch"].to_list(), run.warnings) == ([0, 2], ())


def test_a_lost_manifest_is_no_empty_run(tmp_path):
    """Without its manifest a run is not swept as if all its fragments were orphans."""
    store = new_run(tmp_path)
    writer = TableWriter(store, 1, TRAINABLE)
    writer.append("epochs", epoch_row(0))
    writer.commit()
    store.delete(MANIFEST)
    with pytest.raises(RunError, match=r"manifest.json: missing, but there are fragments"):
        TableWriter(store, next_start(store), TRAINABLE)
    assert len(store.names("tables/epochs")) == 1


def test_a_newer_run_is_not_written(tmp_path):
    store = new_run(tmp_path)
    TableWriter(store, 1, TRAINABLE)
    content = json.loads(store.read(MANIFEST))
    store.write(MANIFEST, json.dumps(content | {"schema_version": 3}).encode())
    with pytest.raises(RunError, match="written by schema 3, this voxstudy reads up to 1; upgrade voxstudy"):
        TableWriter(store, 2, TRAINABLE)


def test_damaged_fragment_survives_merging_by_name(tmp_path, quick_disk):
    """The rows of the fifteen others are merged, the damaged one stays listed and is named by every reader."""
    store = new_run(tmp_path)
    writer = TableWriter(store, 1, TRAINABLE)
    for epoch in range(300):
        writer.append("epochs", epoch_row(epoch))
        writer.commit()
        if epoch == 4:
            victim = f"tables/epochs/{store.names('tables/epochs')[2]}"
            store.write(victim, store.read(victim)[:-30])
    run = read_run(tmp_path)
    assert run.epochs.collect()["epoch"].to_list() == [epoch for epoch in range(300) if epoch != 2]
    assert len(run.warnings) == 1
    assert run.warnings[0].startswith(f"{tmp_path}/{victim}: 1 rows left out: ")


NURSERY = """
import os, random, signal, sys, time
from datetime import UTC, datetime
import pyarrow as pa
from reports.store import Store
from reports.tables import TableWriter, next_start

store, rng = Store(sys.argv[1]), random.Random(5)
pa.Table.from_pylist([{"a": 1}])  # imports pandas, which would take the children half a second each

def write(start, out):
    writer = TableWriter(store, start, "contrastive_mixup")
    trial, now = f"t{start:02d}", datetime.now(UTC)
    for epoch in range(10**6):
        writer.append("epochs", {"trial_id": trial, "attempt": 1, "epoch": epoch, "time": now, "duration_s": 0.0})
        writer.append("trials", {"trial_id": trial, "config_id": "c", "phase": "search", "seed": 1, "attempt": 1,
            "revision": epoch, "state": "running", "epochs": epoch, "epochs_planned": 9, "started": now, "workers": 1,
            "restarts": 0, "code_hash": "h"})
        writer.commit()
        os.write(out, f"{trial} {epoch}\\n".encode())

for _ in range(15):
    start = next_start(store)
    child = os.fork()
    if not child:
        write(start, 1)
    time.sleep(rng.uniform(0.005, 0.25))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def test_writers_killed_at_any_moment_lose_nothing(tmp_path):
    """15 writers, SIGKILLed one after the other, under a reader that reads all the time.

    Every read is whole: a trial's row and its epochs agree, nothing is damaged, nothing goes back. In the end every
    acknowledged commit is there, each once, and at most one more a writer.
    """
    store = new_run(tmp_path / "run")
    command = [sys.executable, "-c", NURSERY, store.uri]
    reads, generation = 0, 0
    with open(tmp_path / "out", "wb") as out, subprocess.Popen(command, stdout=out) as process:
        while process.poll() is None:
            run = read_run(store)
            last = run.epochs.group_by("trial_id").agg(pl.col("epoch").max(), pl.len().cast(pl.Int32)).collect()
            assert run.warnings == ()
            assert run.generation >= generation
            assert last["len"].to_list() == (last["epoch"] + 1).to_list()
            assert dict(last.select("trial_id", "epoch").iter_rows()) == dict(
                run.trials.select("trial_id", "epochs").collect().iter_rows()
            )
            reads, generation = reads + 1, run.generation
    assert process.returncode == 0
    acknowledged = [tuple(line.split()) for line in (tmp_path / "out").read_text().splitlines()]
    run = read_run(store)
    written = [(trial, str(epoch)) for trial, epoch in run.epochs.select("trial_id", "epoch").collect().iter_rows()]
    assert set(acknowledged) <= set(written)
    assert len(written) == len(set(written)) == run.generation
    assert len(written) - len(acknowledged) <= 15
    assert min(len(acknowledged), reads) > 0
