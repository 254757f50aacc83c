"""Memory and energy while a job generates: a sampling thread that costs a few system calls twice a second."""

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from pipeline.entries import Device
from pipeline.gpus import detect_gpus, nvml
from pipeline.worker import clocks
from pipeline.worker.periodic import Periodic

PERIOD_S = 0.5
READS_PER_LOOKUP = 4
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

MemoryReader = Callable[[], int | None]
ReasonsReader = Callable[[], Sequence[str] | None]


@dataclass(frozen=True)
class DeviceMeter:
    """used_bytes: memory in use now. energy_j: a counter whose differences are energy; None where there is none.

    throttling: why the driver holds the device's clocks down now, where that is heat or power (clocks.py); None where
    it can't be told.
    """

    used_bytes: MemoryReader
    energy_j: Callable[[], float | None]
    throttling: ReasonsReader = lambda: None


@contextmanager
def device_meter(device: Device, count: int = 1) -> Iterator[DeviceMeter]:
    """On GPUs: what the first so many hold together beyond what they held at the start, and the sum of their energy
    counters.

    On a CPU: the resident memory of this process and its descendants; pages that they share count once for each.
    """
    if device == "cpu":
        yield DeviceMeter(ProcessTree(os.getpid()).rss_bytes, lambda: None)
        return
    with nvml() as library:
        gpus = detect_gpus()[:count]
        if library is None or not gpus:
            yield DeviceMeter(lambda: None, lambda: None)
            return
        handles = [library.nvmlDeviceGetHandleByUUID(gpu.uuid) for gpu in gpus]

        def used_bytes() -> int:
            return sum(library.nvmlDeviceGetMemoryInfo(handle).used for handle in handles)

        before = used_bytes()
        yield DeviceMeter(
            lambda: used_bytes() - before,
            lambda: _energy_j(library, handles),
            lambda: _throttling(library, handles),
        )


def _energy_j(library: Any, handles: Sequence[Any]) -> float | None:
    try:
        millijoules = [library.nvmlDeviceGetTotalEnergyConsumption(handle) for handle in handles]
    except library.NVMLError:
        return None  # GPUs before Volta have no counter
    return float(sum(millijoules)) / 1000


def _throttling(library: Any, handles: Sequence[Any]) -> Sequence[str] | None:
    """The reasons of any of them; None where one can't tell."""
    told = [clocks.throttling(library, handle) for handle in handles]
    if any(reasons is None for reasons in told):
        return None
    return tuple(dict.fromkeys(reason for reasons in told for reason in reasons or ()))


class PeakSampler:
    """A context that records the largest and the last reading from a thread; both are None if there was none.

    readings: how many times `throttling` could tell. throttled: in how many of them it gave each reason.
    """

    def __init__(
        self, read: MemoryReader, throttling: ReasonsReader = lambda: None, period_s: float = PERIOD_S
    ) -> None:
        self.peak_bytes: int | None = None
        self.last_bytes: int | None = None
        self.throttled: Counter[str] = Counter()
        self.readings = 0
        self._read = read
        self._throttling = throttling
        self._periodic = Periodic("telemetry", self._record, period_s)

    def __enter__(self) -> "PeakSampler":
        self._record()
        self._periodic.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._periodic.__exit__(kind, error, trace)
        self._record()

    def _record(self) -> None:
        reasons = self._throttling()
        if reasons is not None:
            self.readings += 1
            self.throttled.update(reasons)
        value = self._read()
        if value is not None:
            self.last_bytes = value
            self.peak_bytes = max(value, self.peak_bytes or 0)


class ProcessTree:
    """A process and its descendants, from /proc."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._members: list[int] = []
        self._reads = 0

    def rss_bytes(self) -> int | None:
        """Resident bytes now; None where there is no /proc (macOS).

        An engine can have a hundred threads, each of which may have children, so the members are looked up anew only
        at every READS_PER_LOOKUP-th reading.
        """
        if not Path("/proc/self/statm").exists():
            return None
        if self._reads % READS_PER_LOOKUP == 0:
            self._members = self._find_members()
        self._reads += 1
        return sum(map(_resident_bytes, self._members))

    def _find_members(self) -> list[int]:
        found = [self._root]
        for pid in found:  # grows while it is walked
            with contextlib.suppress(OSError):  # it ended between two reads
                for task in Path(f"/proc/{pid}/task").iterdir():
                    found.extend(map(int, (task / "children").read_bytes().split()))
        return found


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * PAGE_BYTES
    except OSError:
        return 0  # it ended since
