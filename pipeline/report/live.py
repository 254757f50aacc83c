"""Progress of a run on a terminal: a line that is rewritten for each job that runs, above them one for what has ended.

With report/terminal.py the only module that imports rich.
"""

import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table as Grid
from rich.text import Text

from pipeline.figures import gib, number, one_line, speed
from pipeline.host.watcher import Queued, Watcher
from pipeline.progress import ProgressLine
from pipeline.report.running import Running
from pipeline.report.watch import LineWatcher, job_name, launch_name, outcome, presentable
from pipeline.results import Result

REFRESHES_PER_S = 4
BAR_CELLS = 20
MOST_LINES = 16
"""Of running jobs: a cluster may run more than a terminal has lines for."""
GAP_CELLS = 2

_STYLES = {"ok": "green", "failed": "red", "timed_out": "red", "skipped": "yellow"}


def choose_watcher(
    *, as_json: bool = False, stream: TextIO = sys.stderr, environment: Mapping[str, str] = os.environ
) -> Watcher:
    """A live display on a terminal that can move its cursor; lines elsewhere, and where a program asked (as_json)."""
    able = stream.isatty() and environment.get("TERM", "dumb") not in ("dumb", "unknown", "")
    return LiveWatcher(stream) if able and not as_json else LineWatcher(stream)


@dataclass(frozen=True)
class _Step:
    """Something that is being prepared. began_s: by the watcher's clock."""

    what: str
    began_s: float


@dataclass(frozen=True)
class _Part:
    """Of the running job's line. keep: where the terminal is narrow, parts with a lower figure are dropped first."""

    keep: int
    shown: Text | ProgressBar

    @property
    def cells(self) -> int:
        return BAR_CELLS if isinstance(self.shown, ProgressBar) else self.shown.cell_len


