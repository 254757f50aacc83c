"""Memory that runs out as an exception: limits of this machine, of control groups, and a process that meets one."""

import subprocess
import sys
from pathlib import Path

from pipeline.available import available_bytes

MIB = 1024**2


def proc(folder: Path, available_mib: int, cgroup: str = "") -> Path:
    (folder / "self").mkdir(parents=True)
    (folder / "meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable: {available_mib * 1024} kB\n")
    (folder / "self" / "cgroup").write_text(cgroup)
    return folder


def group(folder: Path, most: str, used_mib: int, cached_mib: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.current").write_text(f"{used_mib * MIB}\n")
    (folder / "memory.stat").write_text(f"anon 7\ninactive_file {cached_mib * MIB}\n")


def test_without_control_groups_the_machine_decides(tmp_path: Path) -> None:
    assert available_bytes(proc(tmp_path / "proc", 300), tmp_path / "none") == 300 * MIB


def test_a_group_with_less_room_decides_and_its_page_cache_counts_as_room(tmp_path: Path) -> None:
    group(tmp_path / "groups" / "job", str(200 * MIB), used_mib=150, cached_mib=30)
    assert available_bytes(proc(tmp_path / "proc", 300, "0::/job\n"), tmp_path / "groups") == 80 * MIB


def test_groups_around_it_count_too(tmp_path: Path) -> None:
    group(tmp_path / "groups" / "slice", str(100 * MIB), used_mib=90)
    group(tmp_path / "groups" / "slice" / "job", "max", used_mib=5)
    assert available_bytes(proc(tmp_path / "proc", 300, "0::/slice/job\n"), tmp_path / "groups") == 10 * MIB


def test_in_a_container_its_own_group_is_the_root_of_what_it_sees(tmp_path: Path) -> None:
    group(tmp_path / "groups", str(64 * MIB), used_mib=4)
    assert available_bytes(proc(tmp_path / "proc", 300, "0::/docker/abc\n"), tmp_path / "groups") == 60 * MIB


def test_version_1_of_control_groups_is_read_under_its_controller(tmp_path: Path) -> None:
    folder = tmp_path / "groups" / "memory" / "job"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text(f"{100 * MIB}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{60 * MIB}\n")
    (folder / "memory.stat").write_text(f"total_inactive_file {20 * MIB}\n")
    lines = "5:cpu,cpuacct:/job\n4:memory:/job\n"
    assert available_bytes(proc(tmp_path / "proc", 300, lines), tmp_path / "groups") == 60 * MIB


def test_where_nothing_is_told_nothing_is_known(tmp_path: Path) -> None:
    assert available_bytes(tmp_path / "proc", tmp_path / "groups") is None


def inside(code: str) -> str:
    """What code prints in a process of its own, whose machine has 400 MiB available: 300 and a margin of a quarter."""
    prelude = (
        "import resource\n"
        "from pipeline.worker import memory_limit\n"
        "from pipeline.worker.memory_limit import DataLimit\n"
        "memory_limit.available_bytes = lambda proc, cgroups: 400 << 20\n"
        "def fits(mib):\n"
        "    try:\n        return bool(bytearray(mib << 20))\n    except MemoryError:\n        return False\n"
    )
    done = subprocess.run([sys.executable, "-c", prelude + code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_what_exceeds_the_memory_is_an_exception_and_not_the_end() -> None:
    assert inside("with DataLimit():\n    print(fits(250), fits(350))") == "True False"


def test_behind_the_block_the_limit_is_gone() -> None:
    code = "with DataLimit():\n    pass\nprint(fits(350), resource.getrlimit(resource.RLIMIT_DATA) == (-1, -1))"
    assert inside(code) == "True True"


def test_a_lower_limit_from_outside_stays_also_one_that_comes_later() -> None:
    code = (
        "with DataLimit() as limit:\n"
        "    resource.setrlimit(resource.RLIMIT_DATA, (150 << 20, 150 << 20))\n"
        "    limit.renew()\n"
        "    print(fits(100), fits(250))\n"
        "print(resource.getrlimit(resource.RLIMIT_DATA)[0] == 150 << 20)"
    )
    assert inside(code).split() == ["True", "False", "True"]
