"""Runs the planned jobs one after another, so that each has the machine to itself; every one ends in a Result."""

import dataclasses
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.analysis.failures import classify, load_signatures, read_tail
from pipeline.hardware import Hardware
from pipeline.host.launchers import Exit, Launcher
from pipeline.host.prepare import Broken, Prepared
from pipeline.host.watcher import Watcher
from pipeline.job_folder import begin, cannot_run_here, earlier_result, leave_unstarted
from pipeline.plan import Request, Selected, Skipped, make_job, unstarted_job
from pipeline.progress import ProgressLine, parse_progress
from pipeline.results import (
    LOG_FILE,
    Environment,
    Failure,
    Phase,
    Result,
    now_utc,
    summarize_job,
    write_result,
)
from pipeline.spec import HostFacts, Job

Rerun = Literal["missing", "only-failed", "fresh"]
"""missing: keep what is ok, run the rest. only-failed: run just what failed before. fresh: run everything again."""


@dataclass(frozen=True)
class Policy:
    """timeout_s: the longest that one job may take; None for no limit."""

    rerun: Rerun = "missing"
    fail_fast: bool = False
    timeout_s: float | None = None


@dataclass(frozen=True)
class Execution:
    """Runs planned experiments over the results folder `results`."""

    launcher: Launcher
    results: Path
    hardware: Hardware
    host: HostFacts
    policy: Policy
    watcher: Watcher

    def run_all(self, planned: Sequence[Selected | Skipped], request: Request, prepared: Prepared) -> list[Result]:
        """Results in the order of the plan. With fail_fast the first failure ends the run; what follows has none."""
        outcomes = []
        for number, item in enumerate(planned, start=1):
            self.watcher.started(item.experiment.name, number, len(planned))
            outcome = self._run_one(item, request, prepared)
            if outcome is None:
                continue
            result, kept = outcome
            self.watcher.finished(result, kept)
            outcomes.append(result)
            if self.policy.fail_fast and result.status in ("failed", "timed_out"):
                break
        return outcomes

    def _run_one(self, item: Selected | Skipped, request: Request, prepared: Prepared) -> tuple[Result, bool] | None:
        """The result and whether it was kept from earlier; None for what the policy leaves out."""
        if isinstance(item, Skipped):
            return self._unstarted(item, request, "skipped", cannot_run_here(item)), False
        obstacle = prepared.obstacle(item)
        if obstacle:
            return self._unstarted(item, request, "failed", broken_failure(obstacle)), False
        host = dataclasses.replace(
            self.host,
            image_digest=self.launcher.image_digest(item.image, item.variant),
            compile_cache=self.launcher.compile_cache(item.image, item.variant),
        )
        job = make_job(item, request, self.hardware, prepared.weights_of(item), host)
        earlier = earlier_result(self.results, job.folder) or earlier_result(
            self.results, unstarted_job(item, request, self.hardware)[1]
        )
        if earlier and self._keeps(earlier):
            return earlier, True
        if earlier is None and self.policy.rerun == "only-failed":
            return None
        return self._start(job, item, request), False

    def _keeps(self, earlier: Result) -> bool:
        return earlier.status == "ok" and self.policy.rerun != "fresh"

    def _start(self, job: Job, item: Selected, request: Request) -> Result:
        job_file = begin(self.results, job, item, request, self.hardware)
        folder = job_file.parent
        seen: list[ProgressLine] = []

        def on_line(text: str) -> None:
            line = parse_progress(text)
            if line:
                seen.append(line)
                self.watcher.progress(line)

        exit_ = self.launcher.run(
            item.image,
            item.variant,
            ["--job", job_file.relative_to(self.results).as_posix()],
            folder / LOG_FILE,
            on_line,
            self.policy.timeout_s,
        )
        result = self._collect(job, exit_, seen[-1].phase if seen else "start")
        write_result(folder, result)
        return result

    def _collect(self, job: Job, exit_: Exit, last_phase: Phase) -> Result:
        """The worker's own result, or one made from its log when it died without leaving any."""
        log = self.results / job.folder / LOG_FILE
        result = earlier_result(self.results, job.folder)
        if result is None:
            failure = (
                Failure("timed_out", last_phase, "ended after the time limit", "raise --job-timeout")
                if exit_.timed_out
                else _failure_from_log(log, last_phase, describe_exit(exit_), exit_.code)
            )
            result = Result(
                job=summarize_job(job),
                status="timed_out" if exit_.timed_out else "failed",
                failure=failure,
                environment=Environment(host_os=self.host.os, git_commit=self.host.git_commit),
                finished_at=now_utc(),
            )
        elif result.failure and result.failure.class_ == "unknown":
            # the worker saw only its own exception; an engine's subprocess may have said more in the log
            message = result.failure.message
            result = dataclasses.replace(result, failure=_failure_from_log(log, result.failure.phase, message))
        return result

    def _unstarted(
        self, item: Selected | Skipped, request: Request, status: Literal["failed", "skipped"], failure: Failure
    ) -> Result:
        return leave_unstarted(self.results, item, request, self.hardware, self.host, status, failure)


def describe_exit(exit_: Exit) -> str:
    """How a worker that left no result ended, in words."""
    if exit_.message:
        return exit_.message
    if exit_.code < 0:
        return f"killed by {signal.Signals(-exit_.code).name}"
    return f"ended with status {exit_.code} and left no result"


def broken_failure(broken: Broken) -> Failure:
    """The failure of an experiment whose environment or weights could not be made."""
    return _failure_from_log(broken.log, "prepare", broken.message)


def _failure_from_log(log: Path, phase: Phase, message: str, exit_status: int | None = None) -> Failure:
    text = read_tail(log) if log.exists() else ""
    found = classify(f"{text}\n{message}", load_signatures(), phase=phase, exit_status=exit_status)
    return Failure(found.class_, phase, message, found.fix)


def exit_status(results: Sequence[Result], *, asked_by_name: bool) -> int:
    """0: all that could run did. 1: something failed, was asked for by name and skipped, or nothing ran at all."""
    statuses = [result.status for result in results]
    if any(status in ("failed", "timed_out") for status in statuses):
        return 1
    if asked_by_name and "skipped" in statuses:
        return 1
    return 0 if "ok" in statuses else 1
