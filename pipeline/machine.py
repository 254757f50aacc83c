"""What this machine is: its processor, memory and operating system."""

import os
import platform
import re
import time
from pathlib import Path


def cpu_name() -> str:
    """The processor's own name, e.g. "AMD EPYC 7B13"; the architecture where the system doesn't tell."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def slug(device: str) -> str:
    """A device's own name as a part of a folder's: "NVIDIA H200" is "nvidia-h200"."""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-") or "unknown"


def has_native_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16, without which it is slower than float32."""
    return bool({"avx512_bf16", "amx_bf16"} & set(_cpuinfo("flags").split()))


def _cpuinfo(field: str) -> str:
    """A field of the first processor, empty where the system doesn't tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.split(":")[0].strip() == field), "")


def usable_cores() -> tuple[int, ...]:
    """Those that this thread, and so each that it starts, may run on now: in a container not all that there are."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def usable_cpus() -> int:
    """How many they are."""
    return len(usable_cores())


def process_age_s() -> float | None:
    """How long ago this process began, in seconds, to a hundredth; None where the system doesn't tell."""
    try:
        started = int(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def memory_bytes() -> int | None:
    """The machine's memory."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def os_name() -> str:
    """The operating system and its kernel, e.g. "Linux-6.1.0-x86_64"."""
    return platform.platform(terse=True) + "-" + platform.machine()
