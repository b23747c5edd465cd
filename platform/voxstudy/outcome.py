"""How a start of a run begins and ends in the table `starts`, in words and in an exit code."""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from voxstudy.agenda import Agenda
from voxstudy.ledger import COMPLETE, FAILED, Ledger
from voxstudy.provenance import code_hash, command, git_state, machine, versions

REACHED, OURS, STOPPED = 0, 1, 3  # exit codes; 2 is a user's mistake (cli.py)


@dataclass(frozen=True)
class Outcome:
    """How a start of a run ended."""

    exit_code: int
    words: str


def outcome_of(ledger: Ledger, agenda: Agenda) -> Outcome:
    """What the tables say about the target."""
    if not agenda.is_done:
        return Outcome(STOPPED, "stopped before the target; the same command goes on from here")
    if not ledger.in_state(COMPLETE):
        return Outcome(OURS, "every trial failed; `voxstudy logs` shows their tracebacks")
    failed = len(ledger.in_state(FAILED))
    return Outcome(REACHED, "the target is reached" + (f", {failed} failed" if failed else ""))


def end_start(ledger: Ledger, agenda: Agenda, outcome: Outcome, console: Console) -> None:
    """Commit the end of this start and say it."""
    ledger.close_start(outcome.words)
    done = f"{agenda.num_done} of {agenda.target} trials done"
    console.print(f"{done}: {outcome.words}", highlight=False, markup=False, soft_wrap=True)


def start_row() -> dict[str, Any]:
    """A row of the table `starts`, as it is known when the driver starts."""
    commit, diff_hash = git_state()
    return {
        "time": datetime.now(UTC),
        "command": command(),
        "code_hash": code_hash(),
        "git_commit": commit,
        "diff_hash": diff_hash,
        "versions": json.dumps(versions(), sort_keys=True),
        "machine": json.dumps(machine(), sort_keys=True),
        "pid": os.getpid(),
    }
