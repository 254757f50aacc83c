"""What the device can do at best, measured in the job's own environment once its engine is closed.

The second yardstick beside the vendor's figures, and the only one for a CPU. It is no engine's work: a copy of memory,
and a matrix product by torch where the environment has that. numpy's product is no substitute: its library's threads
wait for each other, and with a core taken for a moment it showed a fortieth of what the machine can do.
"""

import contextlib
import ctypes
import importlib.util
import itertools
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy

from pipeline.analysis.memory import DTYPE_BITS
from pipeline.available import available_bytes
from pipeline.entries import Device, Rates

MIB = 1024**2
BANDWIDTH_S = 0.1
PRODUCT_S = 0.06
"""For so long a copy, and a product of each size, is repeated: the fastest counts, since others use the machine too."""
GPU_BUFFER_BYTES = 512 * MIB
COPIES_A_WAIT = 8
"""Waiting for the GPU takes as long as copying some tens of megabytes."""
CACHES_BUFFER = 4
"""A CPU's buffers are in all that many times as large as its largest cache, within these limits."""
SMALLEST_BUFFER_BYTES = 128 * MIB
LARGEST_BUFFER_BYTES = 1024 * MIB
SLICE_BYTES = 32 * MIB
"""A core's buffer is copied so much at a time: short enough to be seen uninterrupted where others use the core too."""
START_S = 30.0
"""For so long one core waits for the others to make their buffers."""
SMALLEST_PRODUCT = 512
LARGEST_PRODUCT: dict[Device, int] = {"cpu": 1024, "cuda": 8192}
"""Products double in size between these, as long as one fits into its time. A CPU's are each core's own."""
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def measure(
    device: Device, dtype: str, arithmetic_bits: int, cores: Sequence[int], bandwidth: float | None = None
) -> Rates | None:
    """Bandwidth of the device's memory and arithmetic in the dtype, and in 8 bits where the job multiplies in them.

    cores: those that this process could use before its engine bound its threads. bandwidth: bytes a second, where it
    was measured before, which takes the most of it. None where the bandwidth can't be
    measured; None for a rate of arithmetic that can't be. Nothing is raised: a rate is no reason for a job to fail. It
    takes about a second and at most 2 GiB.
    """
    flops_per_s = flops8_per_s = None
    with contextlib.suppress(Exception):  # out of memory, a driver in a bad state, a damaged library: in many kinds
        if bandwidth is None:
            bandwidth = _copied_on_gpu() if device == "cuda" else _moved_by_cpu(cores)
        flops_per_s = _flops_per_s(device, dtype, cores)
        flops8_per_s = _flops8_per_s(device, cores) if arithmetic_bits == 8 else None
    return None if bandwidth is None else Rates("measured", bandwidth, flops_per_s, flops8_per_s)


def _copied_on_gpu() -> float | None:
    """Bytes a second that a copy within the GPU's memory reads and writes."""
    if not has_torch():
        return None
    import torch

    source = torch.ones(GPU_BUFFER_BYTES, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)

    def copy() -> None:
        for _ in range(COPIES_A_WAIT):
            target.copy_(source)

    return COPIES_A_WAIT * 2 * GPU_BUFFER_BYTES / _fastest(lambda: _and_wait(torch, copy), BANDWIDTH_S)


def _moved_by_cpu(cores: Sequence[int]) -> float | None:
    """Bytes a second that the cores copy (read and written), or read, whichever is more; summed as in _best_of_cores.

    A copy can pay for its target's cache lines a third time, and then says less of what reading weights can take.
    """
    size = min(max(CACHES_BUFFER * _caches_bytes(len(cores)), SMALLEST_BUFFER_BYTES), LARGEST_BUFFER_BYTES)
    available = available_bytes()
    if available is not None and 2 * size > available:
        return None
    values = size // len(cores) // numpy.float32().nbytes // 2 * 2
    together = threading.Barrier(len(cores))

    def on_core(core: int) -> tuple[float, float]:
        _bind(core)
        # made here, so in the memory next to this core; one for both, since making it takes longer than the rest
        buffer: Any = numpy.ones(values, numpy.float32)
        source, target = numpy.split(buffer, 2)
        together.wait(START_S)
        return 2 * _fastest_slice(source, target, _copy), _fastest_slice(buffer, buffer, _read)

    with ThreadPoolExecutor(len(cores)) as threads:
        copied, read = zip(*threads.map(on_core, cores), strict=True)
    return max(math.fsum(copied), math.fsum(read))


def _fastest_slice(source: Any, target: Any, action: Callable[[Any, Any], object]) -> float:
    """Bytes a second of the fastest slice, going through all of the buffers so that each is out of the caches."""
    fastest, begun, values = 0.0, time.perf_counter(), SLICE_BYTES // source.itemsize
    for first in itertools.cycle(range(0, max(1, source.size - values + 1), values)):
        part, start = source[first : first + values], time.perf_counter()
        action(part, target[first : first + values])
        end = time.perf_counter()
        fastest = max(fastest, part.nbytes / (end - start))
        if end - begun > BANDWIDTH_S:
            break
    return fastest


