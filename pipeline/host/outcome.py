"""What a job's end comes to: its worker's own result, or one made from how it ended and what its log says."""

import dataclasses
import signal
from pathlib import Path

from pipeline.analysis.failures import classify, load_signatures, read_tail
from pipeline.host.launchers import Exit
from pipeline.host.prepare import Broken
from pipeline.job_folder import earlier_result
from pipeline.results import (
    LOG_FILE,
    Environment,
    Failure,
    Phase,
    Result,
    Status,
    now_utc,
    settings_asked,
    summarize_job,
)
from pipeline.spec import HostFacts, Job

TIMED_OUT = "timed_out"


def collect(results: Path, job: Job, host: HostFacts, ended: Exit, last_phase: Phase) -> Result:
    """The result of a job that was started. last_phase: the one that it announced last."""
    log = results / job.folder / LOG_FILE
    result = earlier_result(results, job.folder)
    if result is None:
        failure = _timed_out(ended, last_phase) if ended.timed_out else _died(ended, log, last_phase)
        result = without_worker(job, host, failure, "timed_out" if ended.timed_out else "failed")
    elif result.failure and result.failure.class_ == "unknown":
        # the worker saw only its own exception; an engine's subprocess may have said more in the log
        found = failure_of(_text(log), result.failure.phase, result.failure.message)
        result = dataclasses.replace(result, failure=found)
    told = (*ended.warnings, *([ended.log_fault] if ended.log_fault else []))
    environment = dataclasses.replace(result.environment, node=ended.node)
    return dataclasses.replace(result, environment=environment, warnings=(*result.warnings, *told))


def without_worker(job: Job, host: HostFacts, failure: Failure, status: Status = "failed") -> Result:
    """The result of a job whose worker left none, or that never had one."""
    return Result(
        job=summarize_job(job),
        status=status,
        failure=failure,
        settings=settings_asked(job),
        environment=Environment(host_os=host.os, git_commit=host.git_commit),
        finished_at=now_utc(),
    )


def describe_exit(ended: Exit) -> str:
    """How a worker that left no result ended, in words."""
    if ended.message:
        return ended.message
    if ended.code < 0:
        return f"killed by {signal.Signals(-ended.code).name}"
    return f"ended with status {ended.code} and left no result"


def failure_of(log: str, phase: Phase, message: str, exit_status: int | None = None) -> Failure:
    """The failure that a log and a message, which comes last in it, show."""
    found = classify(f"{log}\n{message}", load_signatures(), phase=phase, exit_status=exit_status)
    return Failure(found.class_, phase, message, found.fix)


def broken_failure(broken: Broken) -> Failure:
    """The failure of an experiment whose environment or weights could not be made."""
    return failure_of(_text(broken.log), "prepare", broken.message)


def may_pass(failure: Failure) -> bool:
    """Whether the failure is of a class that is worth another attempt."""
    return any(entry.retry for entry in load_signatures() if entry.class_ == failure.class_)


def _timed_out(ended: Exit, phase: Phase) -> Failure:
    message = ended.message or "ended over a time limit"
    return Failure(TIMED_OUT, phase, message, "the log shows how far it came; a slower machine may need a larger limit")


def _died(ended: Exit, log: Path, phase: Phase) -> Failure:
    message = describe_exit(ended)
    text = "\n".join(filter(None, [_text(log), ended.log_fault]))
    return failure_of(text, phase, message, ended.code)


def _text(log: Path) -> str:
    """The log's end; nothing for a link, which a job may have left there to have another file read."""
    return read_tail(log) if log.is_file() and not log.is_symlink() else ""
