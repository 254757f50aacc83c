"""What the orchestrator adds: a command's fixed time, and the time a job beyond its load, warm-up, generation, scoring.

Run from the repository's root after `make demo`: `.venv/bin/python -m benchmarks.orchestrator_overhead lead-3 gguf-q4`.
A command that finds its job done costs the fixed time; the same with --fresh costs that, the job's phases and the rest.
With several --launchers each round measures all of them, so that they share whatever else the machine does.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pipeline.host.launchers.choose import LAUNCHERS

REPOSITORY = Path(__file__).parent.parent
PHASES = ("load_s", "warmup_s", "generate_s", "score_s")


def command(experiment: str, launcher: str, results: Path, *more: str) -> tuple[float, dict[str, Any]]:
    """Wall time in seconds and the job's result."""
    arguments = ["--gpu", "cpu", "--experiment", experiment, "--docs", "2", "--max-new-tokens", "4", "--json"]
    arguments += ["--launcher", launcher]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "orchestrator.py", *arguments, "--results", str(results), *more],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return time.perf_counter() - started, json.loads(done.stdout)["results"][0]


def main() -> int:
    """Print a line for each experiment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", default=["lead-3", "gguf-q4"])
    parser.add_argument("--launchers", nargs="+", default=["process"], choices=LAUNCHERS)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    for experiment in arguments.experiments:
        fixed: dict[str, list[float]] = {launcher: [] for launcher in arguments.launchers}
        beyond: dict[str, list[float]] = {launcher: [] for launcher in arguments.launchers}
        with tempfile.TemporaryDirectory() as folder:
            for number in range(arguments.rounds + 1):
                for launcher in arguments.launchers:
                    results = Path(folder) / launcher
                    if number == 0:  # warms the page cache, and leaves a job that is done
                        command(experiment, launcher, results)
                        continue
                    fixed[launcher].append(command(experiment, launcher, results)[0])
                    wall, result = command(experiment, launcher, results, "--fresh")
                    phases = sum(result["timing"][phase] for phase in PHASES)
                    beyond[launcher].append(wall - fixed[launcher][-1] - phases)
        for launcher in arguments.launchers:
            print(
                f"{experiment:10} {launcher:8} command {statistics.median(fixed[launcher]):.2f} s, "
                f"a job beyond its phases {statistics.median(beyond[launcher]):.2f} s",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
