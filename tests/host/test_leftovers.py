"""Processes that left their group and lost their parent, found and ended."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.host import leftovers
from pipeline.host.leftovers import OWNER_VARIABLE, cpu_seconds, kill_job, kill_orphans, owner_of_job
from pipeline.host.owner import this_process

# A child that starts a session of its own, and whose parent is gone: no group and no ancestry leads to it.
RUNAWAY = """
import os, sys, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
{}
print(os.getpid(), flush=True)
time.sleep(60)
"""
# Freeing it takes the kernel some tens of milliseconds, looking through /proc a few. Shared, it is in small pages.
HOLDING_MEMORY = """
import mmap
held = mmap.mmap(-1, 512 << 20)
held[::mmap.PAGESIZE] = bytes(len(held) // mmap.PAGESIZE)
"""


def run_away(owner: str, before: str = "") -> int:
    """A runaway's process id. before: what it does first."""
    started = subprocess.Popen(
        [sys.executable, "-c", RUNAWAY.format(before)],
        env={**os.environ, OWNER_VARIABLE: owner},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    pid = int(started.stdout.readline())
    started.wait()
    started.stdout.close()
    return pid


def is_alive(pid: int) -> bool:
    return pid in [found for found, _ in leftovers._owned()]


@pytest.fixture
def gone() -> str:
    """The owner that a command was which has ended."""
    script = "from pipeline.host.owner import this_process; print(this_process())"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    yield
    leftovers._kill(lambda value: value.startswith(f"{this_process()}#"))


def test_what_a_dead_command_left_is_killed(gone: str) -> None:
    pid = run_away(owner_of_job(gone, 1))
    assert is_alive(pid)
    assert kill_orphans() == [pid]
    assert not is_alive(pid)


def test_what_a_living_command_runs_is_left_alone() -> None:
    pid = run_away(owner_of_job(this_process(), 1))
    assert kill_orphans() == []
    assert is_alive(pid)


def test_a_job_takes_its_runaways_along_and_no_other_jobs() -> None:
    first, second = (run_away(owner_of_job(this_process(), number)) for number in (1, 2))
    assert kill_job(owner_of_job(this_process(), 1)) == [first]
    assert (is_alive(first), is_alive(second)) == (False, True)


def test_a_job_is_killed_only_once_what_it_held_is_free() -> None:
    pid = run_away(owner_of_job(this_process(), 4), HOLDING_MEMORY)
    handle = os.pidfd_open(pid)
    try:
        assert kill_job(owner_of_job(this_process(), 4)) == [pid]
        ended = select.poll()
        ended.register(handle, select.POLLIN)
        assert ended.poll(0)
    finally:
        os.close(handle)


def test_a_process_whose_program_is_still_being_read_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = subprocess.Popen(["sleep", "60"])
    owner = owner_of_job(this_process(), 1)
    folder = tmp_path / str(process.pid)  # what the kernel shows of it meanwhile
    folder.mkdir()
    (folder / "exe").symlink_to("/bin/sleep")
    (folder / "cmdline").touch()
    (folder / "environ").touch()
    monkeypatch.setattr(leftovers, "_PROCESSES", tmp_path)
    read = threading.Timer(0.3, (folder / "environ").write_text, [f"{OWNER_VARIABLE}={owner}"])
    read.start()
    try:
        assert kill_job(owner) == [process.pid]
        assert process.wait() == -signal.SIGKILL
    finally:
        read.join()
        process.kill()
        process.wait()


def test_the_processor_time_of_a_job_is_that_of_its_processes() -> None:
    owner = owner_of_job(this_process(), 3)
    busy = subprocess.Popen(
        [sys.executable, "-c", "while True: pass"], env={**os.environ, OWNER_VARIABLE: owner}, stdout=subprocess.DEVNULL
    )
    try:
        before = cpu_seconds(owner)
        deadline = time.monotonic() + 20
        while cpu_seconds(owner) - before < 0.2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert cpu_seconds(owner) - before >= 0.2
    finally:
        busy.kill()
        busy.wait()
    assert cpu_seconds(owner) == 0
