"""How a worker ends when it is told to, or when whoever started it is gone: real processes, real signals."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pipeline.worker.ending import CLOSING_S, STATUS
from tests.conftest import REPOSITORY

PATIENCE_S = 10.0
SETUP = "import os, signal, time\nfrom pipeline.worker.ending import *\n"
WORKING = SETUP + "end_on_sigterm({closing_s})\nend_with_parent()\n"
WAITS = "print(os.getpid(), flush=True); time.sleep(60)"


def environment(**more: str) -> Mapping[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), **more}


def start(code: str, closing_s: float = CLOSING_S) -> "subprocess.Popen[str]":
    """A worker's process, once its code has printed a line."""
    command = [sys.executable, "-c", WORKING.format(closing_s=closing_s) + code]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline()
    return process


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Its exit status and what else it printed."""
    output, _ = process.communicate(timeout=PATIENCE_S)
    return process.returncode, output.strip()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except FileNotFoundError:
        return False


def test_sigterm_closes_the_engine_on_the_way_out() -> None:
    process = start(f"try:\n    {WAITS}\nfinally:\n    print('closed', flush=True)")
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (STATUS, "closed")


HANGS_IN_CLOSING = f"try:\n    {WAITS}\nfinally:\n    print('closing', flush=True)\n    time.sleep(60)"


def test_a_second_sigterm_ends_it_at_once_also_while_it_closes() -> None:
    process = start(HANGS_IN_CLOSING)
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None and process.stdout.readline() == "closing\n"
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == STATUS


def test_an_engine_that_does_not_close_ends_when_its_time_is_up() -> None:
    process = start(HANGS_IN_CLOSING, closing_s=0.5)
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == STATUS


def test_native_code_that_python_can_not_interrupt_ends_when_its_time_is_up() -> None:
    """A lock that it holds already: waiting for it goes on after a signal, and no Python handler gets its turn."""
    code = (
        "import ctypes\nlibc = ctypes.CDLL(None)\nlock = ctypes.create_string_buffer(64)\n"
        "libc.pthread_mutex_init(lock, None); libc.pthread_mutex_lock(lock)\n"
        "print('in', flush=True); libc.pthread_mutex_lock(lock)"
    )
    process = start(code, closing_s=0.5)
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == STATUS


def test_a_forked_process_that_is_ended_does_not_end_its_parent() -> None:
    code = (
        "print('ready', flush=True)\nchild = os.fork()\n"
        "if child == 0:\n    time.sleep(60)\n"
        "time.sleep(0.3); os.kill(child, signal.SIGTERM); os.waitpid(child, 0); time.sleep(1.0)\nprint('well')"
    )
    assert ended(start(code, closing_s=0.2)) == (0, "well")


@pytest.fixture
def orphaned() -> Iterator[subprocess.Popen[str]]:
    """A launcher that has started a worker, whose process id it prints."""
    launcher = (
        "import os, subprocess, sys\n"
        f"worker = [sys.executable, '-c', {WORKING.format(closing_s=CLOSING_S) + WAITS!r}]\n"
        "os.environ['BENCHMARK_PARENT_PID'] = str(os.getpid())\n"
        "subprocess.run(worker)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", launcher],
        env=environment(BENCHMARK_LAUNCHER="process"),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def test_a_launcher_that_is_killed_leaves_no_worker(orphaned: "subprocess.Popen[str]") -> None:
    assert orphaned.stdout is not None
    worker = int(orphaned.stdout.readline())
    assert alive(worker)
    orphaned.kill()
    deadline = time.perf_counter() + PATIENCE_S
    while alive(worker) and time.perf_counter() < deadline:
        time.sleep(0.02)
    assert not alive(worker)


def finished_with(**more: str) -> int:
    command = [sys.executable, "-c", WORKING.format(closing_s=CLOSING_S)]
    return subprocess.run(command, env=environment(**more), stdout=subprocess.DEVNULL, check=False).returncode


def test_a_launcher_that_was_gone_before_is_noticed_at_once() -> None:
    assert finished_with(BENCHMARK_LAUNCHER="process", BENCHMARK_PARENT_PID="1") == STATUS


def test_where_no_launcher_names_itself_nothing_is_done() -> None:
    assert finished_with(BENCHMARK_LAUNCHER="process") == 0
    assert finished_with(BENCHMARK_LAUNCHER="docker", BENCHMARK_PARENT_PID="1") == 0
