"""Official partitions and lists of trials, from the files of a corpus to what a trial is built with and writes down."""

import hashlib
import io

import pyarrow as pa

from trainables.checkpoints import Checkpoints
from trainables.corpora.sources import open_roles
from trainables.loop import Directive, fit
from trainables.scores import score_writer

PARTITIONS = {"train": 9, "dev": 3, "test": 4}


def digest_of(rows):
    return hashlib.sha256(repr(sorted(rows)).encode()).hexdigest()


def test_partitions_and_lists_reach_a_trial_unchanged(tmp_path, write_manifest, records, make_task, store):
    """Rows and their hash a partition as the trial is built; the list's trials in the object of its scores."""
    rows = [
        {**record, "split": split}
        for split, speakers in PARTITIONS.items()
        for record in records(speakers, 3, prefix=split)
    ]
    names = [row["path"] for row in rows if row["split"] == "test"]
    trials = [(left[:7] == right[:7], left, right) for left in names[::-1] for right in names[::2]]
    trials += trials[:7]
    (tmp_path / "trials.txt").write_text("".join(f"{label:d} {left} {right}\n" for label, left, right in trials))
    roles = {"train": [str(write_manifest(rows))], "trials": [str(tmp_path / "trials.txt")]}
    splits = open_roles(roles, sample_rate=16000)
    given = {}

    def build_task():
        task = make_task.func(splits, epochs=1)
        given.update({name: cache.corpus.table for name, cache in task._audio.items()})
        return task

    last = {}
    fit(
        build_task=build_task,
        seed=0,
        seen=-1,
        report=lambda row: last.update(row) or Directive(stop=False, committed=row["epoch"]),
        stopped=lambda: False,
        wrap=lambda module: module,
        checkpoints=Checkpoints(store, "checkpoints/abc", 1),
        write_scores=score_writer(store, trial_id="abc", attempt=1),
        rank=0,
        threads=1,
        score_test=True,
    )
    for split in PARTITIONS:
        expected = [(row["path"], row["speaker"], split) for row in rows if row["split"] == split]
        found = list(zip(*(given[split][name].to_pylist() for name in ("path", "speaker", "split")), strict=True))

        assert len(expected) == len(found)
        assert digest_of(expected) == digest_of(found)
    scores = pa.ipc.open_file(io.BytesIO(store.read(f"tables/scores/{last['scores']}"))).read_all().to_pylist()

    assert trials == [(row["label"], row["left"], row["right"]) for row in scores if row["split"] == "test"]
    assert len(trials) == last["test"]["scored"]
