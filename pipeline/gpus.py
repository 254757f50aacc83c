"""The NVIDIA GPUs of this machine, asked of the driver through NVML. No driver or no NVML binding means no GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


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
    """All GPUs in the driver's order; empty where there are none."""
    with nvml() as library:
        if library is None:
            return []
        driver = _text(library.nvmlSystemGetDriverVersion())
        cuda = library.nvmlSystemGetCudaDriverVersion_v2()
        return [
            _describe(library, index, driver, f"{cuda // 1000}.{cuda % 1000 // 10}")
            for index in range(library.nvmlDeviceGetCount())
        ]


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
