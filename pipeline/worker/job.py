"""Runs one job so that it always ends in a Result: the runner's, or one that says how and where it broke."""

import sys
import traceback
from pathlib import Path

from pipeline import codec
from pipeline.analysis.failures import classify, load_signatures
from pipeline.errors import UsageError
from pipeline.figures import printable
from pipeline.files import read_json
from pipeline.names import require_inside
from pipeline.redact import redact
from pipeline.results import Failure, Result, now_utc, settings_asked, summarize_job, write_result
from pipeline.spec import MOST_REPEATS, Job
from pipeline.worker import environment
from pipeline.worker.generation import Progress
from pipeline.worker.runner import PhaseError, Roots, run


def run_job_file(path: Path, roots: Roots, progress: Progress, start_s: float | None = None) -> Result:
    """Run the job that the file describes, in its folder under the results; a UsageError for a damaged file.

    And for one that names anything outside the job's folders. start_s: see run.
    """
    require_inside(path, roots.results, "--job")
    job = codec.decode(Job, read_json(path), str(path))
    require_own_files(job, roots, str(path))
    if not 1 <= job.repeats <= MOST_REPEATS:
        raise UsageError(f"{path}: repeats: {job.repeats} is not from 1 to {MOST_REPEATS}")
    if job.shard and not 1 <= job.shard.number <= job.shard.of <= job.workload.docs:
        raise UsageError(
            f"{path}: shard: {job.shard.number} of {job.shard.of} is no part of {job.workload.docs} documents"
        )
    if job.shards > 1 and job.shard is None:
        raise UsageError(f"{path}: shards: a job of {job.shards} is made of its shards' results, and runs in none")
    try:
        return run(job, roots, progress, start_s)
    except PhaseError as error:
        trace = "".join(traceback.format_exception(error.__cause__ or error))
        print(redact(printable(trace)), file=sys.stderr, flush=True)
        result = failed_result(job, error)
        write_result(roots.results / job.folder, result)
        return result


def require_own_files(job: Job, roots: Roots, where: str) -> None:
    """Raise UsageError where what the job reads or writes lies outside its folders, through links."""
    require_inside(roots.results / job.folder, roots.results, f"{where}: folder")
    require_inside(roots.data / job.workload.documents, roots.data, f"{where}: workload.documents")
    if job.weights is not None:
        require_inside(roots.cache / job.weights.path, roots.cache, f"{where}: weights.path")


def failed_result(job: Job, error: PhaseError) -> Result:
    """A result that says in which phase the job broke, of which class the failure is and how to mend it."""
    cause = error.__cause__ or error
    found = classify("".join(traceback.format_exception(cause)), load_signatures(), phase=error.phase)
    return Result(
        job=summarize_job(job),
        status="failed",
        failure=Failure(found.class_, error.phase, f"{type(cause).__name__}: {cause}", found.fix),
        settings=settings_asked(job),
        environment=environment.capture(job.gpu.device, job.host, count=job.gpus),
        finished_at=now_utc(),
    )
