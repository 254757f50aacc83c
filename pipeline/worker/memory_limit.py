"""A limit on this process's memory, so that running out of it is an exception and not the end.

Linux grants a process more memory than there is, and kills one when the pages are really used: no exception, no
result, and nothing that could be made smaller. With a limit on the data segment (RLIMIT_DATA, which since Linux 4.7
counts private writable mappings, so what malloc and torch's allocator take) the allocation itself fails. The kernel
counts what is reserved, not what is resident, and so errs on the early side.
"""

import contextlib
import ctypes
import resource
from pathlib import Path
from types import TracebackType

MARGIN_BYTES = 512 * 1024**2
"""Of the memory that is available, what is left to others, and to freed memory that malloc keeps and uses again."""
KIB = 1024
PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")


class DataLimit:
    """A context in which this process may grow by what is available, less a margin; a lower limit from outside stays.

    It limits nothing where the system doesn't tell how much that is (no /proc).
    """

    def __enter__(self) -> "DataLimit":
        self._before, _ = resource.getrlimit(resource.RLIMIT_DATA)
        self.renew()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _limit(self._before)

    def renew(self) -> None:
        """Set it by what is available now. To be called when much was freed.

        malloc gives large blocks back at once, smaller ones seldom, and their addresses go on counting while their
        pages are free: a limit of before would leave no room for mappings beside them.
        """
        with contextlib.suppress(AttributeError):  # another C library than glibc
            ctypes.CDLL(None).malloc_trim(0)
        available, in_use = available_bytes(PROC, CGROUPS), _field(PROC / "self" / "status", "VmData")
        if available is not None and in_use is not None:
            _limit(_lower(self._before, in_use * KIB + available - min(MARGIN_BYTES, available // 4)))


def _limit(wanted: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_DATA)  # which whoever started this process may have lowered meanwhile
    resource.setrlimit(resource.RLIMIT_DATA, (_lower(wanted, most), most))


def _lower(one: int, other: int) -> int:
    """The lower of two limits; infinity is a number below 0."""
    return min((limit for limit in (one, other) if limit != resource.RLIM_INFINITY), default=resource.RLIM_INFINITY)


def available_bytes(proc: Path, cgroups: Path) -> int | None:
    """What can be allocated before the machine, or a control group around this process, is full."""
    machine = _field(proc / "meminfo", "MemAvailable")
    rooms = [] if machine is None else [machine * KIB]
    for line in _lines(proc / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        own = [cgroups / path.lstrip("/")]
        if controllers:  # version 1: a tree of its own for each controller
            own = [cgroups / "memory" / path.lstrip("/")] if "memory" in controllers.split(",") else []
        for folder in own:
            # in a container the path is the host's, while what is mounted begins at the container's own group
            rooms += [room for group in (folder, *folder.parents) if (room := _room(group)) is not None]
    return min(rooms, default=None)


def _room(group: Path) -> int | None:
    """What a control group may still take, files in its page cache not counted; None where it has no limit."""
    for most_file, used_file, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        most, used = _lines(group / most_file), _lines(group / used_file)
        if most and used and most[0].isdigit():
            return max(0, int(most[0]) - int(used[0]) + (_field(group / "memory.stat", cached) or 0))
    return None


def _field(path: Path, name: str) -> int | None:
    """The number behind a name in a file of names and numbers."""
    for line in _lines(path):
        words = line.split()
        if words and words[0].rstrip(":") == name:
            return int(words[1])
    return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
