"""What token callbacks and telemetry cost: generate_s with them over generate_s without, in one loaded engine.

Run after `make demo`, from the repository's root: `.venv/bin/python -m benchmarks.observation_cost none vllm gguf-q4`.
Each experiment runs in its own environment, alternating on and off in the order on, off, off, on, so that a drift of
the machine hits both alike. 1.00 means that they cost nothing.
"""

import argparse
import io
import json
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.environment import environment_of, newest_job
from pipeline import codec
from pipeline.files import read_json
from pipeline.spec import Job
from pipeline.worker import requests as prompts
from pipeline.worker import runner
from pipeline.worker.backend import create_backend
from pipeline.worker.generation import generate
from pipeline.worker.surroundings import enter, read_surroundings
from pipeline.worker.telemetry import device_meter

ORDER = (True, False, False, True)
REPOSITORY = Path(__file__).parent.parent


def measure(job: Job, roots: runner.Roots, rounds: int) -> dict[str, float]:
    """Median generate_s with and without observation, in seconds, and their ratio."""
    seconds: dict[bool, list[float]] = {True: [], False: []}
    documents = runner.load_documents(job, roots)
    with device_meter(job.gpu.device) as meter:
        backend = create_backend(job.backend, runner.make_setup(job, roots, documents))
        backend.load()
        requests = list(prompts.build_requests(backend, documents, job.workload, job.model))
        for observed in (*ORDER, *(ORDER * rounds)):
            generated = generate(backend, requests, job, meter if observed else None, io.BytesIO(), quiet)
            seconds[observed].append(generated.generate_s)
        backend.close()
    with_it, without = (statistics.median(seconds[key][len(ORDER) // 2 :]) for key in (True, False))
    return {"on_s": with_it, "off_s": without, "ratio": with_it / without}


def quiet(*_: object) -> None:
    """Nobody watches."""


def main() -> int:
    """Measure each named experiment of the demo run in its environment and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", default=["none", "vllm", "gguf-q4"])
    parser.add_argument("--rounds", type=int, default=3, help="of four measurements each")
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)  # how it calls itself inside an environment
    arguments = parser.parse_args()
    cache, data = REPOSITORY / "cache", REPOSITORY / "data"
    if arguments.job:
        enter(read_surroundings()[1], network=False)
        job = codec.decode(Job, read_json(arguments.job), str(arguments.job))
        print("\n" + json.dumps(measure(job, runner.Roots(data, cache, REPOSITORY / "results"), arguments.rounds)))
        return 0
    for name in arguments.experiments:
        path = newest_job(REPOSITORY / "results" / "demo", name)
        job = codec.decode(Job, read_json(path), str(path))
        python, environment = environment_of(job, cache)
        command = [python, "-m", "benchmarks.observation_cost", "--job", path, "--rounds", str(arguments.rounds)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{name:10} on {found['on_s']:7.3f} s  off {found['off_s']:7.3f} s  ratio {found['ratio']:.4f}", flush=True
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
