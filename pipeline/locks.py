"""Locks between processes: one command a run, one maker of an environment or of weights, one job a GPU."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import BenchmarkError

PERIOD_S = 0.2


@contextmanager
def exclusive(
    path: Path,
    held: str | None = None,
    on_wait: Callable[[], None] | None = None,
    pause: Callable[[float], None] | None = None,
) -> Iterator[None]:
    """Hold a lock file; the kernel frees it when the process ends, however it ends.

    held: the error to raise at once if another process has it; None waits. on_wait: called once before waiting.
    pause: what to wait with between two attempts, in seconds, and what it raises ends the wait; without, an interrupt
    of the main thread alone does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _open(path)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if held:
                raise BenchmarkError(held) from None
            if on_wait:
                on_wait()
            _wait_for(handle, pause)
        yield
    finally:
        os.close(handle)


def _wait_for(handle: int, pause: Callable[[float], None] | None) -> None:
    if pause is None:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pause(PERIOD_S)
        else:
            return


def _open(path: Path) -> int:
    """A handle to lock by; never through a link. Another user's lock file, which can only be read, serves as well."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
