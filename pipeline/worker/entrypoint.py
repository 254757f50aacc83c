"""The worker's command line: run a job file, or prepare a model's weights."""

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from pipeline import codec
from pipeline.analysis.failures import classify, load_signatures
from pipeline.catalog import load_catalog
from pipeline.errors import BenchmarkError
from pipeline.files import read_json
from pipeline.progress import ProgressLine, format_progress
from pipeline.results import Failure, Phase, Result, now_utc, summarize_job, write_result
from pipeline.spec import Job
from pipeline.worker import environment
from pipeline.worker.prepare import prepare
from pipeline.worker.runner import PhaseError, Roots, run


def main(argv: Sequence[str]) -> int:
    """Exit status: 0 done, 1 the job failed (its result says why), 2 bad usage."""
    arguments = _parser().parse_args(argv)
    # A launcher ends a job with SIGTERM: raise, so that adapters close their engines on the way out.
    signal.signal(signal.SIGTERM, _terminate)
    roots = Roots(arguments.data, arguments.cache, arguments.results)
    try:
        if arguments.prepare:
            prepare(load_catalog(), arguments.prepare, arguments.weights, roots.cache, roots.data)
            return 0
        return run_job_file(arguments.job, roots)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run_job_file(path: Path, roots: Roots) -> int:
    """Run the job in that file and leave its result, also when it fails."""
    job = codec.decode(Job, read_json(path), str(path))
    try:
        run(job, roots, _print_progress)
    except PhaseError as error:
        traceback.print_exception(error.__cause__, file=sys.stderr)
        write_result(roots.results / job.folder, failed_result(job, error))
        return 1
    return 0


def failed_result(job: Job, error: PhaseError) -> Result:
    """A result that says in which phase the job broke, of which class the failure is and how to mend it."""
    cause = error.__cause__ or error
    found = classify("".join(traceback.format_exception(cause)), load_signatures(), phase=error.phase)
    return Result(
        job=summarize_job(job),
        status="failed",
        failure=Failure(found.class_, error.phase, f"{type(cause).__name__}: {cause}", found.fix),
        environment=environment.capture(job.gpu.device, job.host),
        finished_at=now_utc(),
    )


def _print_progress(phase: Phase, done: int, total: int) -> None:
    print(format_progress(ProgressLine(phase, done, total)), flush=True)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--job", type=Path, metavar="FILE", help="run the job that this file describes")
    what.add_argument("--prepare", metavar="MODEL", help="fetch or make a model's weights in the cache (network)")
    parser.add_argument("--weights", metavar="FORMAT", default="hf", help="with --prepare: hf, awq or gguf")
    for name in ("data", "cache", "results"):
        default = Path(os.environ.get(f"BENCHMARK_{name.upper()}", f"/{name}"))
        parser.add_argument(f"--{name}", type=Path, default=default, metavar="DIR", help=f"default: {default}")
    return parser
