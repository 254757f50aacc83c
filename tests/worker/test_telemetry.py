"""Memory readings are of the real process tree."""

import os
import subprocess
import sys
import time
from typing import Any

from pipeline.worker.telemetry import READS_PER_LOOKUP, PeakSampler, ProcessTree

CHILD_BYTES = 200 << 20
PIPES: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}


def rss_bytes() -> int:
    now = ProcessTree(os.getpid()).rss_bytes()
    assert now is not None
    return now


def test_a_childs_memory_counts() -> None:
    before = rss_bytes()
    script = f"import time; held = bytearray(b'x') * {CHILD_BYTES}; print('ready', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        during = rss_bytes()
        child.kill()
    assert during - before > 0.9 * CHILD_BYTES


def test_a_child_that_starts_later_is_found() -> None:
    tree = ProcessTree(os.getpid())
    before = tree.rss_bytes()
    with subprocess.Popen([sys.executable, "-c", "print('ready', flush=True); input()"], **PIPES) as child:
        assert child.stdout is not None
        child.stdout.readline()
        readings = [tree.rss_bytes() for _ in range(READS_PER_LOOKUP + 1)]
        child.communicate(b"\n")
    assert before is not None and readings[-1] is not None
    assert readings[-1] - before > 1 << 20


def test_the_peak_outlives_the_memory() -> None:
    with PeakSampler(rss_bytes, period_s=0.01) as sampler:
        held = bytearray(b"x") * CHILD_BYTES
        time.sleep(0.1)
        del held
        time.sleep(0.1)
    assert sampler.peak_bytes is not None
    assert sampler.peak_bytes - rss_bytes() > 0.9 * CHILD_BYTES


def test_without_readings_there_is_no_peak() -> None:
    with PeakSampler(lambda: None) as sampler:
        pass
    assert sampler.peak_bytes is None
