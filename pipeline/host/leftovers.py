"""Processes that outlive what started them, found by a variable that they inherit, wherever they moved since.

A process group is not enough: an engine's workers may start sessions of their own and outlive even SIGKILL of their
parent.
"""

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pipeline.host.owner import is_gone

OWNER_VARIABLE = "BENCHMARK_OWNER"
"""The command that started a process, as owner.this_process() tells it, and the number of the job within it."""

DYING_S = 20.0
"""How long is waited for what was killed: freeing a GPU's memory takes seconds, a disk that hangs takes for ever."""

STARTING_S = 5.0
"""How long is waited for a process to tell whose it is."""

STARTING_TICK_S = 0.001

_PROCESSES = Path("/proc")


def owner_of_job(owner: str, number: int) -> str:
    """The variable's value for one job of a command."""
    return f"{owner}#{number}"


def kill_job(value: str) -> list[int]:
    """SIGKILL every process of that job (the value of owner_of_job) and wait until they ended; their process ids."""
    return _kill(lambda found: found == value)


def kill_orphans() -> list[int]:
    """SIGKILL every process whose command is gone and wait until they ended; their process ids."""
    return _kill(lambda found: is_gone(found.rpartition("#")[0]))


def _kill(wanted: Callable[[str], bool]) -> list[int]:
    killed: list[int] = []
    with contextlib.ExitStack() as stack:
        dying: list[int] = []
        deadline = time.monotonic() + STARTING_S
        # again until none is found: a process can fork between being listed and being killed
        while (pids := [pid for pid, value in _owned() if wanted(value) and pid not in killed]) or (
            _any_starts() and time.monotonic() < deadline
        ):
            if not pids:
                time.sleep(STARTING_TICK_S)
            for pid in pids:
                with contextlib.suppress(OSError):  # it ended, or the kernel has no such handles
                    handle = os.pidfd_open(pid)
                    stack.callback(os.close, handle)
                    dying.append(handle)
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            killed += pids
        _wait(dying)
    return killed


def _wait(dying: Sequence[int]) -> None:
    """Until all have ended, DYING_S at most: only then is their memory free, the GPU's too."""
    deadline = time.monotonic() + DYING_S
    for handle in dying:
        ended = select.poll()
        ended.register(handle, select.POLLIN)
        ended.poll(max(0.0, deadline - time.monotonic()) * 1000)


def _owned() -> Iterator[tuple[int, str]]:
    """Processes of this user that carry the variable. Empty where there is no /proc; zombies carry nothing."""
    prefix = f"{OWNER_VARIABLE}=".encode()
    for folder in _PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended, or is another user's
            for variable in (folder / "environ").read_bytes().split(b"\0"):
                if variable.startswith(prefix) and int(folder.name) != os.getpid():
                    yield int(folder.name), variable[len(prefix) :].decode(errors="replace")


def _any_starts() -> bool:
    """Whether a process is between two programs: its parent knows that it has begun, and it has no variables yet.

    On a busy disk it stays there until its program is read. It differs by its program's file from those of the kernel
    and those that end, by its empty command line from those that were given no variables.
    """
    for folder in _PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if not (folder / "environ").read_bytes() and not (folder / "cmdline").read_bytes():
                (folder / "exe").readlink()
                return True
    return False


def cpu_seconds(value: str) -> float:
    """Processor time of a job's living processes and of their children that ended."""
    ticks = 0
    for pid, found in _owned():
        if found == value:
            with contextlib.suppress(OSError):
                # user and system time, then those of children that were waited for; the name may hold spaces
                fields = (_PROCESSES / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")
