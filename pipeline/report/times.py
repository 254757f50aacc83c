"""The wall times of a report: worked out from stored runs, and how they are shown."""

from collections.abc import Sequence

from pipeline.host.wall import Wall
from pipeline.report.figures import UNKNOWN, number
from pipeline.report.markup import Column
from pipeline.report.stored import StoredJob, StoredRun
from pipeline.report.wall_times import CommandTime, JobTime
from pipeline.results import Result

JOBS_NOTE = (
    "Start: from the process's start until its engine could begin to load. Generate: all repeats. Between: encoding "
    "the prompts, closing the engine, measuring the hardware's rates and saving. Rest: starting and ending the process "
    "or its container."
)
COMMANDS_NOTE = (
    "Orchestrator: what a command took beyond its parts. Beyond: that, the report, and all of its jobs' time but "
    "loading (compiling, searching and warming up with it) and generating; not known once a later command has replaced "
    "one of its results. A report can't tell of its own command's report."
)
ROUNDING_S = 0.5
"""By less than so much the jobs' times may differ from what the command saw of them."""


def job_times(runs: Sequence[StoredRun]) -> tuple[JobTime, ...]:
    """Of all jobs that were started, in the order of the runs."""
    return tuple(_job(run.name, job) for run in runs for job in run.jobs if _was_timed(job.result))


def command_times(runs: Sequence[StoredRun]) -> tuple[CommandTime, ...]:
    """Of all commands that said how long they took."""
    numbered = ((run, number, wall) for run in runs for number, wall in enumerate(run.walls, start=1))
    return tuple(_command(run, number, wall) for run, number, wall in numbered if wall is not None)


def _was_timed(result: Result) -> bool:
    return result.timing.wall_s is not None or result.timing.load_s is not None


def _job(run: str, job: StoredJob) -> JobTime:
    timing, summary = job.result.timing, job.result.job
    between = _sum(timing.encode_s, timing.close_s, timing.rates_s, timing.save_s)
    rest = None
    if timing.wall_s is not None and timing.start_s is not None and not job.result.shards:  # theirs overlap
        rest = timing.wall_s - (_engine_s(job.result) + timing.start_s + (timing.score_s or 0) + (between or 0))
    return JobTime(
        run=run,
        experiment=summary.experiment,
        scenario=summary.scenario,
        launch=summary.launch,
        start=timing.start_s,
        load=timing.load_s,
        compile=timing.compile_s,
        search=timing.search_s,
        warmup=timing.warmup_s,
        generate=_sum(*timing.repeats, *timing.segments),
        repeats=len(timing.repeats),
        score=timing.score_s,
        between=between,
        rest=rest,
        total=timing.wall_s,
    )


def _engine_s(result: Result) -> float:
    """What a job's engine took: loading with compiling, searching and warming up, and generating."""
    timing = result.timing
    before = (timing.load_s, timing.compile_s, timing.search_s, timing.warmup_s)
    return _sum(*before, *timing.repeats, *timing.segments) or 0.0


def _command(run: StoredRun, number: int, wall: Wall) -> CommandTime:
    results = [job.result for job in run.jobs if job.result.job.command == number and _was_timed(job.result)]
    walls = [result.timing.wall_s for result in results]
    beyond = [wall_s - _engine_s(one) for wall_s, one in zip(walls, results, strict=True) if wall_s is not None]
    known = abs(sum(filter(None, walls)) - (wall.jobs_s or 0.0)) < ROUNDING_S and len(beyond) == len(results)
    return CommandTime(
        run=run.name,
        number=number,
        jobs_run=len(results),
        prepare=wall.prepare_s,
        gpu_wait=wall.gpu_wait_s,
        jobs=wall.jobs_s,
        report=wall.report_s,
        own=wall.own_s,
        total=wall.total_s,
        beyond=wall.own_s + (wall.report_s or 0.0) + sum(beyond) if known else None,
    )


def _sum(*parts: float | None) -> float | None:
    """Of those that are known; None where none is."""
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


JOBS: tuple[Column[JobTime], ...] = (
    Column("run", lambda one: one.run, text=True),
    Column("experiment", lambda one: one.experiment, text=True),
    Column("scenario", lambda one: one.scenario, text=True),
    Column("launch", lambda one: str(one.launch)),
    Column("start, s", lambda one: number(one.start, 1)),
    Column("load, s", lambda one: number(one.load, 1)),
    Column("compile, s", lambda one: number(one.compile, 1)),
    Column("search, s", lambda one: number(one.search, 1)),
    Column("warm-up, s", lambda one: number(one.warmup, 1)),
    Column("generate, s", lambda one: number(one.generate, 1)),
    Column("repeats", lambda one: str(one.repeats) if one.repeats else UNKNOWN),
    Column("score, s", lambda one: number(one.score, 1)),
    Column("between, s", lambda one: number(one.between, 1)),
    Column("rest, s", lambda one: number(one.rest, 1)),
    Column("total, s", lambda one: number(one.total, 1)),
)

COMMANDS: tuple[Column[CommandTime], ...] = (
    Column("run", lambda one: one.run, text=True),
    Column("command", lambda one: str(one.number)),
    Column("jobs run", lambda one: str(one.jobs_run)),
    Column("preparation, s", lambda one: number(one.prepare, 1)),
    Column("waiting for the GPU, s", lambda one: number(one.gpu_wait, 1)),
    Column("jobs, s", lambda one: number(one.jobs, 1)),
    Column("report, s", lambda one: number(one.report, 1)),
    Column("orchestrator, s", lambda one: number(one.own, 1)),
    Column("total, s", lambda one: number(one.total, 1)),
    Column("beyond, s", lambda one: number(one.beyond, 1)),
)
