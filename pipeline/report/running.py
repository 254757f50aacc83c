"""How far the running job has come, from its progress lines and when they came: what a live display shows of it."""

from dataclasses import dataclass, replace

from pipeline.host.watcher import Queued
from pipeline.progress import ProgressLine
from pipeline.results import Phase


@dataclass(frozen=True)
class Running:
    """A job since it began. Times are seconds of one monotonic clock.

    line: the last one, which came at told_s; None before the first. first: the one that the present repeat of the timed
    section began with, at first_s; None outside it.
    """

    job: Queued
    number: int
    total: int
    began_s: float
    line: ProgressLine | None = None
    told_s: float = 0.0
    first: ProgressLine | None = None
    first_s: float = 0.0

    def after(self, line: ProgressLine, now_s: float) -> "Running":
        """The job once it has said that."""
        told = replace(self, line=line, told_s=now_s)
        if line.phase != "generate":
            return replace(told, first=None)
        same = self.first is not None and self.first.repeat == line.repeat
        return told if same else replace(told, first=line, first_s=now_s)

    @property
    def phase(self) -> Phase:
        """The phase that it said last."""
        return self.line.phase if self.line else "start"

    @property
    def docs_per_s(self) -> float | None:
        """Documents a second of this repeat until the last line; None until one is finished."""
        done = self.line.done - self.first.done if self.line and self.first else 0
        return self._per_second(done)

    @property
    def tokens_per_s(self) -> float | None:
        """Output tokens a second of this repeat until the last line; None where they can't be seen."""
        return self._per_second(self.line.output_tokens or 0 if self.line and self.first else 0)

    def left_s(self, now_s: float) -> float | None:
        """Until all documents of all repeats are generated at the present rate.

        None until there is a rate, and where it has promised too much.
        """
        rate = self.docs_per_s
        if rate is None or self.line is None:
            return None
        further = (self.line.repeats or 1) - (self.line.repeat or 1)
        missing = self.line.total - self.line.done + max(further, 0) * self.line.total
        left = self.told_s + missing / rate - now_s
        return left if missing > 0 and left > 0 else None

    def _per_second(self, count: int) -> float | None:
        passed = self.told_s - self.first_s
        return count / passed if count > 0 and passed > 0 else None
