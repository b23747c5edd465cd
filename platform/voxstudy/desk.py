"""The desk: one small actor at which Tune's clients hand in trials and lanes fetch them.

clients -- submit, next_event --> desk <-- take, report, finish -- lanes
the driver -- cancel, sync, lane_lost, close --> desk

A trial has at most one lane. A lane that comes back for work while its trial is unfinished has lost its workers: it
gets the same trial again, from the last epoch that was reported, until it dies too often without finishing an epoch.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

FRUITLESS_HAND_OUTS = 4  # a trial that kills its workers this often without a new epoch between is given up
IDLE_S = 30.0  # a waiting lane is answered at least this often, so that no collective of its ranks times out


@dataclass(frozen=True)
class Event:
    """What a client hears of its trial, in order."""

    kind: str  # took | epoch | failed
    row: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class View:
    """What the driver hears of the lanes."""

    broken: dict[str, str]  # lane -> why it cannot go on
    is_our_fault: bool  # whether any of them is broken by a fault of voxstudy
    lanes_seen: int  # how many lanes have asked for work yet


@dataclass
class _Held:
    """A trial at the desk; mutable, as it is the desk's own state."""

    job: dict[str, Any]
    seen: int  # last epoch that was reported
    committed: int  # last epoch that the tables hold
    events: list[Event] = field(default_factory=list)
    hand_outs: int = 0
    fruitless: int = 0  # hand-outs since the last new epoch
    is_cancelled: bool = False


