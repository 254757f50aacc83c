"""Who started a job: the command's process, so that a later command can tell whether it still lives."""

import os
import socket
from pathlib import Path


def this_process() -> str:
    """host:pid:start, where start (in clock ticks since boot) tells this process from a later one with its number."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def is_gone(owner: str) -> bool:
    """Whether that process ended. One of another host (a container with this socket, say) can't be told: not gone."""
    host, _, process = owner.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not process.isdigit():
        return False
    return owner.rpartition(":")[2] != _started(int(process))


def _started(pid: int) -> str | None:
    try:
        # the name in the second field may hold spaces; the start time is the 20th after it
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except OSError:
        return None
