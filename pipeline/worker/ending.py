"""How a worker ends before its time: when it is asked to (SIGTERM), and when whoever started it is gone."""

import ctypes
import os
import select
import signal
import threading
import time
from collections.abc import Mapping
from types import FrameType

STATUS = 128 + signal.SIGTERM
CLOSING_S = 15.0
"""How long an engine may take to close. The launchers, which kill after 20 s, are not to wait for nothing."""
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_on_sigterm(closing_s: float = CLOSING_S) -> None:
    """From now on SIGTERM raises SystemExit(STATUS) in the main thread, so that adapters close their engines.

    A second one, or closing_s seconds, end the process at once, also while the main thread is in an engine's native
    code: there no Python handler runs, but the interpreter writes the signal's number to the wake-up pipe, which a
    thread of its own reads. To be called in the main thread.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    # an engine's forked processes share the pipe, and to end one of them must not end this one
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
    signal.signal(signal.SIGTERM, _raise)
    threading.Thread(target=_insist, args=(reading, closing_s), name="ending", daemon=True).start()


def _raise(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(STATUS)


def _insist(reading: int, closing_s: float) -> None:
    while not _terminated(reading):
        pass
    deadline = time.perf_counter() + closing_s
    while (left_s := deadline - time.perf_counter()) > 0:
        if select.select([reading], [], [], left_s)[0] and _terminated(reading):
            break
    os._exit(STATUS)


def _terminated(reading: int) -> bool:
    return os.read(reading, 1)[0] == signal.SIGTERM


def end_with_parent(environment: Mapping[str, str] = os.environ) -> None:
    """Have the kernel send SIGTERM to this process when its parent dies, where a process launcher is the parent.

    BENCHMARK_PARENT_PID: the launcher's process id; without it nothing is done. A parent that died before this was
    called leaves another one in its place: SystemExit then. In containers the engine sees to it.
    """
    parent = environment.get("BENCHMARK_PARENT_PID")
    if environment.get("BENCHMARK_LAUNCHER") != "process" or not parent:
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if str(os.getppid()) != parent:
        raise SystemExit(STATUS)
