"""The folders of a sharded job: its own, and those of its shards below it, of which finished ones are kept."""

from pathlib import Path

from pipeline import codec
from pipeline.files import write_json
from pipeline.hardware import Hardware
from pipeline.job_folder import JOB_FILE, begin, earlier_result, forget_unstarted, restore_interrupted
from pipeline.jobs import shard_jobs
from pipeline.plan import Request, Selected
from pipeline.results import Result
from pipeline.spec import Job


def begin_sharded(
    results: Path, job: Job, item: Selected, request: Request, hardware: Hardware, *, fresh: bool = False
) -> None:
    """Make the job's folder with job.json in it, and keep what its shards did, or with `fresh` nothing.

    An earlier result of the job stays until merge replaces it, or is set aside with all of its shards as begin does.
    Each shard's own folder is then begun as any job's.
    """
    if fresh:
        begin(results, job, item, request, hardware)
        return
    folder = results / job.folder
    forget_unstarted(results, item, request, hardware)
    write_json(folder / JOB_FILE, codec.encode(job))
    restore_interrupted(folder)


def finished(results: Path, job: Job) -> dict[int, Result]:
    """What earlier commands left of the job's shards that are ok, by the shard's number."""
    found = {}
    for number, part in enumerate(shard_jobs(job), start=1):
        earlier = earlier_result(results, part.folder)
        if earlier and earlier.status == "ok" and earlier.job.key == part.key:
            found[number] = earlier
    return found