class LiveWatcher:
    """A host.watcher.Watcher for a terminal: while something is prepared or runs, the last lines are rewritten."""

    def __init__(self, stream: TextIO = sys.stderr, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = Console(
            file=stream, force_terminal=True, force_interactive=True, markup=False, emoji=False, highlight=False
        )
        self._clock = clock
        # replaced as a whole, never changed, since the display's own thread reads them; jobs' threads set them in turn
        self._step: _Step | None = None
        self._running: Mapping[int, Running] = {}
        self._lock = Lock()
        self._jobs: tuple[Queued, ...] = ()
        self._ended: tuple[str, ...] = ()

    def note(self, text: str) -> None:
        self._line(text)

    @contextmanager
    def preparing(self, what: str) -> Iterator[None]:
        step = self._step = _Step(one_line(presentable(what)), self._clock())
        try:
            with self._display():
                yield
        finally:
            self._step = None
        self._line(f"{step.what}: took {duration(self._clock() - step.began_s)}")

    def trouble(self, message: str) -> None:
        self._line(f"  {message}", "red")

    @contextmanager
    def running(self, jobs: Sequence[Queued]) -> Iterator[None]:
        self._jobs, self._ended = tuple(jobs), ()
        try:
            with self._display():
                yield
        finally:
            self._running = {}

    def started(self, number: int) -> None:
        begun = Running(self._jobs[number - 1], number, len(self._jobs), self._clock())
        with self._lock:
            self._running = {**self._running, number: begun}

    def progress(self, number: int, line: ProgressLine) -> None:
        with self._lock:
            if number in self._running:  # a last line can come after the job's end
                self._running = {**self._running, number: self._running[number].after(line, self._clock())}

    def finished(self, number: int, result: Result, kept: bool) -> None:
        with self._lock:
            running = self._running[number]
            self._running = {other: job for other, job in self._running.items() if other != number}
            self._ended = (*self._ended, "kept" if kept else result.status.replace("_", " "))
        took = "" if kept or result.status == "skipped" else f" ({duration(self._clock() - running.began_s)})"
        name = job_name(running.job, running.number, running.total)
        self._line(f"{name}: {outcome(result, kept)}{took}", "dim" if kept else _STYLES[result.status])

    @contextmanager
    def _display(self) -> Iterator[None]:
        live = Live(
            console=self._console,
            get_renderable=self._frame,
            refresh_per_second=REFRESHES_PER_S,
            transient=True,
            redirect_stdout=False,  # what a program reads there is none of this display's
            vertical_overflow="crop",
        )
        try:
            live.start()
            yield
        finally:
            with contextlib.suppress(OSError):  # the terminal is gone, which is no reason to end otherwise
                try:
                    live.stop()
                finally:
                    self._console.show_cursor()  # also where a second interrupt came in between

    def _frame(self) -> RenderableType:
        step, running, now_s = self._step, self._running, self._clock()
        if step:
            return _cut(f"preparing {step.what} … {duration(now_s - step.began_s)}")
        if not running:
            return ""
        lines = [_on_one_line(_parts(job, now_s), self._console.width) for job in running.values()]
        return Group(*lines[:MOST_LINES], _queue(max(running), len(lines) - MOST_LINES, self._jobs, self._ended))

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(Text(presentable(text), style=style), soft_wrap=True)


def duration(seconds: float) -> str:
    """Whole seconds as a person reads them: 8 s, 1:05, 2:03:04."""
    whole = int(max(seconds, 0))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _parts(running: Running, now_s: float) -> list[_Part]:
    """What is known of the running job, in the order in which it is shown."""
    line, job, left_s = running.line, running.job, running.left_s(now_s)
    parts = [_Part(100, Text(one_line(f"[{running.number}/{running.total}] {job.experiment}"), style="bold"))]
    if launch_name(job):
        parts.append(_Part(65, Text(launch_name(job))))
    if line and (line.repeats or 1) > 1:
        parts.append(_Part(60, Text(f"repeat {line.repeat}/{line.repeats}")))
    parts.append(_Part(90, Text(running.phase, style="cyan")))
    if line and running.phase == "search" and line.done:
        parts.append(_Part(80, Text(f"batch of {line.done}")))
    if line and running.phase == "generate":
        parts.append(_Part(20, ProgressBar(total=line.total, completed=line.done, width=BAR_CELLS)))
        parts.append(_Part(80, Text(f"{line.done}/{line.total}")))
    if running.docs_per_s is not None:
        parts.append(_Part(55, Text(f"{speed(running.docs_per_s)} docs/s")))
    if running.tokens_per_s is not None:
        parts.append(_Part(30, Text(f"{number(running.tokens_per_s, 0)} tokens/s")))
    if line and line.memory_bytes is not None:
        parts.append(_Part(50, Text(f"{gib(line.memory_bytes)} GiB")))
    if left_s is not None:
        parts.append(_Part(70, Text(f"{duration(left_s)} left", style="bold")))
    parts.append(_Part(40, Text(duration(now_s - running.began_s), style="dim")))
    return parts


def _on_one_line(parts: Sequence[_Part], width: int) -> Grid:
    """The parts beside each other, as many as fit; the most important one is cut where even it is too wide."""
    fitting = list(parts)
    while len(fitting) > 1 and sum(part.cells + GAP_CELLS for part in fitting) > width:
        fitting.remove(min(fitting, key=lambda part: part.keep))
    grid = Grid.grid(padding=(0, GAP_CELLS, 0, 0), pad_edge=True)
    for _ in fitting:
        grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_row(*(part.shown for part in fitting))
    return grid


def _queue(last: int, hidden: int, jobs: Sequence[Queued], ended: Sequence[str]) -> Text:
    """How many jobs ended in which way, how many more run than are shown, and which come after the last that runs."""
    tally = ", ".join(f"{count} {word}" for word, count in Counter(ended).items())
    more = f"{hidden} more run" if hidden > 0 else ""
    following = ", ".join(job.experiment for job in jobs[last:])
    return _cut(" · ".join(filter(None, [more, tally, following and f"next: {following}"])), "dim")


def _cut(text: str, style: str = "") -> Text:
    return Text(one_line(presentable(text)), style=style, no_wrap=True, overflow="ellipsis")
