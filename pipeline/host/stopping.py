"""How a command's jobs, each in a thread of its own, are told to end."""

import time
from collections.abc import Callable
from threading import Event

PERIOD_S = 0.1


class Stop:
    """Asked once, jobs end in good order; asked again, at once. An interrupt reaches the main thread alone."""

    def __init__(self) -> None:
        self._asked, self._at_once = Event(), Event()

    def ask(self) -> None:
        """Once more than before."""
        (self._at_once if self._asked.is_set() else self._asked).set()

    @property
    def asked(self) -> bool:
        """Whether jobs are to end."""
        return self._asked.is_set()

    @property
    def at_once(self) -> bool:
        """Whether they are to end without closing anything."""
        return self._at_once.is_set()

    def check(self) -> None:
        """Raise KeyboardInterrupt, in whichever thread, once jobs are to end."""
        if self.asked:
            raise KeyboardInterrupt

    def sleep(self, seconds: float) -> None:
        """Wait for so long, or raise KeyboardInterrupt as soon as jobs are to end."""
        self._asked.wait(seconds)
        self.check()

    def patience(self, over: Callable[[], bool], seconds: float) -> None:
        """Wait until it is over, for that long at most, and no longer than there is time."""
        deadline = time.monotonic() + seconds
        while not over() and not self.at_once and time.monotonic() < deadline:
            time.sleep(PERIOD_S)
