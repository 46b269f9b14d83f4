"""What a node does by itself: exchange by its plan, a nightly backup, cleaning. The only import of apscheduler.

When the machine was off or asleep at a planned time, the run is caught up once at the next start. What each job did
last is kept in DIR/data/jobs.json, for `kogge doctor` and for the catching up.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from node.clock import Clock, as_datetime
from node.errors import KoggeError

log = logging.getLogger(__name__)
KEPT = 50  # results of one job
AGAIN_MINUTES = 5  # after a run that failed because the other side did not answer
AGAIN_MAX = 12  # times in a row; then the plan alone counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a run ended: a sentence, and whether it is worth trying again soon."""

    said: str
    ok: bool = True
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`times` are times of day of this machine, `every_minutes` 0 is never. `at_start`: run where it never has."""

    name: str
    run: Callable[[], Awaitable[Done]]
    every_minutes: int = 0
    times: tuple[str, ...] = ()
    at_start: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run. Times are ms since 1970."""

    at: int
    ms: int
    ok: bool
    said: str


class Jobs:
    """Runs jobs; each at most once at a time."""

    def __init__(self, folder: Path, jobs: Sequence[Job], *, clock: Clock) -> None:
        self._path = folder / "data" / "jobs.json"
        self._jobs = {job.name: job for job in jobs}
        self._clock = clock
        self._failures: dict[str, int] = {}
        self._scheduler = AsyncIOScheduler(
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )

    def start(self) -> None:
        """Begin, and catch up what was missed. Call it with the event loop running."""
        now = as_datetime(self._clock.now_ms()).astimezone()
        kept = results(self._path)
        for job in self._jobs.values():
            triggers = _triggers(job)
            for number, trigger in enumerate(triggers):
                self._scheduler.add_job(self._run, trigger, args=[job.name], id=f"{job.name}-{number}")
            last = kept.get(job.name, [])
            if _due(triggers, as_datetime(last[-1].at).astimezone() if last else None, now, job.at_start):
                self._scheduler.add_job(self._run, DateTrigger(), args=[job.name], id=f"{job.name}-now")
        self._scheduler.start()

    def stop(self) -> None:
        """Start nothing any more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def next_at(self, name: str) -> datetime | None:
        """When the job runs next, as an aware datetime."""
        if not self._scheduler.running:
            return None
        times = [j.next_run_time for j in self._scheduler.get_jobs() if j.id.startswith(f"{name}-") and j.next_run_time]
        return min(times, default=None)

    async def _run(self, name: str) -> None:
        began, at = time.monotonic(), self._clock.now_ms()
        try:
            done = await self._jobs[name].run()
        except KoggeError as e:
            done = Done(said=e.message, ok=False)
        except Exception as e:
            log.exception("the job “%s” failed", name)
            done = Done(said=f"{type(e).__name__}: {e}", ok=False)
        if not done.ok:
            log.warning("%s: %s", name, done.said)
        _keep(self._path, name, Result(at=at, ms=round((time.monotonic() - began) * 1000), ok=done.ok, said=done.said))
        self._failures[name] = self._failures.get(name, 0) + 1 if done.again else 0
        if done.again and self._failures[name] <= AGAIN_MAX and self._scheduler.running:
            soon = datetime.now().astimezone() + timedelta(minutes=AGAIN_MINUTES)
            again = f"{name}-again"
            self._scheduler.add_job(self._run, DateTrigger(soon), args=[name], id=again, replace_existing=True)


def _triggers(job: Job) -> list[IntervalTrigger | CronTrigger]:
    found: list[IntervalTrigger | CronTrigger] = []
    if job.every_minutes:
        found.append(IntervalTrigger(minutes=job.every_minutes))
    for text in job.times:
        hour, minute = text.split(":")
        found.append(CronTrigger(hour=int(hour), minute=int(minute)))
    return found


def _due(
    triggers: Sequence[IntervalTrigger | CronTrigger], last: datetime | None, now: datetime, at_start: bool
) -> bool:
    """Did a planned time pass since the last run?"""
    if last is None:
        return at_start and bool(triggers)
    planned = [trigger.get_next_fire_time(last, last + timedelta(milliseconds=1)) for trigger in triggers]
    return any(at is not None and at <= now for at in planned)


def results(path: Path) -> dict[str, list[Result]]:
    """What each job did, oldest first, from DIR/data/jobs.json."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: [Result(**entry) for entry in entries] for name, entries in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # a log for people: without it nothing is lost


def _keep(path: Path, name: str, result: Result) -> None:
    kept = results(path)
    kept[name] = [*kept.get(name, []), result][-KEPT:]
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps({n: [asdict(r) for r in rs] for n, rs in kept.items()}), encoding="utf-8")
    draft.replace(path)
