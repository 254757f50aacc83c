"""Tasks in threads, begun in their order, so many at a time; an interrupt or a fault ends those that run."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from threading import Event
from typing import TypeVar

from pipeline.host.stopping import Stop

T = TypeVar("T")


def run_side_by_side(
    tasks: Sequence[Callable[[], T]], at_once: int, stop: Stop, is_last: Callable[[T], bool] = lambda _: False
) -> list[T | None]:
    """What each task returns, in their order; None for one that was not begun any more.

    is_last: of what a task returned, whether no other is to begin after it. Raises what a task raises, or
    KeyboardInterrupt, once all that were begun have ended: `stop` tells them to, and a second interrupt to do so at
    once.
    """
    closed = Event()

    def run(task: Callable[[], T]) -> T | None:
        if closed.is_set() or stop.asked:
            return None
        try:
            outcome = task()
        except BaseException:
            closed.set()
            raise
        if is_last(outcome):
            closed.set()
        return outcome

    futures: list[Future[T | None]] = []
    with ThreadPoolExecutor(max(1, at_once)) as pool:
        try:
            futures += [pool.submit(run, task) for task in tasks]
            wait(futures, return_when=FIRST_EXCEPTION)
        except KeyboardInterrupt:
            stop.ask()
            _wait_out(futures, stop)
            raise
        fault = next((error for future in futures if future.done() and (error := future.exception())), None)
        if fault is not None:
            if not stop.asked:
                stop.ask()
            _wait_out(futures, stop)
            raise fault
    return [future.result() for future in futures]


def _wait_out(futures: Sequence[Future[T | None]], stop: Stop) -> None:
    """Until none runs any more, however often an interrupt comes in between."""
    while not all(future.done() for future in futures):
        try:
            wait(futures)
        except KeyboardInterrupt:
            stop.ask()
