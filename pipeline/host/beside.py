"""Which jobs of a command run side by side."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class Beside:
    """Knows what runs, and tells each job of the others that ran at some time of it."""

    def __init__(self) -> None:
        self._running: dict[object, tuple[str, set[str]]] = {}
        self._lock = Lock()

    @contextmanager
    def running(self, experiment: str) -> Iterator[set[str]]:
        """While a job runs: the experiments of the others, a set that grows with them."""
        job, others = object(), set[str]()
        with self._lock:
            for name, theirs in self._running.values():
                others.add(name)
                theirs.add(experiment)
            self._running[job] = (experiment, others)
        try:
            yield others
        finally:
            with self._lock:
                del self._running[job]
