"""Which GPU a run is for: the name that the user gave, held against what the machine has."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.catalog import find
from pipeline.entries import Gpu, Rates
from pipeline.errors import UsageError
from pipeline.gpus import DetectedGpu
from pipeline.machine import cpu_name, has_native_bfloat16, slug
from pipeline.spec import JobGpu

CPU = "cpu"
AUTO = "auto"
ALL: Literal["all"] = "all"

Numbers = Sequence[int] | Literal["all"] | None
"""Which GPUs of the machine, by nvidia-smi's numbers."""


@dataclass(frozen=True)
class Hardware:
    """The device of a run. dtype: of unquantised weights unless an experiment says otherwise.

    driver: the NVIDIA driver's major version; None where no GPU was found. uuids: the run's GPUs, all of one kind, for
    its jobs to run on side by side; empty where none was found. present: False for a GPU that is only named.
    """

    gpu: JobGpu
    dtype: str
    compute_capability: float | None = None
    driver: int | None = None
    uuids: tuple[str, ...] = ()
    present: bool = True

    @property
    def description(self) -> str:
        """For messages: "NVIDIA A100-SXM4-40GB (compute capability 8.0)" or "a CPU"."""
        if self.gpu.device == "cpu":
            return "a CPU"
        return f"{self.gpu.found} (compute capability {self.compute_capability})"


def choose_hardware(
    name: str,
    gpus: Mapping[str, Gpu],
    detected: Sequence[DetectedGpu],
    *,
    force: bool,
    hypothetical: bool,
    numbers: Numbers = None,
) -> Hardware:
    """The hardware that `name` means here: cpu, auto, or a GPU of gpus.yaml.

    force: take the name although it contradicts the GPU found. hypothetical: a GPU that isn't there may be planned for.
    numbers: which of the GPUs the run is for; None for the first of the kind.
    Raises UsageError for an unknown name, and for one, or a number, that contradicts the machine.
    """
    if name == CPU or (name == AUTO and not detected):
        if numbers is not None:
            raise UsageError("--gpus chooses among NVIDIA GPUs, and this run is for a CPU; leave it out")
        return Hardware(JobGpu(CPU, cpu_name(), "cpu"), "bfloat16" if has_native_bfloat16() else "float32")
    offered = detected if numbers in (None, ALL) else _numbered(numbers or (), detected)
    if name == AUTO:
        return _real(_kind_of(offered[0], gpus), offered, numbers)
    listed = find(gpus, name, "GPU (or auto, cpu)")
    matching = [gpu for gpu in offered if _matches(listed, gpu)]
    if matching:
        return _real(listed, matching if numbers in (None, ALL) else offered, numbers)
    if force and detected:
        return _real(_kind_of(offered[0], gpus), offered, numbers, name)
    if force or hypothetical:
        return Hardware(JobGpu(name, name, "cuda"), listed.dtype, listed.compute_capability, present=False)
    raise UsageError(_contradiction(name, gpus, offered))


def _numbered(numbers: Sequence[int], detected: Sequence[DetectedGpu]) -> list[DetectedGpu]:
    known = {gpu.index: gpu for gpu in detected}
    for number in numbers:
        if number not in known:
            there = ", ".join(f"{index} ({gpu.name})" for index, gpu in known.items()) or "no NVIDIA GPU"
            raise UsageError(f"--gpus {number}: this machine has {there}; nvidia-smi numbers them")
    return [known[number] for number in numbers]


def _real(listed: Gpu | None, offered: Sequence[DetectedGpu], numbers: Numbers, name: str | None = None) -> Hardware:
    """The first of the GPUs, or all of them where some were asked for. A UsageError where they are of several kinds."""
    gpu = offered[0]
    for other in offered if numbers is not None else ():
        if (other.name, other.memory_bytes) != (gpu.name, gpu.memory_bytes):
            raise UsageError(
                f"--gpus: GPU {gpu.index} is {gpu.name}, GPU {other.index} is {other.name}, and rows of two kinds are "
                "no comparison; name GPUs of one kind, and run the command for each"
            )
    known = listed.name if listed else slug(gpu.name)
    # bfloat16 arithmetic came with Ampere
    dtype = "bfloat16" if gpu.compute_capability >= 8.0 else "float16"
    driver = int(gpu.driver_version.split(".")[0])
    job_gpu = JobGpu(name or known, gpu.name, "cuda", _rates(listed, gpu) if listed else None)
    uuids = tuple(item.uuid for item in offered) if numbers is not None else (gpu.uuid,)
    return Hardware(job_gpu, dtype, gpu.compute_capability, driver, uuids)


def _rates(listed: Gpu, gpu: DetectedGpu) -> Rates:
    """As the vendor lists them for the size of memory that is nearest to this card's."""
    sizes = zip(listed.memory_gib, listed.bandwidth_bytes_per_s, strict=True)
    _, bandwidth = min(sizes, key=lambda size: abs(size[0] * 1024**3 - gpu.memory_bytes))
    return Rates("listed", bandwidth, listed.flops_per_s, listed.flops8_per_s)


def _kind_of(gpu: DetectedGpu, gpus: Mapping[str, Gpu]) -> Gpu | None:
    return next((listed for listed in gpus.values() if _matches(listed, gpu)), None)


def _matches(listed: Gpu, gpu: DetectedGpu) -> bool:
    return re.search(rf"\b(?:{listed.match})\b", gpu.name) is not None


def _contradiction(name: str, gpus: Mapping[str, Gpu], detected: Sequence[DetectedGpu]) -> str:
    if not detected:
        return (
            f"--gpu {name}: no NVIDIA GPU is visible on this machine (no driver, NVML can't reach it, or a container "
            "started without --gpus all); use --gpu cpu, see what would run with the orchestrator's --plan, or insist "
            "with --force-gpu"
        )
    listed = _kind_of(detected[0], gpus)
    return (
        f"--gpu {name}: this machine has {detected[0].name}; "
        f"use --gpu {listed.name if listed else AUTO}, or insist with --force-gpu"
    )
