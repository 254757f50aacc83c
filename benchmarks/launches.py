"""Docs/s of many launches of one experiment: the real spread that the statistics of speed are tested on.

Run from the repository's root on a quiet machine, after `make demo`:
`.venv/bin/python -m benchmarks.launches gguf-q4 --launches 64`. Each launch is a small job of its own (2 bundled
articles, 8 new tokens, some 6 s), and is added to tests/comparison/samples/launches.json as it ends.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipeline.files import write_json
from pipeline.results import now_utc

REPOSITORY = Path(__file__).parent.parent
SAMPLES = REPOSITORY / "tests" / "comparison" / "samples"
WORKLOAD = ("--dataset", "sample", "--docs", "2", "--max-new-tokens", "8")


def launch(experiment: str, number: int, results: Path) -> dict[str, Any]:
    """The result of one job, in a run of its own."""
    command = ["--gpu", "cpu", "--launcher", "process", "--model", "gemma-3-270m", "--experiment", experiment]
    output = ["--json", "--results", str(results), "--run", f"launch-{number:03}"]
    done = subprocess.run(
        [sys.executable, "orchestrator.py", *command, *WORKLOAD, *output],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)["results"][0]
    return result


def main() -> int:
    """Print each launch's docs/s and record them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", nargs="?", default="gguf-q4")
    parser.add_argument("--launches", type=int, default=64)
    parser.add_argument("--to", type=Path, default=SAMPLES / "launches.json")
    arguments = parser.parse_args()
    docs_per_s: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1, arguments.launches + 1):
            result = launch(arguments.experiment, number, Path(folder))
            docs_per_s.append(result["metrics"]["docs_per_s"])
            print(f"{number:3} {docs_per_s[-1]:.4f} docs/s", flush=True)
            record = {
                "experiment": arguments.experiment,
                "model": result["job"]["model"],
                "workload": " ".join(WORKLOAD),
                "cpu": result["environment"]["cpu"],
                "recorded_at": now_utc(),
                "docs_per_s": docs_per_s,
            }
            write_json(arguments.to, record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
