"""The command line. Each command imports what it needs: those without torch and Ray answer at once."""

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from voxstudy.corpus_cli import corpus_app
from voxstudy.use_cli import add_commands

USERS = 2  # the exit code of a user's mistake; those of a run stand in outcome.py

app = typer.Typer(
    name="voxstudy",
    help="Hyperparameter studies of robust speech models on Ray.",
    epilog="Exit codes: 0 the target is reached; 2 a mistake of the user; 3 stopped before the target, the same command"
    " goes on; 1 a fault of voxstudy.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(corpus_app, name="corpus")

StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="a shipped study's name or a path to a .toml file")]
RunPlace = Annotated[str, typer.Argument(metavar="RUN", help="a run directory")]


@app.command()
def check(
    study: StudyName,
    corpus: Annotated[list[str] | None, typer.Option(metavar="[ROLE=]SOURCE", help="as for run")] = None,
    trials: Annotated[int | None, typer.Option(metavar="TOTAL", help="as for run")] = None,
    seeds: Annotated[int | None, typer.Option(metavar="N", help="as for run")] = None,
    scale: Annotated[str | None, typer.Option(metavar="NAME", help="as for run; says what it costs, too")] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="as for run")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KNOB=VALUE", help="as for run")] = None,
) -> None:
    """Check a study file and print its plan; nothing is started."""
    from search_spaces.problems import StudyError
    from search_spaces.reading import read_study
    from voxstudy.plan import print_plan

    read = read_study(
        study, corpus=corpus or (), trials=trials, seeds=seeds, scale=scale, workers=workers, sets=set_ or ()
    )
    console = _console()
    print_plan(read, console)
    if scale is None:
        _refuse_impossible(read)
        return
    # A scale is meant for another machine: that this one cannot hold it is worth a line, no refusal.
    from voxstudy.cost import print_cost

    print_cost(read, console)
    try:
        _refuse_impossible(read)
    except StudyError as error:
        for problem in error.problems:
            console.print(f"not on this machine: {problem}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def knobs(
    trainable: Annotated[
        str | None, typer.Argument(metavar="[TRAINABLE]", help="one trainable; all of them if left out")
    ] = None,
) -> None:
    """List what may vary: each knob's default, range and meaning."""
    from voxstudy.plan import print_knobs

    print_knobs(trainable, _console())


@app.command()
def run(
    study: StudyName,
    run: Annotated[
        str | None, typer.Option("--run", metavar="DIR", help="the run directory [default: runs/STUDY]")
    ] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option(metavar="[ROLE=]SOURCE", help="read this corpus instead; without a role it replaces them all"),
    ] = None,
    trials: Annotated[int | None, typer.Option(metavar="TOTAL", help="the search's total, also when continued")] = None,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", help="seeds of each arm and confirmed config, also of a finished run")
    ] = None,
    scale: Annotated[str | None, typer.Option(metavar="NAME", help="put the study's [scale.NAME] over it")] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="workers of a lane")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KNOB=VALUE", help="fix a knob, and take it out of the search")
    ] = None,
    allow_code_change: Annotated[
        bool, typer.Option("--allow-code-change", help="continue a run made by other code")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="one trial of the baseline in this process, without Ray; keeps nothing")
    ] = False,
) -> None:
    """Run a study; the same command continues a run that was stopped and extends a finished one."""
    from search_spaces.reading import read_study

    read = read_study(
        study, corpus=corpus or (), trials=trials, seeds=seeds, scale=scale, workers=workers, sets=set_ or ()
    )
    _refuse_impossible(read)
    console = _console()
    if debug:
        from voxstudy.debug import debug_trial

        raise typer.Exit(debug_trial(read, console))
    from voxstudy.run import run_study

    place = run or f"runs/{read.name}"
    raise typer.Exit(run_study(read, place, allow_code_change=allow_code_change, console=console))


@app.command()
def show(
    run: RunPlace,
    format: Annotated[str, typer.Option("--format", metavar="table|json|csv", help="how to print them")] = "table",
) -> None:
    """List the trials of a run."""
    from reports.listing import render_listing
    from reports.reading import read_run

    print(render_listing(read_run(run), format))


@app.command()
def table(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="run directories")],
    format: Annotated[
        str, typer.Option("--format", metavar="markdown|latex|html", help="how to write it")
    ] = "markdown",
) -> None:
    """Write the table of each run: measured beside published, and what the differences support."""
    from reports.reading import read_run
    from reports.table_render import render_table

    print(render_table([read_run(run) for run in runs], format), end="")


@app.command()
def report(run: RunPlace) -> None:
    """Write report.html and report.md into a run directory."""
    from reports.page import write_report

    print("\n".join(write_report(run)))


@app.command()
def logs(
    run: RunPlace,
    trial: Annotated[
        str | None, typer.Argument(metavar="[TRIAL]", help="an id, a number of the search or an arm")
    ] = None,
) -> None:
    """Show what a trial printed and its traceback, wherever it ran; without TRIAL, a line for each."""
    from reports.reading import read_run
    from reports.store import Store
    from voxstudy.logs import overview, trial_log

    read, store = read_run(run), Store(run)
    print(overview(read, store) if trial is None else trial_log(read, store, trial))


add_commands(app)


def _refuse_impossible(read: "object") -> None:
    """Refuse what this machine can never give."""
    from search_spaces.problems import StudyError
    from search_spaces.reading import ReadStudy
    from voxstudy.plan import resource_problems

    assert isinstance(read, ReadStudy)
    cpus, gpus, where = os.cpu_count() or 1, len(list(Path("/proc/driver/nvidia/gpus").glob("*"))), "this machine"
    if "RAY_ADDRESS" in os.environ:  # a cluster's resources are known once `run` has connected to it
        cpus, gpus, where = 1 << 30, 1 << 30, "a cluster"
    problems = resource_problems(read.study, cpus=cpus, gpus=gpus, where=where)
    if problems:
        raise StudyError(problems)


def _console() -> Console:
    """Plain text for a pipe or a file, whose lines must not be folded at a terminal's width."""
    is_terminal = sys.stdout.isatty()
    return Console(width=None if is_terminal else 120, force_terminal=is_terminal or None)


def main() -> NoReturn:
    """Run the command line; a user's mistake is a message and exit code 2, never a traceback."""
    try:
        app(standalone_mode=True)
    except ValueError as error:
        if not _is_users(error):
            raise
        print(error, file=sys.stderr)
        sys.exit(USERS)
    sys.exit(0)


def _is_users(error: ValueError) -> bool:
    """Our own error classes speak of the user's mistakes; any other ValueError is a fault of ours."""
    return type(error).__module__.split(".")[0] in {"search_spaces", "trainables", "reports", "voxstudy"}


if __name__ == "__main__":
    main()
