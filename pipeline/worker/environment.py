"""Where a job ran: hardware, driver, Python and every installed package, captured without being asked."""

import platform

from pipeline.current import installed_packages
from pipeline.entries import Device
from pipeline.gpus import detect_gpus
from pipeline.machine import cpu_name, memory_bytes, usable_cpus
from pipeline.results import Environment
from pipeline.spec import HostFacts


def capture(device: Device, host: HostFacts, throttled: tuple[str, ...] | None = None) -> Environment:
    """The environment of this process. The GPU's fields are filled for a job that uses one.

    throttled: what the driver held its clocks down for in the timed section; None where that can't be told.
    """
    gpus = detect_gpus() if device == "cuda" else []
    first = gpus[0] if gpus else None
    return Environment(
        gpu_name=first.name if first else None,
        gpu_count=len(gpus),
        compute_capability=first.compute_capability if first else None,
        driver_version=first.driver_version if first else None,
        cuda_version=first.cuda_version if first else None,
        cpu=cpu_name(),
        cpu_count=usable_cpus(),
        memory_bytes=first.memory_bytes if first else memory_bytes(),
        python=platform.python_version(),
        packages=dict(installed_packages()),
        image_digest=host.image_digest,
        compile_cache=host.compile_cache,
        git_commit=host.git_commit,
        git_dirty=host.git_dirty,
        host_os=host.os,
        throttled=throttled,
        gpu_uuid=first.uuid if first else None,
    )
