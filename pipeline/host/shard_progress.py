"""What the host sees of a job's shards: their progress as one job's, and the wall clock over all of them."""

import time
from collections.abc import Callable, Sequence
from threading import Lock

from pipeline.progress import ProgressLine
from pipeline.results import Phase
from pipeline.spec import Job

GENERATED: tuple[Phase, ...] = ("score", "save")
"""The phases after the timed section."""


class ShardProgress:
    """Fed with the progress lines of all shards, from their threads. shards: that run; of the others all is done."""

    def __init__(self, job: Job, shards: Sequence[Job], tell: Callable[[ProgressLine], None]) -> None:
        self._job = job
        self._docs = {shard.key: shard.docs for shard in shards}
        self._lines: dict[str, ProgressLine] = {}
        self._tell = tell
        self._lock = Lock()
        self._begun_s: float | None = None
        self._generated_s: dict[str, float] = {}

    def note(self, shard: Job, line: ProgressLine) -> None:
        """A line of that shard, which has come now."""
        now_s = time.perf_counter()
        with self._lock:
            self._lines[shard.key] = line
            if line.phase == "generate" and self._begun_s is None:
                self._begun_s = now_s
            if line.phase in GENERATED:
                self._generated_s.setdefault(shard.key, now_s)
            together = self._together(line)
        self._tell(together)

    @property
    def generate_s(self) -> float | None:
        """Seconds from the first hand-over to the last completion; None as long as a shard has not come so far."""
        if self._begun_s is None or len(self._generated_s) < len(self._docs):
            return None
        return max(self._generated_s.values()) - self._begun_s

    def _together(self, latest: ProgressLine) -> ProgressLine:
        """Generating as long as any shard does, else in the phase of the line that came last."""
        generating = [line for line in self._lines.values() if line.phase == "generate"]
        elsewhere = self._job.workload.docs - sum(self._docs.values())
        done = sum(line.done for line in generating) + sum(self._docs[key] for key in self._generated_s)
        memory = [line.memory_bytes for line in self._lines.values() if line.memory_bytes is not None]
        tokens = [line.output_tokens for line in self._lines.values() if line.output_tokens is not None]
        return ProgressLine(
            phase="generate" if generating else latest.phase,
            done=elsewhere + done,
            total=self._job.workload.docs,
            memory_bytes=sum(memory) if memory else None,
            output_tokens=sum(tokens) if tokens else None,
        )
