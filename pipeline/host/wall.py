"""Where a command's wall time goes: what each of its parts took, and what is left to the orchestrator itself."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Literal, get_args

from pipeline.machine import process_age_s

Part = Literal["prepare", "gpu_wait", "jobs", "report"]


@dataclass(frozen=True)
class Wall:
    """Seconds of a command, from its process's start; None for a part that it did not come to.

    prepare_s: environments, weights and documents. gpu_wait_s: until the GPU was this command's and free. jobs_s: from
    handing jobs to their launcher until nothing of them was left. report_s: None in the report that is being made.
    What total_s has beyond them is the orchestrator's own.
    """

    total_s: float
    prepare_s: float | None = None
    gpu_wait_s: float | None = None
    jobs_s: float | None = None
    report_s: float | None = None

    @property
    def own_s(self) -> float:
        """Of the orchestrator itself."""
        parts = (self.prepare_s, self.gpu_wait_s, self.jobs_s, self.report_s)
        return self.total_s - sum(part for part in parts if part is not None)


PRECEDENCE: tuple[Part, ...] = get_args(Part)[::-1]
"""Of parts that run side by side, whose time it is: a job's while another waits for its GPU."""


@dataclass
class Clock:
    """Adds up the parts of one command; of those that run side by side in threads no second counts twice."""

    parts: dict[Part, float] = field(default_factory=dict)
    _age_s: float = field(default_factory=lambda: process_age_s() or 0.0)
    _made: float = field(default_factory=time.perf_counter)
    _running: Counter[Part] = field(default_factory=Counter)
    _since: float = field(default_factory=time.perf_counter)
    _lock: Lock = field(default_factory=Lock)

    @contextmanager
    def part(self, name: Part) -> Iterator[None]:
        """What runs in here is of that part, however it ends."""
        self._change(name, 1)
        try:
            yield
        finally:
            self._change(name, -1)

    def _change(self, name: Part, by: int) -> None:
        with self._lock:
            now = time.perf_counter()
            counted = next((part for part in PRECEDENCE if self._running[part]), None)
            if counted is not None:
                self.parts[counted] = self.parts.get(counted, 0.0) + now - self._since
            self._running[name] += by
            self._since = now

    def read(self) -> Wall:
        """As it stands now."""
        return Wall(
            total_s=self._age_s + time.perf_counter() - self._made,
            prepare_s=self.parts.get("prepare"),
            gpu_wait_s=self.parts.get("gpu_wait"),
            jobs_s=self.parts.get("jobs"),
            report_s=self.parts.get("report"),
        )
