"""How long a job may take and how long it may be silent, stage by stage.

One limit on everything kills healthy compilations or waits an age for hung ones; so each stage has two limits, and
what counts as a sign of life depends on the stage: new tokens while documents are generated, whose absence means that
the engine hangs however busy it is; a line of output or processor time in the others, which may rightly be silent.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from pipeline.progress import parse_progress
from pipeline.results import Phase

Stage = Literal["load", "compile", "generate"]
STAGES: tuple[Stage, ...] = get_args(Stage)

_STAGE_OF: Mapping[Phase, Stage] = {
    "start": "load",
    "load": "load",
    "encode": "compile",
    "warmup": "compile",
    "search": "compile",
    "generate": "generate",
    "score": "generate",
    "save": "generate",
}

TICK_S = 0.5
"""How often a launcher asks whether a limit is exceeded."""

BUSY_SHARE = 0.02
"""Of one core: a process that uses less over a quarter of its idle limit is waiting, not working."""

CpuSeconds = Callable[[], float | None]
"""Processor time that a job's processes have taken so far; None where it can't be told."""


@dataclass(frozen=True)
class Limit:
    """total_s: the longest that a stage may take. idle_s: without a sign of life. None: no limit."""

    total_s: float | None = None
    idle_s: float | None = None


@dataclass(frozen=True)
class Limits:
    """job_s: the longest that the whole job may take."""

    job_s: float | None = None
    stages: Mapping[Stage, Limit] = field(default_factory=dict)


NO_LIMITS = Limits()


class Watchdog:
    """Follows one job's output and says when a limit is exceeded.

    line() is called from the launcher's reading thread, expired() from the one that waits. clock: monotonic seconds.
    """

    def __init__(self, limits: Limits, cpu_seconds: CpuSeconds, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._cpu_seconds = cpu_seconds
        self._clock = clock
        self._started = self._stage_started = self._alive = clock()
        self._phase: Phase = "start"
        self._seen_cpu_s: float | None = None
        self._looked = self._started

    @property
    def stage(self) -> Stage | None:
        """The stage that the job is in; None in a phase without limits."""
        return _STAGE_OF.get(self._phase)

    def line(self, text: str) -> None:
        """A line of the job's output."""
        progress = parse_progress(text)
        now = self._clock()
        if progress and progress.phase != self._phase:
            before = self.stage
            self._phase = progress.phase
            if self.stage != before:
                self._stage_started = now
        if progress or self._phase != "generate":
            self._alive = now

    def expired(self) -> str | None:
        """Which limit the job has exceeded, in words; None while it is within all of them."""
        now = self._clock()
        if self._limits.job_s is not None and now - self._started > self._limits.job_s:
            return f"took longer than its limit of {_words(self._limits.job_s)} (--job-timeout)"
        stage = self.stage
        limit = self._limits.stages.get(stage, Limit()) if stage else Limit()
        if limit.total_s is not None and now - self._stage_started > limit.total_s:
            return f"stage {stage} took longer than its limit of {_words(limit.total_s)} (--time-limit)"
        if limit.idle_s is not None:
            if self._phase != "generate":
                self._look_for_work(now, limit.idle_s)
            if now - self._alive > limit.idle_s:
                return f"stage {stage} gave no sign of life for {_words(limit.idle_s)} (--idle-limit)"
        return None

    def _look_for_work(self, now: float, idle_s: float) -> None:
        """Take processor time for a sign of life. Asked seldom, since a container's is not free to read."""
        passed = now - self._looked
        if passed < idle_s / 4:
            return
        used = self._cpu_seconds()
        if used is not None and self._seen_cpu_s is not None and used - self._seen_cpu_s > BUSY_SHARE * passed:
            self._alive = now
        self._seen_cpu_s = used
        self._looked = now


def _words(seconds: float) -> str:
    minutes = seconds / 60
    if minutes >= 1 and math.isclose(minutes, round(minutes)):
        return f"{round(minutes)} min"
    return f"{seconds:g} s"
