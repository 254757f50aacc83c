"""The shards of a report's jobs: each with what it did, where, and how fast."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.report import figures
from pipeline.report.figures import number
from pipeline.report.markup import Column
from pipeline.report.wall_times import ShardRow

if TYPE_CHECKING:  # what reads stored runs takes a second to import, and what shows shards reads none
    from pipeline.report.stored import StoredRun

NOTE = (
    "A shard is every N-th document of a job, done by a worker of its own. Its speed is that of its own documents by "
    "its own clock; the job's is that of all documents over the time from the first shard's first hand-over to the "
    "last one's last completion. Resumed: what an interrupted attempt had done, which leaves no speed."
)


def shard_rows(runs: "Sequence[StoredRun]") -> tuple[ShardRow, ...]:
    """Of all jobs that were split, in the order of the runs."""
    return tuple(
        ShardRow(run.name, job.result.job.experiment, job.result.job.scenario, job.result.job.launch, of, shard)
        for run in runs
        for job in run.jobs
        if (of := len(job.result.shards))
        for shard in job.result.shards
    )


COLUMNS: tuple[Column[ShardRow], ...] = (
    Column("run", lambda one: one.run, text=True),
    Column("experiment", lambda one: one.experiment, text=True),
    Column("scenario", lambda one: one.scenario, text=True),
    Column("launch", lambda one: str(one.launch)),
    Column("shard", lambda one: f"{one.shard.number} of {one.of}", text=True),
    Column("status", lambda one: one.shard.status.replace("_", " "), text=True),
    Column("documents", lambda one: figures.name(one.shard.docs)),
    Column("resumed", lambda one: figures.name(one.shard.resumed)),
    Column("docs/s", lambda one: figures.speed(one.shard.docs_per_s)),
    Column("output tokens/s", lambda one: number(one.shard.output_tokens_per_s, 1)),
    Column("generate, s", lambda one: number(one.shard.generate_s, 1)),
    Column("load, s", lambda one: number(one.shard.load_s, 1)),
    Column("peak memory, GiB", lambda one: figures.gib(one.shard.peak_memory_bytes)),
    Column("GPU", lambda one: figures.name(one.shard.gpu_name), text=True),
    Column("device", lambda one: figures.name(one.shard.device), text=True),
)
