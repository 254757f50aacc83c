"""Progress of a run as plain lines on standard error, for a log file or a terminal that can do no more."""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import TextIO

from pipeline.figures import one_line, printable, speed
from pipeline.host.watcher import Queued
from pipeline.progress import ProgressLine
from pipeline.redact import redact
from pipeline.results import Result


class LineWatcher:
    """A host.watcher.Watcher that writes lines: one a phase of each job, one for its outcome."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._jobs: Sequence[Queued] = ()
        self._phases: dict[int, str] = {}
        self._lock = Lock()

    def note(self, text: str) -> None:
        self._line(text)

    def preparing(self, what: str) -> AbstractContextManager[None]:
        self._line(f"preparing {what} …")
        return nullcontext()

    def trouble(self, message: str) -> None:
        self._line(f"  {message}")

    def running(self, jobs: Sequence[Queued]) -> AbstractContextManager[None]:
        self._jobs = jobs
        return nullcontext()

    def started(self, number: int) -> None:
        self._phases[number] = ""

    def progress(self, number: int, line: ProgressLine) -> None:
        if line.phase != self._phases[number]:
            self._line(f"{self._job(number)}: {line.phase}")
        self._phases[number] = line.phase

    def finished(self, number: int, result: Result, kept: bool) -> None:
        self._line(f"{self._job(number)}: {outcome(result, kept)}")

    def _job(self, number: int) -> str:
        return job_name(self._jobs[number - 1], number, len(self._jobs))

    def _line(self, text: str) -> None:
        with self._lock:
            self._stream.write(presentable(text) + "\n")
            self._stream.flush()


def job_name(job: Queued, number: int, total: int) -> str:
    """A job of the run with its place in it, and among its experiment's launches where there are several."""
    return " ".join(filter(None, [f"[{number}/{total}] {job.experiment}", launch_name(job)]))


def launch_name(job: Queued) -> str:
    """Which of its experiment's launches a job is; nothing where there is one alone."""
    return f"launch {job.launch}/{job.launches}" if job.launches > 1 else ""


def outcome(result: Result, kept: bool) -> str:
    """A job's status with its speed, or with the class of its failure and what the failure says first."""
    words = result.status.replace("_", " ")
    if result.failure and result.status != "skipped":
        words += f" ({one_line(result.failure.class_)})"
    if kept:
        words += " (kept)"
    if result.metrics and result.metrics.docs_per_s is not None:
        return f"{words}: {speed(result.metrics.docs_per_s)} docs/s"
    lines = printable(result.failure.message).splitlines() if result.failure else []
    return f"{words}: {one_line(lines[0])}" if lines else words


def presentable(text: str) -> str:
    """Text that came from logs or engines, without secrets and without what would do something to a terminal."""
    return redact(printable(text))
