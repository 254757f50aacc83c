"""Locks between processes: one command a run, one builder an environment, one maker of a model's weights."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import BenchmarkError


@contextmanager
def exclusive(path: Path, held: str | None = None) -> Iterator[None]:
    """Hold a lock file; the kernel frees it when the process ends, however it ends.

    held: the error to raise at once if another process has it; None waits.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | (fcntl.LOCK_NB if held else 0))
        except BlockingIOError:
            raise BenchmarkError(held or "") from None
        yield
