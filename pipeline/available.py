"""How much memory can still be taken here: of the machine, or within the control groups around this process."""

from pathlib import Path

KIB = 1024
PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")


def available_bytes(proc: Path = PROC, cgroups: Path = CGROUPS) -> int | None:
    """What can be allocated before the machine, or a control group around this process, is full."""
    machine = field(proc / "meminfo", "MemAvailable")
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
            return max(0, int(most[0]) - int(used[0]) + (field(group / "memory.stat", cached) or 0))
    return None


def field(path: Path, name: str) -> int | None:
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
