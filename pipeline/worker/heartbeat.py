"""Signs of life while an engine works: a line now and then as long as there is progress, and none while it hangs."""

import contextlib
import time
from collections.abc import Callable
from types import TracebackType

from pipeline.worker.periodic import Periodic

PERIOD_S = 0.5
"""How soon a finished document is told."""
HEARTBEAT_S = 4.0
"""How seldom tokens alone are worth a line. Who waits for one counts on 5 s at most."""


class Heartbeat:
    """A context whose thread calls say() after documents were finished, or tokens came for HEARTBEAT_S in silence.

    documents, tokens: counts that only grow, read from the thread, so that the timed section does nothing for it.
    """

    def __init__(
        self,
        say: Callable[[int], None],
        tokens: Callable[[], int],
        documents: Callable[[], int] = lambda: 0,
        period_s: float = PERIOD_S,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._say = say
        self._tokens = tokens
        self._documents = documents
        self._heartbeat_s = heartbeat_s
        self._told, self._spoke = (0, 0), 0.0
        self._periodic = Periodic("heartbeat", self._look, period_s)

    def __enter__(self) -> "Heartbeat":
        self._told, self._spoke = (self._documents(), self._tokens()), time.perf_counter()
        self._periodic.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._periodic.__exit__(kind, error, trace)

    def _look(self) -> None:
        documents, tokens = self._told
        due = time.perf_counter() - self._spoke >= self._heartbeat_s
        if self._documents() > documents or (due and self._tokens() > tokens):
            self._told, self._spoke = (self._documents(), self._tokens()), time.perf_counter()
            with contextlib.suppress(OSError):  # nobody listens any more, which the next phase's own line will meet
                self._say(self._told[0])
