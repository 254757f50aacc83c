"""A limit on this process's memory, so that running out of it is an exception and not the end.

Linux grants a process more memory than there is, and kills one when the pages are really used: no exception, no
result, and nothing that could be made smaller. With a limit on the data segment (RLIMIT_DATA, which since Linux 4.7
counts private writable mappings, so what malloc and torch's allocator take) the allocation itself fails. The kernel
counts what is reserved, not what is resident, and so errs on the early side.
"""

import contextlib
import ctypes
import resource
from types import TracebackType

from pipeline.available import CGROUPS, KIB, PROC, available_bytes, field

MARGIN_BYTES = 512 * 1024**2
"""Of the memory that is available, what is left to others, and to freed memory that malloc keeps and uses again."""


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
        available, in_use = available_bytes(PROC, CGROUPS), field(PROC / "self" / "status", "VmData")
        if available is not None and in_use is not None:
            _limit(_lower(self._before, in_use * KIB + available - min(MARGIN_BYTES, available // 4)))


def _limit(wanted: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_DATA)  # which whoever started this process may have lowered meanwhile
    resource.setrlimit(resource.RLIMIT_DATA, (_lower(wanted, most), most))


def _lower(one: int, other: int) -> int:
    """The lower of two limits; infinity is a number below 0."""
    return min((limit for limit in (one, other) if limit != resource.RLIM_INFINITY), default=resource.RLIM_INFINITY)
