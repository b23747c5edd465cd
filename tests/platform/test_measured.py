"""Arms, seeds, confirmations and the test set end to end: killed, continued, extended, and judged."""

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile

from reports.reading import read_run, read_scores

pytestmark = [pytest.mark.ray, pytest.mark.slow]

CONFIG = """
[config]
width = 4
embedding_size = 16
mels = 20
batch_speakers = 8
crop_s = 0.5
eval_crop_s = 0.5
eval_crops = 2
epochs = 3
"""
STUDY = f"""
title = "a small study with everything"
trainable = "contrastive_mixup"
objective = [{{ metric = "eer", goal = "minimize" }}]
seeds = 2
[corpus]
train = "synthetic?speakers=16&utterances=3&dev_speakers=6&dev_utterances=3&test_speakers=5&test_utterances=3"
{CONFIG}
[[arm]]
name = "tuned"
init_from = "AP loss"
[[arm]]
name = "AP loss"
config = {{ loss = "ap" }}
[search]
trials = 4
stopper = "asha"
grace = 1
reduction = 2
[search.space]
loss = {{ choices = ["ap", "contrastive_mixup"] }}
beta_alpha = true
learning_rate = true
[confirm]
top = 1
[table]
caption = "Everything"
baseline = "AP loss"
cell = [
    {{ row = "AP loss", arm = "AP loss", published = {{ mean = 14.8, std = 0.25, n = 3 }} }},
    {{ row = "mixup", arm = ["paper", "tuned"], published = {{ mean = 12.38, std = 0.24, n = 3 }} }},
    {{ row = "found", confirmed = 1 }},
]
[resources]
max_lanes = 1
"""
FACTS = ["trial_id", "config_id", "phase", "arm", "number", "seed", "state", "epochs", "objective", "init"]


