"""An engine's own speed beside what its jobs measured: its library's own calls, with no pipeline around them.

Run after a run that has the experiments in `offline`, on the same machine, from the repository's root:
`.venv/bin/python -m benchmarks.bare_engine results/RUN vllm none`. Each job's engine is loaded anew, in the job's
environment and with its settings, and given its prompts; nothing watches it: no token callbacks, no telemetry, no
adapter. benchmarks/bare has what is called, one module a backend. ratio: the job's documents a second over the bare
engine's, each over all its repeats. 1.00 means that the pipeline costs nothing.
"""

import argparse
import importlib
import json
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from benchmarks.bare import BareEngine
from benchmarks.environment import environment_of, newest_job
from pipeline import codec
from pipeline.errors import UsageError
from pipeline.files import read_json
from pipeline.results import RESULT_FILE, Result, read_result
from pipeline.spec import Job
from pipeline.worker.requests import WARMUP_NEW_TOKENS, build_requests, prompt_ids_sha256
from pipeline.worker.runner import Roots, load_documents, make_setup, split_by_context
from pipeline.worker.surroundings import enter, read_surroundings

REPOSITORY = Path(__file__).parent.parent


def measure(job: Job, result: Result, roots: Roots, repeats: int) -> dict[str, object]:
    """Seconds of each repeat, the documents and the tokens that came out, in this process. result: the job's own."""
    documents = load_documents(job, roots)
    module = importlib.import_module(_module(job))
    engine: BareEngine = module.create(make_setup(job, roots, documents), result.settings)
    requests = list(build_requests(engine, documents, job.workload, job.model, full=job.synthetic))
    if prompt_ids_sha256(requests) != result.prompt_ids_sha256:
        raise SystemExit(f"{job.experiment}: the bare engine's prompts are not the job's; is its dataset as it was?")
    fitting = list(split_by_context(requests, job)[0])
    new_tokens = min(WARMUP_NEW_TOKENS, job.workload.max_new_tokens)
    short = [replace(request, full_length=True, max_new_tokens=new_tokens) for request in fitting]
    engine.generate(engine.prepare(short))  # a warm-up
    prepared = engine.prepare(fitting)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        outputs = engine.generate(prepared)
        seconds.append(time.perf_counter() - start)
    return {"repeats": seconds, "docs": len(outputs), "output_tokens": sum(len(new_ids) for new_ids in outputs)}


def _module(job: Job) -> str:
    return f"benchmarks.bare.{job.backend}"


def main() -> int:
    """Measure each named experiment of the run in its environment and print a line each; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("experiments", nargs="*", default=["vllm", "vllm-awq"])
    parser.add_argument("--repeats", type=int, default=3)
    for name in ("data", "cache"):
        parser.add_argument(f"--{name}", type=Path, default=REPOSITORY / name)
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)  # how it calls itself inside an environment
    given = parser.parse_args()
    if given.job:
        enter(read_surroundings()[1], network=False)
        job = codec.decode(Job, read_json(given.job), str(given.job))
        result = read_result(given.job.with_name(RESULT_FILE))
        found = measure(job, result, Roots(given.data, given.cache, given.run), given.repeats)
        print("\n" + json.dumps(found), flush=True)
        return 0
    lines = {name: _beside(given, name) for name in given.experiments}
    print(json.dumps(lines))
    return 0


def _beside(given: argparse.Namespace, name: str) -> dict[str, object]:
    """The job's figures and the bare engine's, and their ratio; printed too."""
    path = newest_job(given.run, name)
    job = codec.decode(Job, read_json(path), str(path))
    result = read_result(path.with_name(RESULT_FILE))
    docs_per_s, output_tokens = _comparable(job, result)
    python, environment = environment_of(job, given.cache)
    folders = ["--data", str(given.data), "--cache", str(given.cache), "--repeats", str(given.repeats)]
    command = [str(python), "-m", "benchmarks.bare_engine", str(given.run), *folders, "--job", str(path.resolve())]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    bare = json.loads(done.stdout.splitlines()[-1])
    bare_docs_per_s = bare["docs"] / statistics.mean(bare["repeats"])
    ratio = docs_per_s / bare_docs_per_s
    print(f"{name:14} job {docs_per_s:8.3f} docs/s  bare {bare_docs_per_s:8.3f} docs/s  ratio {ratio:.4f}", flush=True)
    return {
        "job_docs_per_s": docs_per_s,
        "job_repeats_s": result.timing.repeats,
        "job_output_tokens": output_tokens,
        "bare_docs_per_s": bare_docs_per_s,
        "bare_repeats_s": bare["repeats"],
        "bare_output_tokens": bare["output_tokens"],
        "ratio": ratio,
    }


def _comparable(job: Job, result: Result) -> tuple[float, int]:
    """The job's documents a second and new tokens in all; a UsageError where no bare engine can stand beside it."""
    if find_spec(_module(job)) is None:
        raise UsageError(f"{job.experiment}: nothing in benchmarks/bare runs {job.backend} by itself")
    if job.sampling.strategy != "greedy":
        raise UsageError(f"{job.experiment}: draws its tokens, so that its outputs differ in length; run it greedily")
    metrics = result.metrics
    if metrics is None or metrics.docs_per_s is None or metrics.output_tokens_mean is None:
        raise UsageError(f"{job.experiment}: its job has no speed; run it again")
    return metrics.docs_per_s, round(metrics.output_tokens_mean * metrics.docs)


if __name__ == "__main__":
    sys.exit(main())
