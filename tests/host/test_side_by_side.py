"""Tasks in threads: their order, what ends them, and that nothing is left of them."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from pipeline.host.beside import Beside
from pipeline.host.side_by_side import run_side_by_side
from pipeline.host.stopping import Stop


def test_outcomes_come_in_the_order_of_the_tasks() -> None:
    def after(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    tasks = [partial(after, seconds) for seconds in (0.2, 0.0, 0.1)]
    assert run_side_by_side(tasks, 3, Stop()) == [0.2, 0.0, 0.1]


def test_no_more_run_at_once_than_may() -> None:
    running, most = 0, 0
    lock = threading.Lock()

    def task() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.05)
        with lock:
            running -= 1

    run_side_by_side([task] * 5, 2, Stop())
    assert most == 2


def test_after_the_last_none_begins_and_those_that_run_end() -> None:
    tasks: list[Callable[[], str]] = [lambda: "first", lambda: "last", lambda: "never"]
    assert run_side_by_side(tasks, 1, Stop(), lambda outcome: outcome == "last") == ["first", "last", None]


def test_a_fault_ends_the_others_and_is_raised() -> None:
    stop, ended = Stop(), threading.Event()

    def patient() -> None:
        with pytest.raises(KeyboardInterrupt):
            stop.sleep(30)
        ended.set()

    def broken() -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        run_side_by_side([patient, broken], 2, stop)
    assert ended.is_set()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """As a command is; where tests run in several processes, these ignore interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_asks_jobs_to_end_and_a_second_one_at_once(interruptible: None) -> None:
    stop, told = Stop(), []

    def stubborn() -> None:
        while not stop.asked:
            time.sleep(0.01)
        told.append("asked")
        os.kill(os.getpid(), signal.SIGINT)
        while not stop.at_once:
            time.sleep(0.01)
        told.append("at once")

    threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        run_side_by_side([stubborn], 1, stop)
    assert told == ["asked", "at once"]


def test_each_job_hears_of_those_that_ran_at_some_time_of_it() -> None:
    beside = Beside()
    with beside.running("none") as first:
        with beside.running("vllm") as second:
            pass
        with beside.running("8-bit") as third:
            pass
    with beside.running("4-bit") as last:
        pass
    assert (first, second, third, last) == ({"vllm", "8-bit"}, {"none"}, {"none"}, set())
