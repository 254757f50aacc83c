"""Runs the planned jobs, each on GPUs of its own, side by side where there are several; every one ends in a Result."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from pipeline.errors import BenchmarkError
from pipeline.hardware import Hardware
from pipeline.host.beside import Beside
from pipeline.host.launchers import Launcher, Place
from pipeline.host.limits import NO_LIMITS, Limits
from pipeline.host.measured_rates import MeasuredRates
from pipeline.host.merge import ShardsWall, merge
from pipeline.host.outcome import broken_failure, collect, failure_of, may_pass, without_worker
from pipeline.host.prepare import Prepared
from pipeline.host.read_ahead import ReadAhead
from pipeline.host.seats import Seats
from pipeline.host.shard_progress import ShardProgress
from pipeline.host.sharded import begin_sharded, finished
from pipeline.host.side_by_side import run_side_by_side
from pipeline.host.stopping import Stop
from pipeline.host.wall import Clock
from pipeline.host.watcher import Queued, Watcher
from pipeline.job_folder import begin, cannot_run_here, earlier_result, leave_unstarted, settle
from pipeline.jobs import make_job, shard_jobs, unstarted_job
from pipeline.plan import PlannedJob, Request, Selected, Skipped
from pipeline.progress import ProgressLine, parse_progress
from pipeline.results import LOG_FILE, Failure, Result, write_result
from pipeline.spec import HostFacts, Job

Rerun = Literal["missing", "only-failed", "fresh"]
"""missing: keep what is ok, run the rest. only-failed: run just what failed before. fresh: run everything again."""

Tell = Callable[[ProgressLine], None]

RETRY_PAUSE_S = 5.0


@dataclass(frozen=True)
class Policy:
    """limits: of each job's time. retries: further attempts at a job that broke in a way that may pass by itself.

    launches: how often each experiment is launched, each time a job of its own in a fresh process.
    """

    rerun: Rerun = "missing"
    fail_fast: bool = False
    limits: Limits = NO_LIMITS
    retries: int = 1
    launches: int = 1


@dataclass(frozen=True)
class Execution:
    """Runs planned experiments over the results folder `results`. seats: what its jobs compute on.

    clock: of the command. ahead: what it reads into the page cache. measured: of its jobs so far. stop: ends its jobs.
    """

    launcher: Launcher
    results: Path
    hardware: Hardware
    host: HostFacts
    policy: Policy
    watcher: Watcher
    seats: Seats
    clock: Clock = field(default_factory=Clock)
    ahead: ReadAhead = field(default_factory=lambda: ReadAhead(enabled=False))
    measured: MeasuredRates = field(default_factory=MeasuredRates)
    stop: Stop = field(default_factory=Stop)
    beside: Beside = field(default_factory=Beside)

    def run_all(self, planned: Sequence[PlannedJob], prepared: Prepared) -> list[Result]:
        """Results in the order of the plan, round by round: the first launch of all experiments, then the second, …

        So a drift of the machine hits all alike. Jobs run side by side where there are seats for several. A skipped
        experiment has one result, of the first round. With fail_fast the first failure ends the run; what follows has
        none.
        """
        launches = range(1, self.policy.launches + 1)
        jobs = [
            (item, dataclasses.replace(request, launch=launch))
            for launch in launches
            for item, request in planned
            if launch == 1 or isinstance(item, Selected)
        ]

        def run(number: int) -> Result | None:
            self.watcher.started(number)
            following = partial(self._files_of_next, jobs[number:], prepared)
            outcome = self._run_one(number, *jobs[number - 1], prepared, following)
            if outcome is None:
                return None
            self.watcher.finished(number, *outcome)
            return outcome[0]

        def ends_all(result: Result | None) -> bool:
            return self.policy.fail_fast and result is not None and result.status in ("failed", "timed_out")

        with self.watcher.running([self._queued(item, request) for item, request in jobs]), self.ahead.running():
            tasks = [partial(run, number) for number in range(1, len(jobs) + 1)]
            sharded = any(request.shards > 1 for _, request in jobs)
            at_once = 1 if sharded else self.seats.at_once  # a job's shards have all seats to themselves
            outcomes = run_side_by_side(tasks, at_once, self.stop, ends_all)
        return [result for result in outcomes if result is not None]

    def kept(self, item: Selected, request: Request, prepared: Prepared) -> Result | None:
        """The earlier result that run_all would keep; None where it would run the job."""
        earlier = earlier_result(self.results, self._job(item, request, prepared).folder)
        return earlier if earlier and self._keeps(earlier) else None

    def _queued(self, item: Selected | Skipped, request: Request) -> Queued:
        return Queued(item.title, request.launch, self.policy.launches if isinstance(item, Selected) else 1)

    def _files_of_next(self, jobs: Sequence[PlannedJob], prepared: Prepared) -> Iterable[Path]:
        """What the first of these jobs that will run is going to open."""
        for item, request in jobs:
            if isinstance(item, Selected) and not prepared.obstacle(item):
                job = self._job(item, request, prepared)
                earlier = earlier_result(self.results, job.folder)
                if not (earlier and self._keeps(earlier)):
                    return self.launcher.files(item.image, item.variant, job.weights)
        return ()

    def _run_one(
        self,
        number: int,
        item: Selected | Skipped,
        request: Request,
        prepared: Prepared,
        following: Callable[[], Iterable[Path]] = tuple,
    ) -> tuple[Result, bool] | None:
        """The result and whether it was kept from earlier; None for what the policy leaves out.

        following: the files that the next job will open.
        """
        if isinstance(item, Skipped):
            return self._unstarted(item, request, "skipped", cannot_run_here(item)), False
        obstacle = prepared.obstacle(item)
        if obstacle:
            return self._unstarted(item, request, "failed", broken_failure(obstacle)), False
        try:
            job = self._job(item, request, prepared)
            earlier = earlier_result(self.results, job.folder) or earlier_result(
                self.results, unstarted_job(item, request, self.hardware)[1]
            )
            if earlier and self._keeps(earlier):
                return earlier, True
            if earlier is None and self.policy.rerun == "only-failed":
                return None
            run = self._attempt if job.shards == 1 else self._run_shards
            with self.ahead.job(lambda: self.launcher.files(item.image, item.variant, job.weights), following):
                return run(job, item, request, partial(self.watcher.progress, number)), False
        except BenchmarkError as error:  # the engine does not answer, or the GPU is not given back
            return self._unstarted(item, request, "failed", failure_of("", "start", str(error))), False

    def _job(self, item: Selected, request: Request, prepared: Prepared) -> Job:
        host = dataclasses.replace(
            self.host,
            image_digest=self.launcher.image_digest(item.image, item.variant),
            compile_cache=self.launcher.compile_cache(item.image, item.variant),
        )
        return self.measured.told(make_job(item, request, self.hardware, prepared.weights_of(item), host))

    def _keeps(self, earlier: Result) -> bool:
        return earlier.status == "ok" and self.policy.rerun != "fresh"

    def _run_shards(self, job: Job, item: Selected, request: Request, tell: Tell) -> Result:
        """Run the shards that are not done, as many side by side as there are seats, and make one result of all."""
        started = time.perf_counter()
        shards = shard_jobs(job)
        begin_sharded(self.results, job, item, request, self.hardware, fresh=self.policy.rerun == "fresh")
        results = finished(self.results, job)
        missing = {number: shard for number, shard in enumerate(shards, start=1) if number not in results}
        seen = ShardProgress(job, list(missing.values()), tell)
        tasks = [
            partial(self._attempt_shard, shard, item, request, partial(seen.note, shard)) for shard in missing.values()
        ]
        ran = run_side_by_side(tasks, self.seats.at_once, self.stop)
        results |= {number: result for number, result in zip(missing, ran, strict=True) if result is not None}
        wall = ShardsWall(seen.generate_s if len(missing) == len(shards) else None, time.perf_counter() - started)
        result = merge(self.results, job, [results[number] for number in sorted(results)], wall)
        settle(self.results, job)
        return result

    def _attempt_shard(self, job: Job, item: Selected, request: Request, tell: Tell) -> Result:
        """As _attempt; what keeps this shard from starting is its own failure, and the others go on."""
        try:
            return self._attempt(job, item, request, tell)
        except BenchmarkError as error:
            result = without_worker(job, self.host, failure_of("", "start", str(error)))
            write_result(self.results / job.folder, result)
            return result

    def _attempt(self, job: Job, item: Selected, request: Request, tell: Tell, attempt: int = 1) -> Result:
        """Run the job, and again where its failure may pass by itself; the logs of all attempts are kept.

        tell: of its progress.
        """
        earlier_logs = [_log_of(earlier) for earlier in range(1, attempt)]
        job_file = begin(self.results, job, item, request, self.hardware, keep=earlier_logs)
        with ExitStack() as stack:
            with self.clock.part("gpu_wait"):
                place = stack.enter_context(self.seats.take(job.gpus, self.stop))
            others = stack.enter_context(self.beside.running(job.experiment))
            result = self._start(job, item, job_file, place, tell)
        # a job's own shards are no company of each other, nor are jobs on other nodes
        beside = tuple(sorted(others)) if self.seats.one_host and not job.shard else ()
        environment = dataclasses.replace(result.environment, side_by_side=beside)
        result = dataclasses.replace(result, attempts=attempt, environment=environment)
        write_result(job_file.parent, result)
        if attempt <= self.policy.retries and result.failure and may_pass(result.failure):
            self.watcher.note(f"{item.title}: {result.failure.class_}, which may pass: once more")
            self.stop.sleep(RETRY_PAUSE_S)
            log = job_file.with_name(LOG_FILE)
            if log.exists():
                log.rename(log.with_name(_log_of(attempt)))
            return self._attempt(job, item, request, tell, attempt + 1)
        settle(self.results, job)
        self.measured.note(job, result)
        return result

    def _start(self, job: Job, item: Selected, job_file: Path, place: Place, tell: Tell) -> Result:
        seen: list[ProgressLine] = []

        def on_line(text: str) -> None:
            line = parse_progress(text)
            if line:
                seen.append(line)
                self.ahead.phase(line.phase)
                tell(line)

        started = time.perf_counter()
        with self.clock.part("jobs"):
            ended = self.launcher.run(
                item.image,
                item.variant,
                ["--job", job_file.relative_to(self.results).as_posix()],
                job_file.with_name(LOG_FILE),
                on_line,
                self.policy.limits,
                place=place,
                stop=self.stop,
            )
        wall_s = time.perf_counter() - started if ended.wall_s is None else ended.wall_s
        result = collect(self.results, job, self.host, ended, seen[-1].phase if seen else "start")
        return dataclasses.replace(
            result,
            timing=dataclasses.replace(result.timing, wall_s=wall_s),
            environment=dataclasses.replace(result.environment, read_ahead_bytes=self.ahead.timed_bytes),
        )

    def _unstarted(
        self, item: Selected | Skipped, request: Request, status: Literal["failed", "skipped"], failure: Failure
    ) -> Result:
        return leave_unstarted(self.results, item, request, self.hardware, self.host, status, failure)


def _log_of(attempt: int) -> str:
    """What the log of an attempt that was followed by another is called."""
    return f"log-{attempt}.txt"


def exit_status(results: Sequence[Result], *, asked_by_name: bool) -> int:
    """0: all that could run did. 1: something failed, was asked for by name and skipped, or nothing ran at all."""
    statuses = [result.status for result in results]
    if any(status in ("failed", "timed_out") for status in statuses):
        return 1
    if asked_by_name and "skipped" in statuses:
        return 1
    return 0 if "ok" in statuses else 1
