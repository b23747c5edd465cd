"""`voxstudy export`, `evaluate` and `embed`: using what was trained. Each command imports what it needs."""

import time
from collections.abc import Callable
from typing import Annotated

import typer

EVERY_S = 10.0

Model = Annotated[str, typer.Argument(metavar="DIR", help="a folder that `voxstudy export` made")]


def add_commands(app: typer.Typer) -> None:
    """Add the three commands."""
    app.command()(export)
    app.command()(evaluate)
    app.command()(embed)


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a run directory")],
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="the folder that is made")],
    trial: Annotated[
        str,
        typer.Option(
            "--trial",
            metavar="TRIAL",
            help="best on dev, an arm (its best seed) or ARM/SEED, #NUMBER or NUMBER of a config of the search, or an "
            "id or its beginning; an arm named best is best/SEED",
        ),
    ] = "best",
) -> None:
    """Write a trained net as a folder of its own: safetensors, its settings, and a card of what it is worth."""
    from voxstudy.export import export_trial

    facts = export_trial(run, trial=trial, out=out)
    own = facts["trial"]
    name = own["arm"] if own["arm"] is not None else f"#{own['number']}"
    print(f"{out}: trial {own['id']} ({name}, seed {own['seed']}), {facts['weights']['parameters']:,} parameters")


def evaluate(
    model: Model,
    corpus: Annotated[
        list[str] | None,
        typer.Option(metavar="[ROLE=]SOURCE", help="what is scored [default: the test set of the net's run]"),
    ] = None,
    trial_list: Annotated[str | None, typer.Option(metavar="FILE", help="the pairs that are scored")] = None,
    split: Annotated[str, typer.Option(metavar="test|dev", help="which partition is scored")] = "test",
    out: Annotated[
        str | None, typer.Option("--out", metavar="FOLDER", help="where table, DET curve and scores go")
    ] = None,
) -> None:
    """Score a corpus with a trained net: EER, minDCF, DET curve, by gender, with intervals over speakers."""
    from voxstudy.evaluate import evaluate_model

    evaluate_model(
        model, corpus=corpus or (), trial_list=trial_list, split=split, out=out, say=print, progress=_progress()
    )


def embed(
    model: Model,
    audio: Annotated[list[str], typer.Argument(metavar="AUDIO...", help="files, folders, manifests or packed corpora")],
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="the Parquet file that is written")],
) -> None:
    """Write the embedding of each utterance into a Parquet file; the dot product of two is their score."""
    from voxstudy.embed import embed_audio

    done = embed_audio(model, audio, out=out, say=print)
    left_out = f", {done.bad} left out" if done.bad else ""
    print(f"{out}: {done.good} embeddings{left_out}")


def _progress() -> Callable[[int, int], None]:
    """Tells now and then how many files were looked at."""
    last = time.monotonic()

    def told(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > EVERY_S:
            last = time.monotonic()
            print(f"corpus: {done} of {total} files checked", flush=True)

    return told
