"""Locks between processes: one command a run, one maker of an environment or of weights, one job a GPU."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import BenchmarkError


@contextmanager
def exclusive(path: Path, held: str | None = None, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock file; the kernel frees it when the process ends, however it ends.

    held: the error to raise at once if another process has it; None waits. on_wait: called once before waiting.
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
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    """A handle to lock by; never through a link. Another user's lock file, which can only be read, serves as well."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
