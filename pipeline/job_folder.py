"""A job's folder before its worker fills it: what was there, job.json, or the result of one that never started."""

import shutil
from pathlib import Path
from typing import Literal

from pipeline import codec
from pipeline.errors import UsageError
from pipeline.files import write_json
from pipeline.hardware import Hardware
from pipeline.plan import Request, Selected, Skipped, unstarted_job
from pipeline.results import RESULT_FILE, Environment, Failure, Result, now_utc, read_result, write_result
from pipeline.spec import HostFacts, Job

JOB_FILE = "job.json"


def begin(results: Path, job: Job, item: Selected, request: Request, hardware: Hardware) -> Path:
    """Make the job's folder anew, with job.json in it, and return that file's path.

    What an earlier attempt left goes, also where it never came to start.
    """
    folder = results / job.folder
    _, unstarted = unstarted_job(item, request, hardware)
    for outdated in (folder, results / unstarted):
        if outdated.exists():
            shutil.rmtree(outdated)
    folder.mkdir(parents=True)
    write_json(folder / JOB_FILE, codec.encode(job))
    return folder / JOB_FILE


def leave_unstarted(
    results: Path,
    item: Selected | Skipped,
    request: Request,
    hardware: Hardware,
    host: HostFacts,
    status: Literal["failed", "skipped"],
    failure: Failure,
) -> Result:
    """Write the result of a job that never started, and return it."""
    summary, folder = unstarted_job(item, request, hardware)
    result = Result(
        job=summary,
        status=status,
        failure=failure,
        environment=Environment(host_os=host.os, git_commit=host.git_commit),
        finished_at=now_utc(),
    )
    (results / folder).mkdir(parents=True, exist_ok=True)
    write_result(results / folder, result)
    return result


def cannot_run_here(skipped: Skipped) -> Failure:
    """Why an experiment was skipped, as its result says it."""
    return Failure("cannot_run_here", "plan", skipped.reason)


def earlier_result(results: Path, folder: str) -> Result | None:
    """What an earlier command left in a job's folder; a damaged file counts as nothing, and the job is run again."""
    try:
        return read_result(results / folder / RESULT_FILE)
    except UsageError:
        return None
