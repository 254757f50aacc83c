"""When tokens came, and what the engine was doing meanwhile: the stamps that its steps leave."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class TokenTimes:
    """When the first and last token of each request under way arrived; its instances are OnStep callbacks.

    arrived: how many there were, those that were taken back included, so that it only grows.
    prefill_s, decode_s: see Timing; each step counts from the end of the one before it, or from the hand-over. An
    engine that tells its tokens one by one is in the same step until a request gets another or is finished. Failed
    attempts count like others: they took the time.
    """

    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    arrived: int = 0
    prefill_s: float = 0.0
    decode_s: float = 0.0
    _since: float | None = None
    _until: float | None = None
    _in_step: set[str] = field(default_factory=set)
    _prefills: bool = False

    def __call__(self, tokens: Mapping[str, int]) -> None:
        now = time.perf_counter()
        if not self._in_step.isdisjoint(tokens):
            self.end_step()
        for request_id, count in tokens.items():
            if count > 0:
                if request_id not in self.first:
                    self.first[request_id] = now
                    self._prefills = True
                self.last[request_id] = now
                self.arrived += count
            elif count < 0:  # the attempt failed, and with it what these times stand for
                self.first.pop(request_id, None)
                self.last.pop(request_id, None)
        self._in_step.update(tokens)
        self._until = now

    def take(self, request_id: str) -> tuple[float | None, float | None]:
        """When the first and the last token of a request that is finished came; they are forgotten then."""
        return self.first.pop(request_id, None), self.last.pop(request_id, None)

    def begin(self, now: float) -> None:
        """Requests are handed over: what happened until now is nobody's step."""
        self.end_step()
        self._since = now

    def end_step(self) -> None:
        """What comes next is of another step than what came last."""
        if self._until is None:
            return
        if self._since is not None:
            if self._prefills:
                self.prefill_s += self._until - self._since
            else:
                self.decode_s += self._until - self._since
        self._since, self._until, self._prefills = self._until, None, False
        self._in_step.clear()
