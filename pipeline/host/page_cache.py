"""The system's page cache: which files are in it, and reading into it what a job will need.

A job opens its weights and its environment's libraries a page at a time as it comes to them, which from a cold disk
takes several times as long as reading the same files from end to end.
"""

import contextlib
import ctypes
import mmap
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

SMALL_BYTES = 1 << 20
"""To read a file as small is as quick as to ask whether it has to be."""
PIECE_BYTES = 8 << 20
LIBRARIES = (".so", ".pyc")
"""What a process maps or reads of its environment as it imports an engine; also as in libtorch.so.2."""

_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_IOPRIO_IDLE = 3 << 13


def files_below(path: Path) -> Iterator[Path]:
    """The file, or all files of the folder, in order."""
    if path.is_file():
        yield path
    for folder, _, names in os.walk(path):
        yield from (Path(folder, name) for name in sorted(names))


def libraries_below(folder: Path) -> Iterator[Path]:
    """An environment's shared libraries and compiled modules, most of what importing an engine reads."""
    for path in files_below(folder):
        if any(suffix in LIBRARIES for suffix in path.suffixes):
            yield path


def missing_bytes(path: Path) -> int:
    """How much of a file is not in the page cache; all of it where the system doesn't tell."""
    size = path.stat().st_size
    if size <= SMALL_BYTES:
        return size
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        pages = -(-size // mmap.PAGESIZE)
        resident = (ctypes.c_ubyte * pages)()
        start = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
        failed = ctypes.CDLL(None).mincore(ctypes.c_void_p(start), ctypes.c_size_t(size), resident)
        absent = pages if failed else pages - bytes(resident).count(1)
    return min(size, absent * mmap.PAGESIZE)


def read_in(path: Path, piece: bytearray, stop: threading.Event) -> Iterator[int]:
    """Read a file from end to end, and yield how many bytes each step read. Ends early once stop is set."""
    with path.open("rb", buffering=0) as stream:
        while not stop.is_set() and (got := stream.readinto(piece)):
            yield got


def yield_to_others() -> None:
    """Have this thread alone wait for whoever else uses a disk or a core, as far as the system can do that."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
    number = _IOPRIO_SET.get(os.uname().machine)
    if number is not None:
        ctypes.CDLL(None).syscall(number, 1, 0, _IOPRIO_IDLE)


def total_bytes(paths: Iterable[Path]) -> int:
    """What the files hold together; those that are gone hold nothing."""
    total = 0
    for path in paths:
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total
