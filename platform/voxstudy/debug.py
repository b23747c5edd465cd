"""`voxstudy run --debug`: the baseline's first trial in this process, without Ray, so that breakpoints are hit."""

import importlib
import tempfile
from typing import Any

import torch
from rich.console import Console

from reports.store import Store
from search_spaces.reading import ReadStudy
from trainables.checkpoints import Checkpoints
from trainables.corpora.splits import audio_caches
from trainables.loop import Directive, fit
from trainables.scores import score_writer
from voxstudy.run import open_corpus, refuse_plans


def debug_trial(read: ReadStudy, console: Console) -> int:
    """Run the baseline config with the first seed; nothing is kept. Errors keep their traceback.

    The test set is left alone: what reads it is recorded in a run.
    """
    splits = open_corpus(read, console)
    refuse_plans(read.study, splits)
    config = read.study.config_of({})
    for note in config.notes(workers=1):
        if note not in config.notes(read.study.resources.workers):
            console.print(f"--debug trains with one worker: {note}", highlight=False, markup=False, soft_wrap=True)
    device = torch.device("cuda" if torch.cuda.is_available() and read.study.resources.gpus_per_worker else "cpu")
    build = importlib.import_module(f"trainables.{read.study.trainable}").build
    audio = audio_caches(splits)
    metric = read.study.objective[0].metric

    def report(row: dict[str, Any]) -> Directive:
        value = row["metrics"].get(metric, float("nan"))
        console.print(f"epoch {row['epoch']}/{config.epochs} {metric} {value:.4g}", highlight=False)
        return Directive(stop=False, committed=row["epoch"])

    with tempfile.TemporaryDirectory(prefix="voxstudy-debug-") as folder:
        store = Store(folder)
        fit(
            build_task=lambda: build(config, seed=1, splits=splits, audio=audio, device=device, rank=0, size=1),
            seed=1,
            seen=-1,
            report=report,
            stopped=lambda: False,
            wrap=lambda module: module.to(device),
            checkpoints=Checkpoints(store, "checkpoints/debug", 1),
            write_scores=score_writer(store, trial_id="debug", attempt=1),
            rank=0,
            threads=max(1, int(read.study.resources.cpus_per_worker)),
        )
    return 0
