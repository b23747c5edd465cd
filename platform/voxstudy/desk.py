"""The desk: one small actor at which Tune's clients hand in trials and lanes fetch them.

clients -- submit, next_event --> desk <-- take, report, finish -- lanes
the driver -- cancel, committed, close --> desk

A trial has at most one lane. A lane that comes back for work while its trial is unfinished has lost its workers: it
gets the same trial again, from the last epoch that was reported, three times at most.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

HAND_OUTS = 4  # the first one and three more: a trial that kills its workers again and again is given up
IDLE_S = 30.0  # a waiting lane is answered at least this often, so that no collective of its ranks times out


@dataclass(frozen=True)
class Event:
    """What a client hears of its trial, in order."""

    kind: str  # took | epoch | failed
    row: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Held:
    """A trial at the desk; mutable, as it is the desk's own state."""

    job: dict[str, Any]
    events: list[Event] = field(default_factory=list)
    seen: int = -1  # last epoch that was reported
    committed: int = -1  # last epoch that the tables hold
    hand_outs: int = 0
    is_cancelled: bool = False


class Desk:
    """An asyncio actor: no method blocks, waiting is done on one condition."""

    def __init__(self) -> None:
        self._trials: dict[str, _Held] = {}
        self._queue: list[str] = []
        self._at: dict[str, str] = {}  # lane -> trial
        self._broken: dict[str, str] = {}  # lane -> traceback of its set-up
        self._is_closed = False
        self._changed = asyncio.Condition()

    # -- clients -----------------------------------------------------------------------------------------------------

    async def submit(self, job: dict[str, Any]) -> None:
        """Hand in an attempt of a trial. A client that was restarted submits again: it finds its trial as it is."""
        known = self._trials.get(job["trial_id"])
        if known is None or known.job["attempt"] != job["attempt"]:
            self._trials[job["trial_id"]] = _Held(job, seen=job["seen"], committed=job["seen"])
            self._queue.append(job["trial_id"])
        await self._tell_all()

    async def next_event(self, trial_id: str, cursor: int) -> Event:
        """The event at a position of the trial's list, when there is one."""
        trial = self._trials[trial_id]
        async with self._changed:
            await self._changed.wait_for(lambda: cursor < len(trial.events))
        return trial.events[cursor]

    # -- lanes -------------------------------------------------------------------------------------------------------

    async def take(self, lane: str) -> dict[str, Any]:
        """The next job for a lane: {"kind": "trial" | "idle" | "close", ...}."""
        held = self._at.pop(lane, None)
        if held is not None and (trial := self._trials[held]).is_cancelled:
            del self._trials[held]
        elif held is not None and trial.hand_outs < HAND_OUTS:
            return self._hand_out(held, lane)
        elif held is not None:
            text = f"its workers died {HAND_OUTS} times; given up"
            trial.events.append(Event("failed", {"error": text, "traceback": None}))
            await self._tell_all()
        try:
            # One task from the wait to the pop: two lanes that wake together cannot take the same trial.
            async with asyncio.timeout(IDLE_S), self._changed:
                await self._changed.wait_for(lambda: bool(self._queue) or self._is_closed)
                return {"kind": "close"} if self._is_closed else self._hand_out(self._queue.pop(0), lane)
        except TimeoutError:
            return {"kind": "idle"}

    async def took(self, trial_id: str, facts: dict[str, Any]) -> None:
        """Say where a trial now runs."""
        if trial := self._trials.get(trial_id):
            trial.events.append(Event("took", {**facts, "restarts": trial.hand_outs - 1}))
            await self._tell_all()

    async def report(self, trial_id: str, row: dict[str, Any]) -> dict[str, Any]:
        """Take an epoch's row; answers whether to stop and which epoch the tables hold."""
        trial = self._trials[trial_id]
        if not trial.is_cancelled and row["epoch"] > trial.seen:
            trial.seen = row["epoch"]
            trial.events.append(Event("epoch", row))
            await self._tell_all()
        return {"stop": trial.is_cancelled, "committed": trial.committed}

    async def stop_asked(self, trial_id: str) -> bool:
        """Answer when the trial is cancelled (True) or its lane is done with it (False)."""
        trial = self._trials[trial_id]
        async with self._changed:
            await self._changed.wait_for(lambda: trial.is_cancelled or trial_id not in self._at.values())
        return trial.is_cancelled

    async def finish(self, lane: str, trial_id: str, failure: dict[str, Any] | None) -> None:
        """The lane is done with the trial; a failure carries its error and traceback."""
        if self._at.get(lane) == trial_id:
            del self._at[lane]
        trial = self._trials.get(trial_id)
        if trial is not None and trial.is_cancelled:
            del self._trials[trial_id]
        elif trial is not None and failure is not None:
            trial.events.append(Event("failed", failure))
        await self._tell_all()

    async def lane_broken(self, lane: str, traceback: str) -> None:
        """A lane could not even be set up: retrying would not heal it."""
        self._broken[lane] = traceback

    # -- the driver --------------------------------------------------------------------------------------------------

    async def cancel(self, trial_id: str) -> None:
        """Stop a trial wherever it is; nothing it reports from now on is passed on."""
        trial = self._trials.get(trial_id)
        if trial is None:
            return
        trial.is_cancelled = True
        self._queue = [queued for queued in self._queue if queued != trial_id]
        if trial_id not in self._at.values():
            del self._trials[trial_id]
        await self._tell_all()

    async def committed(self, epochs: dict[str, int]) -> dict[str, str]:
        """Learn which epochs the tables hold; answers with the lanes that could not be set up."""
        for trial_id, epoch in epochs.items():
            if trial_id in self._trials:
                self._trials[trial_id].committed = epoch
        return self._broken

    async def close(self) -> None:
        """Send every lane home, from the middle of a trial too: it goes on from its checkpoint another time."""
        self._is_closed = True
        for trial in self._trials.values():
            trial.is_cancelled = True
        await self._tell_all()

    # ----------------------------------------------------------------------------------------------------------------

    def _hand_out(self, trial_id: str, lane: str) -> dict[str, Any]:
        trial = self._trials[trial_id]
        trial.hand_outs += 1
        self._at[lane] = trial_id
        return {"kind": "trial", **trial.job, "seen": trial.seen, "hand_out": trial.hand_outs}

    async def _tell_all(self) -> None:
        async with self._changed:
            self._changed.notify_all()
