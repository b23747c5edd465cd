"""Objects are whole or not there, locally and on S3, and every failure says where."""

import os
import pickle
import shutil
from pathlib import Path

import pytest
from pyarrow import fs

from reports import store as module
from reports.reading import read_run, read_scores
from reports.store import MissingError, Store, StoreError
from reports.tables import TableWriter, next_start


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def test_write_read_replace_list_delete(tmp_path):
    """What was written last is read; folders list files alone, sorted; deleting what is not there is fine."""
    store = Store(str(tmp_path / "run"))
    store.write("a/two", b"2")
    store.write("a/one", b"1")
    store.write("a/one", b"one")
    store.write("a/deep/three", b"3")
    assert store.read("a/one") == b"one"
    assert store.names("a") == ["one", "two"]
    assert store.names() == []
    assert store.names("none") == []
    assert (store.exists("a/one"), store.exists("a"), store.exists("a/zero")) == (True, False, False)
    store.delete("a/one")
    store.delete("a/one")
    assert store.names("a") == ["two"]
    store.delete_folder("a")
    store.delete_folder("a")
    assert files_in(tmp_path) == []


def test_a_store_is_the_same_elsewhere(tmp_path, monkeypatch):
    """Relative paths are made absolute, so that a worker in another directory writes to the same place."""
    monkeypatch.chdir(tmp_path)
    store = pickle.loads(pickle.dumps(Store("runs/x/")))
    monkeypatch.chdir("/")
    store.write("f", b"x")
    assert (tmp_path / "runs/x/f").read_bytes() == b"x"
    assert Store(f"file://{tmp_path}/runs/x").read("f") == b"x"


def test_missing_object_has_its_place(tmp_path):
    with pytest.raises(MissingError) as caught:
        Store(str(tmp_path)).read("tables/none")
    assert str(caught.value) == f"{tmp_path}/tables/none: cannot read: no such file"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_unwritable_place_is_named(tmp_path):
    (tmp_path / "file").write_text("I am no directory")
    with pytest.raises(StoreError, match=f"{tmp_path}/file/run/x: cannot write: .*exists.*{tmp_path}/file"):
        Store(str(tmp_path / "file" / "run")).write("x", b"")


def test_failed_write_leaves_what_was(tmp_path, monkeypatch):
    """A full disk: the old object is whole, and no half of the new one stays to fill the disk."""
    store = Store(str(tmp_path))
    store.write("x", b"old")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "fsync", full)
        with pytest.raises(StoreError, match=r"cannot write: .*No space left"):
            store.write("x", b"new")
    assert store.read("x") == b"old"
    assert files_in(tmp_path) == ["x"]


def test_write_survives_a_sweep(tmp_path, monkeypatch):
    """A driver that starts sweeps `_tmp/` away under a writer: the writer tries again."""
    replace, sweeps = os.replace, []

    def swept(source, target):
        if not sweeps:
            sweeps.append(source)
            shutil.rmtree(tmp_path / "_tmp")
        replace(source, target)

    monkeypatch.setattr(module.os, "replace", swept)
    Store(str(tmp_path)).write("x", b"here")
    assert (len(sweeps), Store(str(tmp_path)).read("x")) == (1, b"here")


def test_place_tells_no_secrets():
    store = Store("s3://key:secret@bucket/run?endpoint_override=127.0.0.1%3A9000&scheme=http")
    assert store.place("tables") == "s3://bucket/run/tables"


@pytest.fixture(scope="module")
def s3():
    """The port of moto's S3 on the loopback, with an empty bucket."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        endpoint = f"http://127.0.0.1:{port}"
        fs.S3FileSystem(endpoint_override=endpoint, scheme="http", allow_bucket_creation=True).create_dir("bucket")
        yield port
    server.stop()


def test_a_run_on_s3(s3, tmp_path, fabricate_run, monkeypatch):
    """A run copied to S3 reads as it did locally, goes on being written there, and `AWS_ENDPOINT_URL` finds it too."""
    local = fabricate_run(tmp_path / "run", trials=3, epochs=2, failed=0, pruned=1, commit_every=10)
    store = Store(f"s3://bucket/runs/a?endpoint_override=http%3A%2F%2F127.0.0.1%3A{s3}&scheme=http")
    for name in files_in(local):
        store.write(name, (local / name).read_bytes())
    assert store.names() == ["provenance.json", "resolved.toml", "study.toml"]
    expected, run = read_run(local), read_run(store)
    assert run.epochs.collect().equals(expected.epochs.collect())

    writer = TableWriter(store, next_start(store), "contrastive_mixup")
    writer.append("corpus", CORPUS_ROW)
    for row in range(18):
        writer.append("rejected", {"source": "m.csv", "row": row, "path": "x.wav", "reason": "no such file"})
        writer.commit()
    assert len(store.names("tables/rejected")) < 18

    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{s3}")
    run = read_run("s3://bucket/runs/a")
    assert run.rejected.collect()["row"].to_list() == list(range(18))
    assert run.trials.collect().equals(expected.trials.collect())
    complete = run.trials.collect().filter(state="complete")["trial_id"][0]
    assert read_scores(run, complete).equals(read_scores(expected, complete))
    store.delete("tables/manifest.json")
    store.delete("tables/manifest.json")
    store.delete_folder("tables")
    store.delete_folder("tables")
    assert (store.exists("tables/manifest.json"), store.names("tables/rejected")) == (False, [])
    with pytest.raises(MissingError, match=r"s3://bucket/runs/a/tables/manifest.json: cannot read: no such file"):
        store.read("tables/manifest.json")


def test_s3_without_the_bucket(s3):
    store = Store(
        f"s3://no-such-bucket/run?endpoint_override=http%3A%2F%2F127.0.0.1%3A{s3}&scheme=http&region=us-east-1"
    )
    with pytest.raises(StoreError, match=r"s3://no-such-bucket/run/x: cannot write: .*bucket does not exist"):
        store.write("x", b"x")


CORPUS_ROW = {
    "role": "train",
    "utterances": 1,
    "speakers": 1,
    "hours": 0.1,
    "source": "synthetic",
    "fingerprint": "0" * 12,
}
