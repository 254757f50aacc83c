"""Memory readings are of the real process tree."""

import os
import subprocess
import sys
import time

from pipeline.worker.telemetry import PeakSampler, process_tree_rss_bytes

CHILD_BYTES = 200 << 20


def test_a_childs_memory_counts() -> None:
    before = process_tree_rss_bytes(os.getpid())
    script = f"import time; held = bytearray(b'x') * {CHILD_BYTES}; print('ready', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        during = process_tree_rss_bytes(os.getpid())
        child.kill()
    assert before is not None and during is not None
    assert during - before > 0.9 * CHILD_BYTES


def test_the_peak_outlives_the_memory() -> None:
    with PeakSampler(lambda: process_tree_rss_bytes(os.getpid()), period_s=0.01) as sampler:
        held = bytearray(b"x") * CHILD_BYTES
        time.sleep(0.1)
        del held
        time.sleep(0.1)
    now = process_tree_rss_bytes(os.getpid())
    assert sampler.peak_bytes is not None and now is not None
    assert sampler.peak_bytes - now > 0.9 * CHILD_BYTES


def test_without_readings_there_is_no_peak() -> None:
    with PeakSampler(lambda: None) as sampler:
        pass
    assert sampler.peak_bytes is None