def _copy(source: Any, target: Any) -> None:
    ctypes.memmove(target.ctypes.data, source.ctypes.data, source.nbytes)


def _read(source: Any, _target: Any) -> None:
    source.max()


def _fastest(action: Callable[[], object], for_s: float) -> float:
    """Seconds of the fastest run in that time, of two at least, after one that warms up."""
    action()
    begun = time.perf_counter()
    fastest, runs = math.inf, 0
    while runs < 2 or time.perf_counter() - begun < for_s:
        start = time.perf_counter()
        action()
        fastest = min(fastest, time.perf_counter() - start)
        runs += 1
    return fastest


def _bind(core: int) -> None:
    """Put this thread on that core: a new one starts where the engine bound the thread that made it."""
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {core})


def _caches_bytes(cores: int) -> int:
    """Of so many cores' largest caches, taking all for like the first; 0 where the system doesn't tell."""
    sizes = [0]
    for index in CACHES.glob("index*"):
        with contextlib.suppress(OSError, ValueError):
            sharing = int((index / "shared_cpu_map").read_text().replace(",", ""), 16).bit_count()
            size = int((index / "size").read_text().strip().removesuffix("K")) * 1024
            sizes.append(size * math.ceil(cores / sharing))
    return max(sizes)


def _flops_per_s(device: Device, dtype: str, cores: Sequence[int]) -> float | None:
    """In the dtype; on a CPU, where that may have no instructions of its own, in float32 if that is faster."""
    if not has_torch():
        return None
    import torch

    dtypes = {dtype, "float32"} if device == "cpu" else {dtype}
    products = [_torch_product(torch, device, getattr(torch, name)) for name in dtypes if name in DTYPE_BITS]
    return _best(products, device) if device == "cuda" else _best_of_cores(torch, products, cores)


def _flops8_per_s(device: Device, cores: Sequence[int]) -> float | None:
    if not has_torch():
        return None
    import torch

    if device == "cpu":
        return _best_of_cores(torch, [_int8_product(torch, device)], cores)
    return _best([_int8_product(torch, device), _float8_product(torch, device)], device)


Product = Callable[[int], Callable[[], object]]
"""For a size n: what multiplies two n x n matrices once, and waits for it."""


def _best_of_cores(torch: Any, products: list[Product], cores: Sequence[int]) -> float | None:
    """The sum over the cores, each with products of its own at the same time.

    Where something else takes one of the cores for a moment, threads that share a product wait for each other, and the
    rate collapses; those that don't just go on.
    """

    def best_on(core: int) -> float | None:
        _bind(core)
        return _best(products, "cpu")

    before = torch.get_num_threads()
    set_threads = torch._C.set_num_threads  # an engine may have put a function that does nothing in front of it
    set_threads(1)
    try:
        with ThreadPoolExecutor(len(cores)) as threads:
            rates = list(threads.map(best_on, cores))
    finally:
        set_threads(before)
    known = [rate for rate in rates if rate is not None]
    return math.fsum(known) if len(known) == len(cores) else None


def _best(products: list[Product], device: Device) -> float | None:
    """Operations a second of the fastest of them, at the size that suits it best; None where none works."""
    rates: list[float] = []
    for product in products:
        with contextlib.suppress(Exception):  # not on this device, or out of memory at that size
            for rate in _rates_of(product, LARGEST_PRODUCT[device]):
                rates.append(rate)
    return max(rates, default=None)


def _rates_of(product: Product, largest: int) -> Iterator[float]:
    size = SMALLEST_PRODUCT
    while size <= largest:
        seconds = _fastest(product(size), PRODUCT_S)
        yield 2 * size**3 / seconds
        size *= 2
        if 2**3 * seconds > PRODUCT_S:
            return


def _torch_product(torch: Any, device: Device, dtype: Any) -> Product:
    def product(size: int) -> Callable[[], object]:
        factor = torch.rand((size, size), device=device).to(dtype)
        return lambda: _and_wait(torch, lambda: torch.mm(factor, factor))

    return product


def _int8_product(torch: Any, device: Device) -> Product:
    def product(size: int) -> Callable[[], object]:
        factor = torch.randint(-128, 128, (size, size), dtype=torch.int8, device=device)
        return lambda: _and_wait(torch, lambda: torch._int_mm(factor, factor.t()))

    return product


def _float8_product(torch: Any, device: Device) -> Product:
    def product(size: int) -> Callable[[], object]:
        factor = torch.rand((size, size), device=device).to(torch.float8_e4m3fn)
        scales = {"scale_a": torch.ones((), device=device), "scale_b": torch.ones((), device=device)}
        options = {**scales, "out_dtype": torch.bfloat16, "use_fast_accum": True}
        return lambda: _and_wait(torch, lambda: torch._scaled_mm(factor, factor.t(), **options))

    return product


def _and_wait(torch: Any, action: Callable[[], Any]) -> None:
    action()
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def has_torch() -> bool:
    """What a GPU's rates, and products on any device, are measured with."""
    return importlib.util.find_spec("torch") is not None
