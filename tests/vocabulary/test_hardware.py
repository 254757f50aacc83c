"""--gpu means what the machine has, or is refused in words that help."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.catalog import load_catalog
from pipeline.errors import UsageError
from pipeline.gpus import DetectedGpu
from pipeline.hardware import Hardware, choose_hardware

GPUS = load_catalog().gpus


def detected(name: str, capability: float) -> list[DetectedGpu]:
    return [DetectedGpu(0, "GPU-1", name, 40 << 30, capability, "580.65.06", "13.0")]


def chosen(name: str, gpus: list[DetectedGpu], **how: Any) -> Hardware:
    return choose_hardware(name, GPUS, gpus, **{"force": False, "hypothetical": False, **how})


TWO_AND_ANOTHER = [
    DetectedGpu(index, f"GPU-{index}", name, 40 << 30, capability, "580.65.06", "13.0")
    for index, (name, capability) in enumerate([("Tesla T4", 7.5), *[("NVIDIA A100-SXM4-40GB", 8.0)] * 2])
]


def test_a_run_is_for_the_first_gpu_of_the_kind_unless_more_are_asked_for() -> None:
    assert chosen("a100", TWO_AND_ANOTHER).uuids == ("GPU-1",)
    assert chosen("a100", TWO_AND_ANOTHER, numbers="all").uuids == ("GPU-1", "GPU-2")
    assert chosen("auto", TWO_AND_ANOTHER, numbers=(2, 1)).uuids == ("GPU-2", "GPU-1")


def test_gpus_of_two_kinds_make_no_run() -> None:
    for numbers in ("all", (0, 1)):
        with pytest.raises(UsageError, match=r"GPU 0 is Tesla T4, GPU 1 is NVIDIA A100.*name GPUs of one kind"):
            chosen("auto", TWO_AND_ANOTHER, numbers=numbers)


def test_a_number_of_no_gpu_is_answered_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"--gpus 7: this machine has 0 \(Tesla T4\), 1 \(NVIDIA A100"):
        chosen("auto", TWO_AND_ANOTHER, numbers=(7,))


def test_gpus_are_not_chosen_among_for_a_cpu() -> None:
    for numbers in ("all", (0,)):
        with pytest.raises(UsageError, match="this run is for a CPU"):
            chosen("cpu", TWO_AND_ANOTHER, numbers=numbers)


@pytest.mark.parametrize(
    ("device", "capability", "name"),
    [
        ("NVIDIA A100-SXM4-40GB", 8.0, "a100"),
        ("NVIDIA A100 80GB PCIe", 8.0, "a100"),
        ("Tesla T4", 7.5, "t4"),
        ("NVIDIA L4", 8.9, "l4"),
        ("Tesla V100-SXM2-16GB", 7.0, "v100"),
        ("NVIDIA A10G", 8.6, "a10"),
        ("NVIDIA A10", 8.6, "a10"),
        ("NVIDIA GeForce RTX 4090", 8.9, "rtx4090"),
        ("NVIDIA H100 80GB HBM3", 9.0, "h100"),
        ("NVIDIA H200", 9.0, "h200"),
        ("NVIDIA L40S", 8.9, "nvidia-l40s"),
    ],
)
def test_auto_names_the_gpu_that_the_driver_reports(device: str, capability: float, name: str) -> None:
    hardware = chosen("auto", detected(device, capability))
    assert (hardware.gpu.name, hardware.gpu.found, hardware.driver) == (name, device, 580)


def test_auto_without_a_gpu_is_the_cpu() -> None:
    assert chosen("auto", []).gpu.device == "cpu"


def test_a_gpu_before_ampere_gets_float16() -> None:
    assert chosen("t4", detected("Tesla T4", 7.5)).dtype == "float16"
    assert chosen("a100", detected("NVIDIA A100-SXM4-40GB", 8.0)).dtype == "bfloat16"


def test_a_name_that_contradicts_the_gpu_found_is_refused_with_both_names() -> None:
    with pytest.raises(UsageError, match=r"--gpu t4: this machine has NVIDIA A100.*--gpu a100"):
        chosen("t4", detected("NVIDIA A100-SXM4-40GB", 8.0))


def test_a_gpu_on_a_machine_without_one_is_refused() -> None:
    with pytest.raises(UsageError, match="--gpu a100: no NVIDIA GPU is visible"):
        chosen("a100", [])


def test_force_keeps_the_name_and_the_real_capability() -> None:
    hardware = chosen("t4", detected("NVIDIA A100-SXM4-40GB", 8.0), force=True)
    assert (hardware.gpu.name, hardware.compute_capability) == ("t4", 8.0)


def test_a_gpu_that_is_not_there_can_be_planned_for() -> None:
    hardware = chosen("t4", [], hypothetical=True)
    assert (hardware.present, hardware.compute_capability, hardware.gpu.device) == (False, 7.5, "cuda")


def test_an_unknown_gpu_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown GPU .*'rtx409'; did you mean rtx4090"):
        chosen("rtx409", [])


@pytest.mark.parametrize(("gib", "bandwidth"), [(40, 1.555e12), (79, 2.039e12)])
def test_a_gpu_with_several_sizes_of_memory_has_the_bandwidth_of_its_own(gib: int, bandwidth: float) -> None:
    gpus = [replace(gpu, memory_bytes=gib << 30) for gpu in detected("NVIDIA A100", 8.0)]
    rates = chosen("auto", gpus).gpu.rates
    assert rates is not None
    assert rates.bandwidth_bytes_per_s == bandwidth


def test_a_forced_name_keeps_the_rates_of_the_gpu_that_is_there() -> None:
    forced = chosen("a100", detected("Tesla T4", 7.5), force=True)
    assert forced.gpu.name == "a100"
    assert forced.gpu.rates == chosen("t4", detected("Tesla T4", 7.5)).gpu.rates


def test_a_gpu_that_is_not_listed_has_no_rates() -> None:
    assert chosen("auto", detected("NVIDIA L40S", 8.9)).gpu.rates is None
