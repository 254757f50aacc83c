"""A thread that does something now and then while an engine works."""

import threading
from collections.abc import Callable
from types import TracebackType


class Periodic:
    """A context whose thread calls action() every period_s seconds; it has ended when the context has."""

    def __init__(self, name: str, action: Callable[[], None], period_s: float) -> None:
        self._action = action
        self._period_s = period_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name=name, daemon=True)

    def __enter__(self) -> "Periodic":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _repeat(self) -> None:
        while not self._stop.wait(self._period_s):
            self._action()