def _tables(run: Path) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Trials, epochs and readings without times and attempts."""
    found = read_run(str(run))
    epochs, readings = found.epochs.collect(), found.readings.collect()
    metrics = sorted(name for name in epochs.columns if name.startswith("metric."))
    return (
        found.trials.select(FACTS).collect().sort("trial_id"),
        epochs.select("trial_id", "epoch", *metrics).sort("trial_id", "epoch"),
        readings.select("trial_id", "split", "scored", "fingerprint", "metric.eer", "metric.min_dcf").sort("trial_id"),
    )


@pytest.mark.timeout(500)
def test_killed_confirmed_and_given_more_seeds(voxstudy: Any, tmp_path: Path) -> None:
    """Two kills change nothing in the tables; `--seeds` runs exactly the missing trials; table and report follow."""
    study, whole, killed = tmp_path / "study.toml", tmp_path / "whole", tmp_path / "killed"
    study.write_text(STUDY)
    voxstudy("run", study, "--run", whole)
    for moment in (r"tuned \(seed 1\) epoch 1/3", r"config \d \(seed 1\) epoch 1/3"):
        process = voxstudy.start("run", study, "--run", killed)
        voxstudy.kill_when(process, lambda line, moment=moment: re.search(moment, line) is not None)
    output = voxstudy("run", study, "--run", killed)

    assert "12 of 12 trials done" in output
    assert [a.equals(b) for a, b in zip(_tables(whole), _tables(killed), strict=True)] == [True] * 3
    trials, _, readings = _tables(killed)
    measured = trials.filter(pl.col("phase") != "search")
    assert sorted(measured["trial_id"]) == readings["trial_id"].to_list(), "a search trial must not see the test set"
    assert {1, 2} == set(measured["seed"])
    by_seed = dict(trials.filter(pl.col("arm") == "AP loss").select("seed", "trial_id").iter_rows())
    tuned = trials.filter(pl.col("arm") == "tuned")
    assert by_seed == dict(tuned.select("seed", "init").iter_rows())
    epochs = _tables(killed)[1]
    for row in tuned.iter_rows(named=True):
        start = epochs.filter((pl.col("trial_id") == row["trial_id"]) & (pl.col("epoch") == 0))
        end = epochs.filter((pl.col("trial_id") == row["init"]) & (pl.col("epoch") == 3))
        assert start["metric.eer"].item() == end["metric.eer"].item()
    output = voxstudy("run", study, "--run", killed, "--seeds", 3)

    assert "12 of 16 trials done already" in output
    assert "16 of 16 trials done" in output
    more = _tables(killed)
    new = more[0].join(trials, on="trial_id", how="anti")
    assert {(p, a, 3) for p, a in (("arm", "paper"), ("arm", "tuned"), ("arm", "AP loss"), ("confirm", None))} == {
        (row["phase"], row["arm"], row["seed"]) for row in new.iter_rows(named=True)
    }
    assert trials.equals(more[0].join(trials, on="trial_id", how="semi").sort("trial_id"))
    assert "12.38" in voxstudy("table", killed)
    assert r"\toprule" in voxstudy("table", killed, "--format", "latex")
    assert "<table" in voxstudy("table", killed, whole, "--format", "html")
    assert "AP loss" in (killed / "report.md").read_text()


def _write_corpus(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Files of noise of 14 speakers, a manifest that gives their partitions, and a list of trials; the test rows."""
    noise = np.random.default_rng(0)
    rows = []
    for speaker in range(14):
        split = "train" if speaker < 8 else "dev" if speaker < 11 else "test"
        for utterance in range(3):
            path = f"s{speaker}-{utterance}.wav"
            soundfile.write(folder / path, noise.normal(0, 0.1, 16_000), 16_000)
            rows.append({"path": path, "speaker": f"s{speaker}", "split": split, "room": f"r{utterance}"})
    with (folder / "all.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return {split: [(r["path"], r["room"]) for r in rows if r["split"] == split] for split in ("train", "dev", "test")}


@pytest.mark.timeout(300)
def test_given_partitions_and_lists_reach_the_trial_unchanged(voxstudy: Any, tmp_path: Path) -> None:
    """Row counts and the list's order; filters choose rows; weights may come from another run."""
    given = _write_corpus(tmp_path)
    pairs = [("s11-0.wav", "s11-1.wav", 1), ("s13-2.wav", "s11-0.wav", 0), ("s12-0.wav", "s12-2.wav", 1)]
    pairs += [pairs[1]]  # a list may say something twice
    (tmp_path / "list.txt").write_text("".join(f"{label} {left} {right}\n" for left, right, label in pairs))
    head = 'title = "given"\ntrainable = "contrastive_mixup"\nobjective = [{ metric = "eer", goal = "minimize" }]\n'
    corpus = '[corpus]\ntrain = { source = "all.csv", where = { room = ["r0", "r2"] } }\n'
    corpus += 'dev = "all.csv"\ntest = "all.csv"\ntrials = "list.txt"\n'
    first = tmp_path / "first.toml"
    first.write_text(head + corpus + CONFIG)
    voxstudy("run", first, "--run", tmp_path / "first")
    arm = '[[arm]]\nname = "again"\ninit_from = { run = "first", arm = "paper" }\n'
    second = tmp_path / "second.toml"
    second.write_text(head + corpus + CONFIG + arm)
    voxstudy("run", second, "--run", tmp_path / "second", "--set", "epochs=2")
    run = read_run(str(tmp_path / "second"))
    counts = dict(run.corpus.select("role", "utterances").collect().iter_rows())

    chosen = [path for path, room in given["train"] if room in ("r0", "r2")]
    assert {"train": len(chosen), "dev": len(given["dev"]), "test": len(given["test"])} == counts
    assert [len(pairs)] * 2 == run.readings.collect()["scored"].to_list()
    for trial in run.trials.collect().iter_rows(named=True):
        scores = read_scores(run, trial["trial_id"]).filter(pl.col("split") == "test")
        assert [(a, b, bool(label)) for a, b, label in pairs] == list(
            scores.select("left", "right", "label").iter_rows()
        )
    source = read_run(str(tmp_path / "first")).trials.collect()["trial_id"].item()
    assert [source] == run.trials.filter(pl.col("arm") == "again").collect()["init"].to_list()
    (tmp_path / "list.txt").write_text("1 s11-0.wav s11-1.wav\n0 s12-0.wav s11-9.wav\n")
    output = voxstudy("run", second, "--run", tmp_path / "third", code=2)
    assert "s11-9.wav" in output
    assert "Traceback" not in output
