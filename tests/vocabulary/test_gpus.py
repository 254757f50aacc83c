"""Which of a machine's GPUs a process can use, as CUDA_VISIBLE_DEVICES says it."""

import pytest

from pipeline.gpus import DetectedGpu, visible

GPUS = [DetectedGpu(n, f"GPU-{n}abc-{n}", "NVIDIA H200", 141 << 30, 9.0, "580.65.06", "13.0") for n in range(3)]


@pytest.mark.parametrize(
    ("named", "seen"),
    [
        (None, [0, 1, 2]),
        ("1", [1]),
        ("2, 0", [2, 0]),
        ("GPU-1abc", [1]),
        ("", []),
        ("-1", []),
        ("0,7,1", [0]),
        ("GPU-", []),
    ],
)
def test_cuda_visible_devices_names_the_gpus_that_are_used(named: str | None, seen: list[int]) -> None:
    assert [gpu.index for gpu in visible(GPUS, named)] == seen
