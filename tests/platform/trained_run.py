"""A run that was really trained, in this process and without Ray: for tests of what uses a run's checkpoints."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from reports.store import Store
from search_spaces.reading import read_study
from trainables.checkpoints import Checkpoints, folder_of
from trainables.contrastive_mixup import build
from trainables.corpora.splits import audio_caches
from trainables.loop import Directive, fit
from trainables.scores import score_writer
from voxstudy.run import _open_ledger, open_corpus

VOICES = (
    "synthetic?speakers=10&utterances=3&dev_speakers=6&dev_utterances=3&test_speakers=7&test_utterances=3&seconds=1"
)
STUDY = """
title = "nets | for <tests>"
trainable = "contrastive_mixup"
objective = [{{ metric = "eer", goal = "minimize" }}]
seeds = {seeds}
[corpus]
train = "{train}"
{corpus}
[config]
width = 4
embedding_size = 16
mels = 20
batch_speakers = 8
crop_s = 0.5
eval_crop_s = 0.5
eval_crops = 3
epochs = 2
[[arm]]
name = "AP loss"
config = {{ loss = "ap" }}
"""


def train_run(
    folder: Path,
    *,
    train: str = VOICES,
    corpus: str = "",
    seeds: int = 2,
    arms: Sequence[str] = ("paper", "AP loss"),
    pruned: bool = True,
) -> Path:
    """Train each arm with each seed to its end, as a lane would; one more trial of the last arm is stopped early."""
    file = folder.parent / f"{folder.name}.toml"
    file.write_text(STUDY.format(train=train, corpus=corpus, seeds=seeds))
    read = read_study(str(file))
    splits = open_corpus(read, Console(quiet=True))
    store = Store(str(folder))
    ledger = _open_ledger(read, store, splits, is_new=True)
    audio = audio_caches(splits)
    params: dict[str, dict[str, Any]] = {"paper": {}, **{arm.name: dict(arm.config) for arm in read.study.arms}}

    def train_one(arm: str, seed: int, *, epochs: int | None = None) -> None:
        trial = ledger.issue(phase="arm", arm=arm, number=None, seed=seed, params=params[arm])
        last: dict[str, Any] = {}

        def report(row: dict[str, Any]) -> Directive:
            ledger.add_epoch(trial.trial_id, row)
            last.update(row)
            return Directive(stop=row["epoch"] == epochs, committed=row["epoch"])

        task = partial(
            build, trial.config, seed=seed, splits=splits, audio=audio, device=torch.device("cpu"), rank=0, size=1
        )
        fit(
            build_task=task,
            seed=seed,
            seen=-1,
            report=report,
            stopped=lambda: False,
            wrap=lambda module: module,
            checkpoints=Checkpoints(store, folder_of(trial.trial_id), 1),
            write_scores=score_writer(store, trial_id=trial.trial_id, attempt=1),
            rank=0,
            threads=1,
            score_test=splits.test is not None,
        )
        state = "complete" if epochs is None else "pruned"
        ledger.finish(trial.trial_id, state, scores=last.get("scores"), test=last.get("test"))

    for arm in arms:
        for seed in range(1, seeds + 1):
            train_one(arm, seed)
    if pruned:
        train_one(arms[-1], seeds + 1, epochs=1)
    ledger.close_start("the target is reached")
    return folder
