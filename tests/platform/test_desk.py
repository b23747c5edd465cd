"""The desk as a plain object in an event loop; Ray only adds the process around it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from voxstudy.desk import FRUITLESS_HAND_OUTS, Desk

JOB = {"trial_id": "t1", "attempt": 1, "seen": -1}


def _run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 10))


def test_rows_travel_in_order_and_once() -> None:
    """A client gets each epoch once and in order, even if a restarted lane sends some again."""

    async def main() -> None:
        desk = Desk()
        await desk.submit(JOB)
        job = await desk.take("lane-0")
        for epoch in (0, 1, 1, 0, 2):
            await desk.report("t1", {"epoch": epoch})
        events = [await desk.next_event("t1", cursor) for cursor in range(3)]

        assert job["kind"] == "trial"
        assert job["hand_out"] == 1
        assert [0, 1, 2] == [event.row["epoch"] for event in events]

    _run(main())


def test_lane_without_workers_gets_its_trial_again_from_where_it_was() -> None:
    """A lane that asks again while its trial is unfinished goes on after the last reported epoch."""

    async def main() -> None:
        desk = Desk()
        await desk.submit(JOB)
        await desk.take("lane-0")
        await desk.report("t1", {"epoch": 0})
        await desk.report("t1", {"epoch": 1})
        again = await desk.take("lane-0")

        assert ("t1", 1, 2) == (again["trial_id"], again["seen"], again["hand_out"])

    _run(main())


def test_trial_that_kills_its_workers_is_given_up() -> None:
    """After the last hand-out the trial fails with a reason and the lane serves the next one."""

    async def main() -> None:
        desk = Desk()
        await desk.submit(JOB)
        await desk.submit({**JOB, "trial_id": "t2"})
        for _ in range(FRUITLESS_HAND_OUTS):
            assert (await desk.take("lane-0"))["trial_id"] == "t1"
        following = await desk.take("lane-0")
        event = await desk.next_event("t1", 0)

        assert following["trial_id"] == "t2"
        assert event.kind == "failed"
        assert "given up" in event.row["error"]

    _run(main())


def test_two_waiting_lanes_never_get_the_same_trial() -> None:
    """Lanes that wake together share the queue."""

    async def main() -> None:
        desk = Desk()
        lanes = [asyncio.create_task(desk.take(f"lane-{i}")) for i in range(3)]
        await asyncio.sleep(0.01)
        await desk.submit(JOB)
        await desk.submit({**JOB, "trial_id": "t2"})
        await asyncio.sleep(0.01)
        await desk.close()
        jobs = await asyncio.gather(*lanes)

        assert ["close", "trial", "trial"] == sorted(job["kind"] for job in jobs)
        assert {"t1", "t2"} == {job["trial_id"] for job in jobs if job["kind"] == "trial"}

    _run(main())


def test_cancelled_trial_is_told_to_stop_and_forgotten() -> None:
    """After a cancel the lane hears it at once and at its next report; rows of later epochs are dropped."""

    async def main() -> None:
        desk = Desk()
        await desk.submit(JOB)
        await desk.take("lane-0")
        asked = asyncio.create_task(desk.stop_asked("t1"))
        await desk.report("t1", {"epoch": 0})
        await desk.cancel("t1")

        assert await asked
        assert (await desk.report("t1", {"epoch": 1}))["stop"]
        await desk.finish("lane-0", "t1", None)
        await desk.close()
        assert (await desk.take("lane-0"))["kind"] == "close"

    _run(main())


def test_cancelled_trial_in_the_queue_is_not_handed_out() -> None:
    """A trial cancelled before a lane took it never runs."""

    async def main() -> None:
        desk = Desk()
        await desk.submit(JOB)
        await desk.cancel("t1")
        await desk.close()

        assert (await desk.take("lane-0"))["kind"] == "close"

    _run(main())


def test_restarted_client_finds_its_trial() -> None:
    """A client that submits the same attempt again reads the same events; a new attempt is a new trial."""

    async def main() -> None:
        desk = Desk()
        await desk.submit(JOB)
        await desk.take("lane-0")
        await desk.report("t1", {"epoch": 0})
        await desk.submit(JOB)

        assert (await desk.next_event("t1", 0)).row["epoch"] == 0

    _run(main())


@pytest.mark.parametrize("committed", [-1, 3])
def test_report_answers_with_the_committed_epoch(committed: int) -> None:
    """A lane learns which epochs are safe in the tables: only then may it delete checkpoints."""

    async def main() -> None:
        desk = Desk()
        await desk.submit(JOB)
        await desk.take("lane-0")
        await desk.sync({"t1": committed, "unknown": 1})

        assert (await desk.report("t1", {"epoch": 4}))["committed"] == committed

    _run(main())


def test_progress_forgives_lost_workers() -> None:
    """A trial that finishes an epoch each time may lose its workers as often as it likes."""

    async def main() -> None:
        desk = Desk()
        await desk.submit(JOB)
        for epoch in range(3 * FRUITLESS_HAND_OUTS):
            job = await desk.take("lane-0")

            assert (job["kind"], job["seen"]) == ("trial", epoch - 1)
            await desk.report("t1", {"epoch": epoch})

    _run(main())


def test_lost_lane_gives_its_trial_to_another() -> None:
    """When a lane is gone for good, the next lane that asks gets its trial first."""

    async def main() -> None:
        desk = Desk()
        await desk.submit(JOB)
        await desk.take("lane-0")
        await desk.report("t1", {"epoch": 0})
        await desk.submit({**JOB, "trial_id": "t2"})
        await desk.lane_lost("lane-0")
        job = await desk.take("lane-1")

        assert (job["trial_id"], job["seen"]) == ("t1", 0)
        assert (await desk.take("lane-0"))["kind"] == "close", "a worker that outlives its lane must get nothing"

    _run(main())


def test_ask_of_a_dead_worker_takes_nothing() -> None:
    """A killed worker's ask still waits at the desk: the jobs go to the lane's newer ask."""

    async def main() -> None:
        desk = Desk()
        dead = asyncio.create_task(desk.take("lane-0"))
        await asyncio.sleep(0.01)
        alive = asyncio.create_task(desk.take("lane-0"))
        await asyncio.sleep(0.01)
        await desk.submit(JOB)

        assert (await dead)["kind"] == "idle"
        assert (await alive)["trial_id"] == "t1"

    _run(main())


def test_ended_trial_is_not_started_again_by_a_late_client() -> None:
    """A client that was restarted after its trial's end hears that it has ended; no lane gets the trial."""

    async def main() -> None:
        desk = Desk()
        await desk.submit(JOB)
        await desk.take("lane-0")
        await desk.cancel("t1")
        await desk.finish("lane-0", "t1", None)
        await desk.submit(JOB)

        assert (await desk.next_event("t1", 0)).kind == "failed"
        await desk.submit({**JOB, "attempt": 2})
        assert (await desk.take("lane-0"))["attempt"] == 2

    _run(main())


def test_ask_that_waits_when_its_lane_is_lost_takes_nothing() -> None:
    """A worker of a lost lane that still waits for work is sent off; the next job goes to a living lane."""

    async def main() -> None:
        desk = Desk()
        dying = asyncio.create_task(desk.take("lane-0"))
        await asyncio.sleep(0.01)
        await desk.lane_lost("lane-0")
        await desk.submit(JOB)

        assert (await dying)["kind"] == "idle"
        assert (await desk.take("lane-1"))["trial_id"] == "t1"

    _run(main())
