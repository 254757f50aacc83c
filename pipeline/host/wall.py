"""Where a command's wall time goes: what each of its parts took, and what is left to the orchestrator itself."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from pipeline.machine import process_age_s

Part = Literal["prepare", "gpu_wait", "jobs", "report"]


@dataclass(frozen=True)
class Wall:
    """Seconds of a command, from its process's start; None for a part that it did not come to.

    prepare_s: environments, weights and documents. gpu_wait_s: until the GPU was this command's and free. jobs_s: from
    handing each job to its launcher until nothing of it was left. report_s: None in the report that is being made.
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


@dataclass
class Clock:
    """Adds up the parts of one command, which run one after another."""

    parts: dict[Part, float] = field(default_factory=dict)
    _age_s: float = field(default_factory=lambda: process_age_s() or 0.0)
    _made: float = field(default_factory=time.perf_counter)

    @contextmanager
    def part(self, name: Part) -> Iterator[None]:
        """What runs in here is of that part, however it ends."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.parts[name] = self.parts.get(name, 0.0) + time.perf_counter() - start

    def read(self) -> Wall:
        """As it stands now."""
        return Wall(
            total_s=self._age_s + time.perf_counter() - self._made,
            prepare_s=self.parts.get("prepare"),
            gpu_wait_s=self.parts.get("gpu_wait"),
            jobs_s=self.parts.get("jobs"),
            report_s=self.parts.get("report"),
        )
