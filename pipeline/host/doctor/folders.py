"""Folders that have to be written to, and the limits of this system that jobs run into."""

import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.spec import Check

SHARED_MEMORY = Path("/dev/shm")
ENOUGH_SHARED_BYTES = 10**9
"""Containers are given 64 MB unless told otherwise, which engines with several processes run into."""

ENOUGH_FILES = 1024


@dataclass(frozen=True)
class Limits:
    """Of this process and system. shared_memory_bytes: None, can't be told. open_files: None, unlimited."""

    shared_memory_bytes: int | None = None
    open_files: int | None = None


def read_limits() -> Limits:
    """Ask the system."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        figures = os.statvfs(SHARED_MEMORY)
        shared_bytes = figures.f_blocks * figures.f_frsize
    except OSError:
        shared_bytes = None
    return Limits(shared_bytes, None if files == resource.RLIM_INFINITY else files)


def is_writable(folder: Path) -> bool:
    """Whether files can be made in it, or it can be made itself; nothing is written."""
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def folder_checks(writable: Mapping[str, bool], to_fill: bool) -> list[Check]:
    """writable: of the folders results and cache. to_fill: something has yet to be put into the cache."""
    checks = []
    for name, good in writable.items():
        if good:
            checks.append(Check("folders", name, "pass", "can be written to"))
            continue
        needed = name == "results" or to_fill
        message = f"user {os.getuid()} can't write to it" + ("" if needed else ", and nothing is missing in it")
        mend = f"mend its rights, or choose another with --{name}"
        checks.append(Check("folders", name, "fail" if needed else "warn", message, mend))
    return checks


def limit_checks(limits: Limits, *, processes: bool) -> list[Check]:
    """processes: jobs run as processes; Docker gives containers limits of their own."""
    if not processes:
        return []
    return [_shared_memory(limits.shared_memory_bytes), _open_files(limits.open_files)]


def _shared_memory(size_bytes: int | None) -> Check:
    subject = str(SHARED_MEMORY)
    if size_bytes is None:
        return Check("limits", subject, "unknown", "its size can't be told")
    message = f"{size_bytes / 1e9:.1f} GB of shared memory"
    if size_bytes < ENOUGH_SHARED_BYTES:
        mend = "make it larger (in a container, --shm-size 8g)"
        return Check("limits", subject, "warn", f"{message}: engines with several processes may fail", mend)
    return Check("limits", subject, "pass", message)


def _open_files(most: int | None) -> Check:
    if most is not None and most < ENOUGH_FILES:
        message = f"a process may open {most} files; engines need {ENOUGH_FILES}"
        return Check("limits", "open files", "warn", message, f"ulimit -n {ENOUGH_FILES}")
    return Check("limits", "open files", "pass", "unlimited" if most is None else f"{most} a process")