class Desk:
    """An asyncio actor: no method blocks, waiting is done on one condition."""

    def __init__(self) -> None:
        self._trials: dict[str, _Held] = {}
        self._ended: set[tuple[str, int]] = set()  # (trial, attempt): a late client must not start them again
        self._queue: list[str] = []
        self._at: dict[str, str] = {}  # lane -> trial
        self._asks: dict[str, int] = {}  # lane -> how often it has asked for work
        self._lost: set[str] = set()  # lanes that are gone; a worker of theirs may outlive its controller for a moment
        self._broken: dict[str, str] = {}
        self._is_our_fault = False
        self._is_closed = False
        self._changed = asyncio.Condition()

    # -- clients -----------------------------------------------------------------------------------------------------

    async def submit(self, job: dict[str, Any]) -> None:
        """Hand in an attempt of a trial. A client that was restarted submits again: it finds its trial as it is."""
        known = self._trials.get(job["trial_id"])
        has_ended = (job["trial_id"], job["attempt"]) in self._ended
        if not has_ended and (known is None or known.job["attempt"] != job["attempt"]):
            self._trials[job["trial_id"]] = _Held(job, seen=job["seen"], committed=job["seen"])
            self._queue.append(job["trial_id"])
        await self._tell_all()

    async def next_event(self, trial_id: str, cursor: int) -> Event:
        """The event at a position of the trial's list, when there is one; of an ended trial, that it has ended."""
        trial = self._trials.get(trial_id)
        if trial is None:
            return Event("failed", {"error": "it has ended", "traceback": None})
        async with self._changed:
            await self._changed.wait_for(lambda: cursor < len(trial.events))
        return trial.events[cursor]

    # -- lanes -------------------------------------------------------------------------------------------------------

    async def take(self, lane: str) -> dict[str, Any]:
        """The next job for a lane: {"kind": "trial" | "idle" | "close", ...}."""
        if lane in self._lost:
            return {"kind": "close"}
        self._asks[lane] = ask = self._asks.get(lane, 0) + 1
        held = self._at.pop(lane, None)
        if held is not None and self._take_back(held):
            return self._hand_out(held, lane)
        await self._tell_all()
        try:
            # One task from the wait to the pop: two lanes that wake together cannot take the same trial. A newer ask
            # of the same lane means that the older one's worker is dead.
            async with asyncio.timeout(IDLE_S), self._changed:
                await self._changed.wait_for(lambda: bool(self._queue) or self._is_closed or self._asks[lane] != ask)
                if self._asks[lane] != ask:
                    return {"kind": "idle"}
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
        trial = self._trials.get(trial_id)
        if trial is None:
            return {"stop": True, "committed": -1}
        if not trial.is_cancelled and row["epoch"] > trial.seen:
            trial.seen = row["epoch"]
            trial.fruitless = 0
            trial.events.append(Event("epoch", row))
            await self._tell_all()
        return {"stop": trial.is_cancelled, "committed": trial.committed}

    async def stop_asked(self, trial_id: str) -> bool:
        """Answer when the trial is cancelled (True) or its lane is done with it (False).

        The driver cancels a trial whenever it has ended for it, so a complete one too, once its last row is committed.
        """
        trial = self._trials.get(trial_id)
        if trial is None:
            return True
        async with self._changed:
            await self._changed.wait_for(lambda: trial.is_cancelled or trial_id not in self._at.values())
        return trial.is_cancelled

    async def finish(self, lane: str, trial_id: str, failure: dict[str, Any] | None) -> None:
        """The lane is done with the trial; a failure carries its error and traceback."""
        if self._at.get(lane) == trial_id:
            del self._at[lane]
        trial = self._trials.get(trial_id)
        if trial is not None and trial.is_cancelled:
            self._forget(trial_id)
        elif trial is not None and failure is not None:
            trial.events.append(Event("failed", failure))
        await self._tell_all()

    async def lane_broken(self, lane: str, why: str, is_our_fault: bool) -> None:
        """A lane cannot go on, and trying again would not heal it."""
        self._broken[lane] = why
        self._is_our_fault |= is_our_fault

    # -- the driver --------------------------------------------------------------------------------------------------

    async def cancel(self, trial_id: str) -> None:
        """Stop a trial wherever it is; nothing it reports from now on is passed on."""
        trial = self._trials.get(trial_id)
        if trial is None:
            return
        trial.is_cancelled = True
        self._queue = [queued for queued in self._queue if queued != trial_id]
        if trial_id not in self._at.values():
            self._forget(trial_id)
        await self._tell_all()

    async def sync(self, committed: dict[str, int]) -> View:
        """Learn which epochs the tables hold; answers with what is known of the lanes."""
        for trial_id, epoch in committed.items():
            if trial_id in self._trials:
                self._trials[trial_id].committed = epoch
        return View(dict(self._broken), self._is_our_fault, len(self._asks))

    async def lane_lost(self, lane: str) -> None:
        """A lane is gone for good: its trial is the next one that another lane gets."""
        self._lost.add(lane)
        self._asks[lane] = self._asks.get(lane, 0) + 1  # whatever its worker still waits for is answered by "idle"
        held = self._at.pop(lane, None)
        if held is not None and self._take_back(held):
            self._queue.insert(0, held)
        await self._tell_all()

    async def close(self) -> None:
        """Send every lane home, from the middle of a trial too: it goes on from its checkpoint another time."""
        self._is_closed = True
        for trial in self._trials.values():
            trial.is_cancelled = True
        await self._tell_all()

    # ----------------------------------------------------------------------------------------------------------------

    def _take_back(self, trial_id: str) -> bool:
        """A trial whose workers are gone: whether to hand it out again."""
        trial = self._trials[trial_id]
        if trial.is_cancelled:
            self._forget(trial_id)
            return False
        if trial.fruitless < FRUITLESS_HAND_OUTS:
            return True
        text = f"its workers died {trial.fruitless} times without finishing an epoch; given up"
        trial.events.append(Event("failed", {"error": text, "traceback": None}))
        return False

    def _hand_out(self, trial_id: str, lane: str) -> dict[str, Any]:
        trial = self._trials[trial_id]
        trial.hand_outs += 1
        trial.fruitless += 1
        self._at[lane] = trial_id
        return {"kind": "trial", **trial.job, "seen": trial.seen, "hand_out": trial.hand_outs}

    def _forget(self, trial_id: str) -> None:
        trial = self._trials.pop(trial_id)
        self._ended.add((trial_id, trial.job["attempt"]))

    async def _tell_all(self) -> None:
        async with self._changed:
            self._changed.notify_all()
