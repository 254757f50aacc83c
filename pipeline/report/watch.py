"""Live progress of a run as plain lines on standard error; on a terminal the running job's line is rewritten."""

import sys
import time
from typing import TextIO

from pipeline.figures import one_line, printable
from pipeline.progress import ProgressLine
from pipeline.redact import redact
from pipeline.results import Result


class LineWatcher:
    """A host.watcher.Watcher that writes lines."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._rewrites = stream.isatty()
        self._job = ""
        self._phase = ""
        self._since = time.perf_counter()

    def note(self, text: str) -> None:
        self._line(text)

    def preparing(self, what: str) -> None:
        self._line(f"preparing {what} …")

    def trouble(self, message: str) -> None:
        self._line(f"  {message}")

    def started(self, experiment: str, number: int, total: int) -> None:
        self._job, self._phase = f"[{number}/{total}] {experiment}", ""
        self._since = time.perf_counter()

    def progress(self, line: ProgressLine) -> None:
        count = f" {line.done}/{line.total}" if line.phase == "generate" else ""
        elapsed = time.perf_counter() - self._since
        if self._rewrites:
            self._stream.write(f"\r\033[K{self._job}: {line.phase}{count} ({elapsed:.0f} s)")
            self._stream.flush()
        elif line.phase != self._phase:  # a log file gets one line a phase
            self._line(f"{self._job}: {line.phase}")
        self._phase = line.phase

    def finished(self, result: Result, kept: bool) -> None:
        if result.metrics and result.metrics.docs_per_s is not None:
            outcome = f"{result.metrics.docs_per_s:.3g} docs/s"
        else:
            lines = printable(result.failure.message).splitlines() if result.failure else []
            outcome = one_line(lines[0]) if lines else ""
        self._line(f"{self._job}: {result.status}{' (kept)' if kept else ''}{': ' if outcome else ''}{outcome}")

    def _line(self, text: str) -> None:
        self._stream.write(("\r\033[K" if self._rewrites else "") + redact(printable(text)) + "\n")
        self._stream.flush()
