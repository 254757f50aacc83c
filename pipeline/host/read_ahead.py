"""Reads what jobs will open into the page cache, once a command: a job's own files while it starts, and the next job's
while it generates.

Only where that can't disturb what is timed. On a GPU the timed section reads no file and takes a core or two: a thread
that reads at the lowest priority is beside it, on a machine with enough cores, as long as memory is free for what it
reads. On a CPU the timed section takes all cores and all of the memory's bandwidth, so nothing is read there.
"""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.available import available_bytes
from pipeline.errors import BenchmarkError
from pipeline.hardware import Hardware
from pipeline.host.page_cache import PIECE_BYTES, missing_bytes, read_in, total_bytes, yield_to_others
from pipeline.machine import usable_cpus
from pipeline.results import Phase

FEWEST_CORES = 4
MEMORY_LEFT_BYTES = 8 << 30
"""Of available memory, which stays free of what is read: the running job may need it."""


class ReadAhead:
    """A thread that reads files in the order in which they are given, each once.

    enabled: False reads nothing. room_bytes: memory that can be filled now; None where it isn't known.
    """

    def __init__(
        self, *, enabled: bool, room_bytes: Callable[[], int | None] = lambda: _room(available_bytes())
    ) -> None:
        self.enabled = enabled
        self._room_bytes = room_bytes
        self._waiting: deque[Path] = deque()
        self._next: list[Path] = []
        self._seen: set[tuple[int, int]] = set()
        self._wake = threading.Condition()
        self._stop = threading.Event()
        self._timed = False
        self._timed_bytes = 0
        self._idle = True
        self.read_bytes = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Nothing is read before this is entered, nor once it is left."""
        if not self.enabled:
            yield
            return
        self._stop.clear()
        thread = threading.Thread(target=self._work, name="read-ahead", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            with self._wake:
                self._wake.notify_all()
            thread.join()

    @contextmanager
    def job(self, own: Callable[[], Iterable[Path]], following: Callable[[], Iterable[Path]]) -> Iterator[None]:
        """A job from its launch to its end. own, following: the files that it and the next one will open."""
        if self.enabled:
            self._timed_bytes, self._next = 0, []
            with contextlib.suppress(BenchmarkError, OSError):  # what stands in the way is told where it is met again
                self._give(own())
                self._next = list(following())
        try:
            yield
        finally:
            self._timed = False

    def phase(self, phase: Phase) -> None:
        """The job has come to that phase. Called from the launcher's thread."""
        if not self.enabled:
            return
        self._timed = phase == "generate"
        if self._timed and self._next:
            self._waiting.clear()  # what is left of its own: it has been loaded
            following, self._next = self._next, []
            self._give(following)

    @property
    def timed_bytes(self) -> int | None:
        """What was read while the last job generated; None where nothing ever is."""
        return self._timed_bytes if self.enabled else None

    def wait(self) -> None:
        """Until all that was given has been read or left out."""
        with self._wake:
            self._wake.wait_for(lambda: self._idle and not self._waiting)

    def _give(self, paths: Iterable[Path]) -> None:
        wanted = []
        for path in paths:
            with contextlib.suppress(OSError):
                status = path.stat()
                if (status.st_dev, status.st_ino) not in self._seen:
                    self._seen.add((status.st_dev, status.st_ino))
                    wanted.append(path)
        room = self._room_bytes()
        if room is None or total_bytes(wanted) > room:
            return
        with self._wake:
            self._waiting.extend(wanted)
            self._wake.notify_all()

    def _work(self) -> None:
        yield_to_others()
        piece = bytearray(PIECE_BYTES)
        while True:
            with self._wake:
                self._idle = not self._waiting
                self._wake.notify_all()
                self._wake.wait_for(lambda: self._waiting or self._stop.is_set())
                if self._stop.is_set():
                    return
                path = self._waiting.popleft()
                self._idle = False
            with contextlib.suppress(OSError, ValueError):  # gone meanwhile, or empty
                if missing_bytes(path):
                    self._read(path, piece)

    def _read(self, path: Path, piece: bytearray) -> None:
        for got in read_in(path, piece, self._stop):
            self.read_bytes += got
            if self._timed:
                self._timed_bytes += got


def for_run(hardware: Hardware, *, resumes: bool, side_by_side: bool = False) -> ReadAhead:
    """What a run on that hardware may read ahead. resumes: its timed sections wait for the disk with each document.

    side_by_side: its jobs run so, and each may start while another is timed.
    """
    on_gpu = hardware.gpu.device == "cuda" and hardware.present
    alone = not resumes and not side_by_side
    return ReadAhead(enabled=on_gpu and alone and usable_cpus() >= FEWEST_CORES and hasattr(os, "setpriority"))


def _room(available: int | None) -> int | None:
    return None if available is None else max(0, available - MEMORY_LEFT_BYTES)
