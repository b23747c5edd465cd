"""From a run of two workers to a net that is used, end to end, each command in a process of its own."""

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from reports.reading import read_run, read_scores

ROOT = Path(__file__).parents[2]
STUDY = """
title = "two workers"
trainable = "contrastive_mixup"
objective = [{ metric = "eer", goal = "minimize" }]
[corpus]
train = "synthetic?speakers=16&utterances=3&dev_speakers=6&dev_utterances=3&test_speakers=9&test_utterances=4"
[config]
width = 4
embedding_size = 16
mels = 20
batch_speakers = 8
crop_s = 0.5
eval_crop_s = 0.5
eval_crops = 3
epochs = 2
[resources]
workers = 2
max_lanes = 1
"""


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_trial_of_two_workers_is_exported_and_gives_its_table_again(voxstudy: Any, tmp_path: Path) -> None:
    """EER and minDCF of the table, and every score to the last bit, in a fresh process; then embeddings and scores."""
    (tmp_path / "study.toml").write_text(STUDY)
    voxstudy("run", "study.toml", "--run", "run")
    voxstudy("export", "run", "--trial", "best", "--out", "net")
    output = voxstudy("evaluate", "net", "--out", "own")
    run = read_run(str(tmp_path / "run"))
    trial = run.trials.collect().row(0, named=True)
    read = run.readings.collect().row(0, named=True)
    part = json.loads((tmp_path / "own" / "evaluation.json").read_text())["parts"][0]
    table = read_scores(run, trial["trial_id"]).filter(pl.col("split") == "test")

    assert 2 == trial["workers"]
    assert (read["metric.eer"], read["metric.min_dcf"]) == (part["eer"], part["min_dcf"])
    assert table.equals(pl.read_ipc(tmp_path / "own" / "scores.arrow"))
    assert table["score"].n_unique() > 100, "a net that gives one score for all tests little"
    assert f"{100 * part['eer']:.2f}" in output
    (tmp_path / "list.txt").write_text("".join(f"{label:d} {a} {b}\n" for a, b, label in _first(table)))
    output = voxstudy("evaluate", "net", "--trial-list", "list.txt", "--split", "test", "--out", "listed")
    assert _first(table, "score") == _first(pl.read_ipc(tmp_path / "listed" / "scores.arrow"), "score")
    output = voxstudy("evaluate", "net", "--corpus", "synthetic?speakers=6&utterances=2&seed=3&test_speakers=0")
    assert re.search(r"^all pairs +\d+", output, re.MULTILINE)
    output = voxstudy("embed", "net", "synthetic?speakers=2&utterances=2&test_speakers=0", "--out", "out.parquet")
    assert "left out" not in output
    assert 16 == len(pl.read_parquet(tmp_path / "out.parquet")["embedding"][0])


def _first(table: pl.DataFrame, *more: str) -> list[tuple[Any, ...]]:
    """Some targets and some non-targets."""
    both = pl.concat([table.filter(pl.col("label") == label).head(20) for label in (True, False)])
    return both.select("left", "right", "label", *more).rows()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["export", "{run}", "--trial", "paper", "--out", "x"], "checkpoints were deleted"),
        (["evaluate", "no_net"], "no_net: no such folder"),
        (["embed", "{run}", "a.wav", "--out", "x.parquet"], "it has no model.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_are_answered_by_a_sentence(voxstudy: Any, tmp_path: Path, words: list[str], said: str) -> None:
    """A user's mistake is exit code 2 and a sentence, never a traceback; nothing is left behind."""
    places = {"run": ROOT / "tests" / "reports" / "data" / "run_v1"}
    output = voxstudy(*[word.format(**places) for word in words], code=2)

    assert said in output
    assert "Traceback" not in output
    assert [] == list(tmp_path.iterdir())
