"""A job's folder before its worker fills it: what was there, job.json, or the result of one that never started."""

import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pipeline import codec
from pipeline.errors import UsageError
from pipeline.files import write_json
from pipeline.hardware import Hardware
from pipeline.jobs import unstarted_job
from pipeline.plan import Request, Selected, Skipped
from pipeline.results import (
    DOCUMENTS_FILE,
    RESULT_FILE,
    Environment,
    Failure,
    Result,
    now_utc,
    read_result,
    write_result,
)
from pipeline.spec import HostFacts, Job

JOB_FILE = "job.json"
ASIDE = ".earlier"
"""The folder of a run in which results wait until their replacements are there."""


def begin(
    results: Path, job: Job, item: Selected, request: Request, hardware: Hardware, keep: Collection[str] = ()
) -> Path:
    """Make the job's folder anew, with job.json in it, and return that file's path.

    What an earlier attempt left goes, also where it never came to start, but for files named in `keep`, and for the
    documents of a job that is to resume. A result is only set aside until there is another: see restore_interrupted.
    """
    folder = results / job.folder
    forget_unstarted(results, item, request, hardware)
    kept = {*keep, *([DOCUMENTS_FILE] if job.resume_documents else [])}
    aside = _aside(folder)
    if (folder / RESULT_FILE).exists() and not aside.exists():
        aside.parent.mkdir(exist_ok=True)
        folder.rename(aside)
        folder.mkdir()
        for name in kept:
            if (aside / name).is_file():
                shutil.copy2(aside / name, folder / name)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        for path in list(folder.iterdir()):
            if path.name not in kept:
                _remove(path)
    write_json(folder / JOB_FILE, codec.encode(job))
    return folder / JOB_FILE


def forget_unstarted(results: Path, item: Selected, request: Request, hardware: Hardware) -> None:
    """Remove what a job left that never came to start."""
    _, unstarted = unstarted_job(item, request, hardware)
    _remove(results / unstarted)


def settle(results: Path, job: Job) -> None:
    """The job has a new result: what was set aside for it goes."""
    _remove(_aside(results / job.folder))


def restore_interrupted(run: Path) -> None:
    """Put back the results that attempts to replace them, which were interrupted, had set aside in the run's folder."""
    for aside in sorted((run / ASIDE).glob("*")):
        folder = run / aside.name
        if (folder / RESULT_FILE).exists():
            _remove(aside)
        else:
            _remove(folder)
            aside.rename(folder)


def _aside(folder: Path) -> Path:
    return folder.parent / ASIDE / folder.name


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


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
        job=replace(summary, command=host.command),
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
    return Failure("cannot_run_here", "plan", skipped.reason, skipped.mend)


def earlier_result(results: Path, folder: str) -> Result | None:
    """What an earlier command left in a job's folder; a damaged file counts as nothing, and the job is run again."""
    path = results / folder / RESULT_FILE
    if path.is_symlink():  # left by a job, to have another file read
        return None
    try:
        return read_result(path)
    except UsageError:
        return None
