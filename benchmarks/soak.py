"""Whether many jobs in one command leave anything behind: memory, handles, containers, processes, files.

Run from the repository's root, where a Docker engine answers: `.venv/bin/python -m benchmarks.soak --jobs 200`.
One command runs the quickest job (lead-3 over a few documents, in its container) under as many names. What the
command's process holds is read after each job; what the machine holds, before the first and after the last.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orchestrator
from pipeline.catalog import load_catalog
from pipeline.files import write_json
from pipeline.host.arguments import parse
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.launchers.docker import OWNER_LABEL
from pipeline.host.leftovers import OWNER_VARIABLE

REPOSITORY = Path(__file__).parent.parent
SETTLED = 20
"""Jobs after which a command has everything in memory that it needs for one."""


@dataclass(frozen=True)
class Held:
    """What the command's process holds after a job."""

    rss_bytes: int
    open_files: int
    threads: int


def command(jobs: int, results: Path) -> int:
    """orchestrator.py with that many jobs; its exit status."""
    catalog = load_catalog()
    lead = catalog.experiments["lead-3"]
    names = [f"lead-3-{number:03}" for number in range(1, jobs + 1)]
    catalog = dataclasses.replace(catalog, experiments={name: dataclasses.replace(lead, name=name) for name in names})
    asked = [word for name in names for word in ("--experiment", name)]
    given = [
        "--gpu",
        "cpu",
        "--launcher",
        "docker",
        "--docs",
        "2",
        "--json",
        "--run",
        "soak",
        "--results",
        str(results),
    ]
    return orchestrator.run(parse([*given, *asked], catalog, LAUNCHERS), catalog)


def soak(jobs: int, settled: int = SETTLED) -> dict[str, Any]:
    """Figures of one command with that many jobs. settled: the job after which growth counts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _started(1, folder) as first:  # builds the image, if it isn't there
            first.communicate()
        before = _docker_use()
        held: list[Held] = []
        started = time.perf_counter()
        with _started(jobs, folder) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if ": ok" in line or ": failed" in line:
                    held.append(_held(process.pid))
            seconds = time.perf_counter() - started
            code = process.wait()
        results = [
            json.loads(path.read_text(encoding="utf-8")) for path in folder.glob(f"results-{jobs}/soak/*/result.json")
        ]
        statuses = [result["status"] for result in results if result["job"]["experiment"].startswith("lead-3-")]
        at, last = held[settled - 1], held[-1]
        return {
            "jobs": jobs,
            "exit_status": code,
            "ok": statuses.count("ok"),
            "seconds_per_job": seconds / jobs,
            "settled_after_jobs": settled,
            "after_settling": dataclasses.asdict(at),
            "at_the_end": dataclasses.asdict(last),
            "rss_growth_bytes_per_job": _slope([one.rss_bytes for one in held[settled - 1 :]]),
            "most_open_files": max(one.open_files for one in held),
            "most_threads": max(one.threads for one in held),
            "left": {
                "containers": _containers_of(process.pid),
                "processes": _processes_of(process.pid),
                "temporary_files": sorted(path.name for path in (folder / f"tmp-{jobs}").iterdir()),
            },
            "docker_before": before,
            "docker_after": _docker_use(),
        }


@contextlib.contextmanager
def _started(jobs: int, folder: Path) -> Iterator[subprocess.Popen[str]]:
    temporary = folder / f"tmp-{jobs}"
    temporary.mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.soak", "--jobs", str(jobs), "--into", str(folder / f"results-{jobs}")],
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


def _held(pid: int) -> Held:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    handles = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Held(int(fields["VmRSS"].split()[0]) * 1024, handles, int(fields["Threads"]))


def _slope(values: list[int]) -> float:
    """By how much they grow from one to the next, as a straight line through them has it."""
    return statistics.linear_regression(range(len(values)), values).slope


def _containers_of(pid: int) -> list[str]:
    """Names of the containers that a command left."""
    listed = [
        "ps",
        "--all",
        "--filter",
        f"label={OWNER_LABEL}",
        "--format",
        '{{.Names}}\t{{.Label "' + OWNER_LABEL + '"}}',
    ]
    return [line for line in _docker(*listed) if f":{pid}:" in line]


def _processes_of(pid: int) -> list[int]:
    """Process ids of what carries the command's mark."""
    mark, found = f"{OWNER_VARIABLE}=".encode(), []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            variables = (path / "environ").read_bytes().split(b"\0")
            if any(item.startswith(mark) and f":{pid}:".encode() in item for item in variables):
                found.append(int(path.name))
    return found


def _docker_use() -> dict[str, Any]:
    """What the engine holds for everybody: networks and volumes by number, the rest as `docker system df` has it."""
    rows = [line.split("\t") for line in _docker("system", "df", "--format", "{{.Type}}\t{{.TotalCount}}\t{{.Size}}")]
    return {
        "networks": len(_docker("network", "ls", "--quiet")),
        "volumes": len(_docker("volume", "ls", "--quiet")),
        "disk": {kind: {"count": int(count), "size": size} for kind, count, size in rows},
    }


def _docker(*words: str) -> list[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout.splitlines()


def main() -> int:
    """Print the figures, and write them to --output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--output", type=Path, metavar="FILE")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)  # the command itself, as a process of its own
    arguments = parser.parse_args()
    if arguments.into:
        return command(arguments.jobs, arguments.into)
    figures = soak(arguments.jobs)
    print(json.dumps(figures, indent=2))
    if arguments.output:
        write_json(arguments.output, figures)
    return figures["exit_status"]


if __name__ == "__main__":
    sys.exit(main())
