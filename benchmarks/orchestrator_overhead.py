"""What the orchestrator adds: the wall time of a run beyond its jobs' loading and generating, a job and as a share.

Run from the repository's root after `make demo`: `.venv/bin/python -m benchmarks.orchestrator_overhead`. Each round is
one command over all the experiments, once with each launcher, timed from outside. What is left of its wall time without
its jobs' load, compilation, search, warm-up and timed section is the orchestrator's, its report, the start and end of
processes, measuring the hardware's rates and recording the environment; scoring is counted beside it. A first round
warms the page cache and is not counted. --record writes benchmarks/results/orchestrator_overhead.json.
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

from pipeline.files import write_json
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.runs import RunFolder
from pipeline.machine import usable_cpus
from pipeline.results import now_utc

REPOSITORY = Path(__file__).parent.parent
RECORD = Path(__file__).parent / "results" / "orchestrator_overhead.json"
EXPERIMENTS = ("none", "4-bit", "vllm", "gguf-q4", "lead-3")
BEFORE = ("load_s", "compile_s", "search_s", "warmup_s")
AROUND = ("start_s", "encode_s", "close_s", "rates_s", "save_s")


def command(arguments: list[str], launcher: str, results: Path) -> tuple[float, list[dict[str, Any]]]:
    """Wall time in seconds, from outside, and the results."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "orchestrator.py", *arguments, "--launcher", launcher, "--results", str(results), "--json"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return time.perf_counter() - started, json.loads(done.stdout)["results"]


def figures(wall_s: float, results: list[dict[str, Any]], run: Path) -> dict[str, Any]:
    """What the run's wall time was made of; of_it: of what is no engine's work."""
    timings = [result["timing"] for result in results]
    engines_s = sum(sum(timing[part] or 0 for part in BEFORE) + sum(timing["repeats"]) for timing in timings)
    score_s = sum(timing["score_s"] for timing in timings)
    beyond_s = wall_s - engines_s - score_s
    wall = RunFolder(run.parent, run.name).noted()[0].walls[-1]
    assert wall is not None and wall.jobs_s is not None
    around = {part: sum(timing[part] or 0 for timing in timings) for part in AROUND}
    return {
        "wall_s": wall_s,
        "engines_s": engines_s,
        "score_s": score_s,
        "beyond_s": beyond_s,
        "beyond_a_job_s": beyond_s / len(timings),
        "beyond_share": beyond_s / wall_s,
        "of_it": {
            **around,
            "ending_processes_s": wall.jobs_s - engines_s - score_s - sum(around.values()),
            "report_s": wall.report_s,
            "orchestrator_s": wall_s - wall.jobs_s - (wall.report_s or 0),
        },
    }


def median(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each figure."""
    return {
        name: median([one[name] for one in rounds])
        if isinstance(rounds[0][name], dict)
        else round(statistics.median(one[name] for one in rounds), 3)
        for name in rounds[0]
    }


def main() -> int:
    """Print a line for each launcher."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", default=EXPERIMENTS)
    parser.add_argument("--launchers", nargs="+", default=["process"], choices=LAUNCHERS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--docs", type=int, default=20)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--formats", default="md,html,csv")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.relative_to(REPOSITORY)}")
    given = parser.parse_args()
    arguments = ["--gpu", "cpu", "--docs", str(given.docs), "--max-new-tokens", str(given.max_new_tokens), "--fresh"]
    arguments += ["--formats", given.formats, "--run", "overhead"]
    arguments += [word for name in given.experiments for word in ("--experiment", name)]
    found: dict[str, list[dict[str, Any]]] = {launcher: [] for launcher in given.launchers}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.rounds + 1):
            for launcher in given.launchers:
                wall_s, results = command(arguments, launcher, Path(folder) / launcher)
                if number:
                    found[launcher].append(figures(wall_s, results, Path(folder) / launcher / "overhead"))
                    print(launcher, json.dumps(found[launcher][-1]), flush=True)
    medians = {launcher: median(rounds) for launcher, rounds in found.items()}
    print(json.dumps(medians, indent=2))
    if given.record:
        about = {"measured_at": now_utc(), "cpus": usable_cpus(), "experiments": list(given.experiments)}
        about |= {"docs": given.docs, "max_new_tokens": given.max_new_tokens, "rounds": given.rounds}
        write_json(RECORD, {**about, "by_launcher": medians})
    return 0


if __name__ == "__main__":
    sys.exit(main())
