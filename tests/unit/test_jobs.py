"""The plan: any number of times a day, and what was missed is caught up once."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

from node import jobs
from node.clock import ManualClock, as_ms
from node.jobs import Done, Job, Jobs


async def test_runs_that_were_missed_are_caught_up_once_and_remembered(tmp_path: Path) -> None:
    noon = datetime(2026, 11, 24, 12).astimezone()
    clock = ManualClock(as_ms(noon))
    ran: list[str] = []

    async def run() -> Done:
        ran.append("exchange")
        return Done(said="sent 1")

    async def start() -> None:
        job = Job(name="exchange", run=run, times=("07:30", "11:45", "18:45"), at_start=True)
        plan = Jobs(tmp_path, [job], clock=clock)
        plan.start()
        assert plan.next_at("exchange") is not None
        await asyncio.sleep(0.2)
        plan.stop()

    await start()  # it never ran: at once
    assert len(ran) == 1
    await start()  # nothing was missed
    assert len(ran) == 1
    clock.move(int(timedelta(days=3).total_seconds()) * 1000)
    await start()  # nine were missed: one run
    assert len(ran) == 2
    assert [r.said for r in jobs.results(tmp_path / "data" / "jobs.json")["exchange"]] == ["sent 1"] * 2


async def test_a_job_that_fails_is_noted_and_does_not_end_the_others(tmp_path: Path) -> None:
    async def fail() -> Done:
        raise RuntimeError("no room on the disk")

    plan = Jobs(tmp_path, [Job(name="backup", run=fail, times=("02:15",), at_start=True)], clock=ManualClock())
    plan.start()
    await asyncio.sleep(0.2)
    plan.stop()
    (result,) = jobs.results(tmp_path / "data" / "jobs.json")["backup"]
    assert not result.ok
    assert "no room" in result.said
