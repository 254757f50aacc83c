"""Where a run's wall time went: shard by shard, job by job, and command by command, in seconds."""

from dataclasses import dataclass

from pipeline.results import ShardSummary


@dataclass(frozen=True)
class ShardRow:
    """One shard of one job. run: its run's name. of: how many there are."""

    run: str
    experiment: str
    scenario: str
    launch: int
    of: int
    shard: ShardSummary


@dataclass(frozen=True)
class JobTime:
    """One job that was started. run: its run's name. generate: all repeats of the timed section together.

    between: encoding prompts, closing the engine, measuring the hardware's rates, saving. total: from handing it to its
    launcher until nothing of it was left. rest: what that has beyond all parts. Both are None for a job that was run
    before they were recorded, or by its image alone.
    """

    run: str
    experiment: str
    scenario: str
    launch: int
    start: float | None
    load: float | None
    compile: float | None
    search: float | None
    warmup: float | None
    generate: float | None
    repeats: int
    score: float | None
    between: float | None
    rest: float | None
    total: float | None


@dataclass(frozen=True)
class CommandTime:
    """One command; see pipeline.host.wall.Wall. number: as in run.json, from 1. jobs_run: whose results are reported.

    own: of the orchestrator itself. beyond: that, the report, and what its jobs took beyond loading (compiling,
    searching and warming up with it) and generating; None where the report doesn't hold all of its jobs.
    """

    run: str
    number: int
    jobs_run: int
    prepare: float | None
    gpu_wait: float | None
    jobs: float | None
    report: float | None
    own: float
    total: float
    beyond: float | None
