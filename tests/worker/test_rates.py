"""What a device can do at best, measured for real: with torch, without it, and where it can't be."""

import os
from pathlib import Path

import pytest

from pipeline.machine import usable_cores, usable_cpus
from pipeline.worker import rates
from pipeline.worker.rates import measure
from tests.worker.conftest import Inside

PLAUSIBLE_BYTES_PER_S = (5e8, 1e13)
"""From a core that is shared with others to the largest machines."""
WITH_TORCH = """
import json, os, torch
from pipeline.machine import usable_cores
from pipeline.worker.rates import measure
cores, threads = usable_cores(), torch.get_num_threads()
os.sched_setaffinity(0, {cores[0]})  # as an engine may leave it, and this:
torch.set_num_threads = None
found = measure("cpu", "bfloat16", 8, cores)
unchanged = [usable_cores() == cores[:1], torch.get_num_threads() == threads]
figures = [found.bandwidth_bytes_per_s, found.flops_per_s, found.flops8_per_s]
print(json.dumps([*figures, unchanged, measure("cuda", "float16", 16, cores)]))
"""


def test_with_torch_bandwidth_and_arithmetic_are_measured_and_nothing_is_left_changed(inside: Inside) -> None:
    bandwidth, flops, flops8, unchanged, on_gpu = inside("transformers", WITH_TORCH)
    assert PLAUSIBLE_BYTES_PER_S[0] < bandwidth < PLAUSIBLE_BYTES_PER_S[1]
    assert 1e8 < flops < 1e16
    assert 1e8 < flops8 < 1e16
    assert unchanged == [True, True]
    assert on_gpu is None  # there is none, and nothing is raised


def test_without_torch_the_bandwidth_alone_is_measured() -> None:
    found = measure("cpu", "float32", 8, usable_cores())
    assert found is not None
    assert PLAUSIBLE_BYTES_PER_S[0] < found.bandwidth_bytes_per_s < PLAUSIBLE_BYTES_PER_S[1]
    assert (found.kind, found.flops_per_s, found.flops8_per_s) == ("measured", None, None)


def test_where_memory_is_short_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "available_bytes", lambda *_: 2 * rates.SMALLEST_BUFFER_BYTES - 1)
    assert measure("cpu", "float32", 16, usable_cores()) is None


def test_what_goes_wrong_in_measuring_is_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(rates, "_moved_by_cpu", fail)
    assert measure("cpu", "float32", 16, usable_cores()) is None


@pytest.mark.parametrize(("cores", "mebibytes"), [(2, 32), (8, 32), (20, 96)])
def test_buffers_are_measured_against_all_of_the_cores_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, mebibytes: int
) -> None:
    """Eight cores share a cache of 32 MiB; each has a smaller one of its own."""
    for index, size, sharing in (("index0", "48K", "01"), ("index3", "32768K", "00000000,000000ff")):
        (tmp_path / index).mkdir()
        (tmp_path / index / "size").write_text(f"{size}\n")
        (tmp_path / index / "shared_cpu_map").write_text(f"{sharing}\n")
    monkeypatch.setattr(rates, "CACHES", tmp_path)
    assert rates._caches_bytes(cores) == mebibytes << 20


def test_the_cores_are_those_that_the_process_may_use() -> None:
    assert set(usable_cores()) == os.sched_getaffinity(0)
    assert usable_cpus() == len(usable_cores())


def test_a_bandwidth_that_was_measured_before_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("it was measured again")

    monkeypatch.setattr(rates, "_moved_by_cpu", fail)
    found = measure("cpu", "float32", 16, usable_cores(), 1e10)
    assert found is not None and found.bandwidth_bytes_per_s == 1e10
