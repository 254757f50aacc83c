"""The NVIDIA GPUs of this machine, asked of the driver through NVML. No driver or no NVML binding means no GPU."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class DetectedGpu:
    """A GPU as the driver reports it. uuid: the driver's own name for this very card. memory_bytes: total."""

    index: int
    uuid: str
    name: str
    memory_bytes: int
    compute_capability: float
    driver_version: str
    cuda_version: str


ComputeMode = Literal["shared", "exclusive", "prohibited"]
"""Whether a GPU computes for any number of processes, for one, or for none."""


@dataclass(frozen=True)
class GpuProcess:
    """A process that holds memory of a GPU. name, memory_bytes: None where the driver or the system doesn't tell."""

    pid: int
    name: str | None = None
    memory_bytes: int | None = None


@contextmanager
def nvml() -> Iterator[Any]:
    """The initialised pynvml module, or None where there is no binding, no driver or no permission."""
    library = _initialised()
    try:
        yield library
    finally:
        if library is not None:
            library.nvmlShutdown()


def _initialised() -> Any:
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # ImportError without the binding, NVMLError in many kinds without a driver: all mean no GPU
        return None
    return pynvml


def detect_gpus() -> list[DetectedGpu]:
    """The GPUs that a process of this environment can use, in its order; empty where there are none."""
    with nvml() as library:
        if library is None:
            return []
        driver = _text(library.nvmlSystemGetDriverVersion())
        cuda = library.nvmlSystemGetCudaDriverVersion_v2()
        found = [
            _describe(library, index, driver, f"{cuda // 1000}.{cuda % 1000 // 10}")
            for index in range(library.nvmlDeviceGetCount())
        ]
    return visible(found, os.environ.get(VISIBLE))


def visible(gpus: Sequence[DetectedGpu], named: str | None) -> list[DetectedGpu]:
    """Those that CUDA_VISIBLE_DEVICES leaves, which CUDA heeds and NVML doesn't; None: the variable is not set.

    It names indices, or UUIDs from their beginning on; what follows a name of no GPU is not seen either.
    """
    if named is None:
        return list(gpus)
    seen: list[DetectedGpu] = []
    for name in named.replace(" ", "").split(","):
        meant = [gpu for gpu in gpus if str(gpu.index) == name or (name[:4] == "GPU-" and gpu.uuid.startswith(name))]
        if len(meant) != 1:
            break
        seen += meant
    return seen


def indices_of(uuids: Sequence[str]) -> str:
    """These GPUs as CUDA_VISIBLE_DEVICES names them where CUDA_DEVICE_ORDER is PCI_BUS_ID, the driver's own order.

    Not every engine reads UUIDs there. A GPU that the driver doesn't know any more stands as it is given.
    """
    known = {gpu.uuid: str(gpu.index) for gpu in detect_gpus()}
    return ",".join(known.get(uuid, uuid) for uuid in uuids)


def used_memory_bytes(uuid: str) -> int | None:
    """Memory in use on that GPU now, by whomever; None where it can't be told."""
    with nvml() as library:
        if library is None:
            return None
        try:
            used: int = library.nvmlDeviceGetMemoryInfo(library.nvmlDeviceGetHandleByUUID(uuid)).used
        except library.NVMLError:
            return None
        return used


def processes_on(uuid: str) -> list[GpuProcess]:
    """The processes that hold memory of that GPU; empty where they can't be told (in a container, say)."""
    with nvml() as library:
        if library is None:
            return []
        try:
            handle = library.nvmlDeviceGetHandleByUUID(uuid)
            running = library.nvmlDeviceGetComputeRunningProcesses(handle)
        except library.NVMLError:
            return []
        return [GpuProcess(item.pid, _program(item.pid), item.usedGpuMemory) for item in running]


def compute_mode(uuid: str) -> ComputeMode | None:
    """Who may use that GPU; None where it can't be told."""
    with nvml() as library:
        if library is None:
            return None
        try:
            mode = library.nvmlDeviceGetComputeMode(library.nvmlDeviceGetHandleByUUID(uuid))
        except library.NVMLError:
            return None
    # NVML counts: 0 default, 1 one thread (obsolete), 2 prohibited, 3 one process
    modes: dict[int, ComputeMode] = {0: "shared", 1: "exclusive", 2: "prohibited", 3: "exclusive"}
    return modes.get(mode)


def _program(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _describe(library: Any, index: int, driver: str, cuda: str) -> DetectedGpu:
    handle = library.nvmlDeviceGetHandleByIndex(index)
    major, minor = library.nvmlDeviceGetCudaComputeCapability(handle)
    return DetectedGpu(
        index=index,
        uuid=_text(library.nvmlDeviceGetUUID(handle)),
        name=_text(library.nvmlDeviceGetName(handle)),
        memory_bytes=library.nvmlDeviceGetMemoryInfo(handle).total,
        compute_capability=float(f"{major}.{minor}"),
        driver_version=driver,
        cuda_version=cuda,
    )


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value  # older bindings return bytes
