"""Shards' results become one: all their documents in the workload's order, and the figures over them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.analysis import metrics
from pipeline.analysis.quality import Means
from pipeline.analysis.samples import Samples
from pipeline.files import open_atomically, sum_of_sha256
from pipeline.host.shard_documents import in_workload_order
from pipeline.jobs import shard_jobs
from pipeline.measures import Metrics, Quality, Timing
from pipeline.results import (
    DOCUMENTS_FILE,
    Environment,
    Result,
    ShardSummary,
    now_utc,
    settings_asked,
    summarize_job,
    write_result,
)
from pipeline.spec import Job

SETTINGS = ("dtype", "quantization", "attention", "batch_size_used")
ENVIRONMENT = ("gpu_name", "driver_version", "cuda_version", "cpu", "python")
"""In what shards may differ that ought to be alike."""
PACKAGES_SHOWN = 8


@dataclass(frozen=True)
class ShardsWall:
    """What the host's one clock saw of a job's shards, in seconds; None for what it didn't see.

    generate_s: from the first shard's first hand-over to the last one's last completion; None where any was kept from
    an earlier command. wall_s: see Timing.
    """

    generate_s: float | None = None
    wall_s: float | None = None


def merge(results: Path, job: Job, shards: Sequence[Result], wall: ShardsWall) -> Result:
    """The result of a sharded job, its documents.jsonl and result.json written. shards: of all shard_jobs, in order.

    Where a shard is not ok the job is not either, by the first such shard's failure, and no documents are written; what
    the shards did stays in their folders. Speed is known where no shard went on from earlier documents. A UsageError
    for a shard's documents that are damaged or not the shard's.

    Loading and what else is timed beside generate_s is the slowest shard's; so is the peak of memory, on one device,
    the largest one's; energy is the sum. How near it came to the hardware's limit is told of each shard alone.
    """
    parts = shard_jobs(job)
    if [part.key for part in parts] != [shard.job.key for shard in shards]:
        raise ValueError(f"{job.folder}: these are not the results of its shards")
    broken = next((shard for shard in shards if shard.status != "ok"), None)
    merged = _failed(job, shards, broken) if broken else _done(results, job, parts, shards, wall)
    timing = replace(merged.timing, wall_s=wall.wall_s)
    merged = replace(merged, timing=timing, shards=tuple(map(summarize_shard, shards)), devices=_devices(shards))
    write_result(results / job.folder, merged)
    return merged


def summarize_shard(result: Result) -> ShardSummary:
    """One shard's line."""
    found, where = result.metrics or Metrics(docs=0), result.environment
    assert result.job.shard is not None
    return ShardSummary(
        number=result.job.shard.number,
        status=result.status,
        docs=found.docs if result.metrics else None,
        resumed=found.docs_resumed,
        docs_per_s=found.docs_per_s,
        output_tokens_per_s=found.output_tokens_per_s,
        generate_s=result.timing.generate_s,
        load_s=result.timing.load_s,
        peak_memory_bytes=found.peak_memory_bytes,
        gpu_name=where.gpu_name,
        device=" on ".join(filter(None, [", ".join(where.gpu_uuids), where.node])) or None,
    )


def _failed(job: Job, shards: Sequence[Result], broken: Result) -> Result:
    assert broken.failure is not None and broken.job.shard is not None
    shard = broken.job.shard
    message = f"shard {shard.number} of {shard.of}: {broken.failure.message}"
    return Result(
        job=summarize_job(job),
        status=broken.status,
        failure=replace(broken.failure, message=message),
        settings=settings_asked(job),
        environment=_environment(shards),
        warnings=_warnings(shards),
        finished_at=now_utc(),
    )


def _done(results: Path, job: Job, parts: Sequence[Job], shards: Sequence[Result], wall: ShardsWall) -> Result:
    resumed = any(shard.timing.generate_s is None for shard in shards)
    generate_s = None if resumed else wall.generate_s
    samples, quality = _merge_documents(results, job, parts, shards)
    prompts = [shard.prompt_ids_sha256 for shard in shards if shard.prompt_ids_sha256]
    return Result(
        job=summarize_job(job),
        status="ok",
        settings=shards[0].settings,
        weights=shards[0].weights,
        prompt_ids_sha256=sum_of_sha256(prompts) if len(prompts) == len(shards) else None,
        environment=_environment(shards),
        timing=_timing([shard.timing for shard in shards], generate_s),
        metrics=_metrics(samples, [shard.metrics for shard in shards if shard.metrics], generate_s, resumed=resumed),
        quality=quality,
        warnings=_warnings(shards),
        finished_at=now_utc(),
    )


def _merge_documents(
    results: Path, job: Job, parts: Sequence[Job], shards: Sequence[Result]
) -> tuple[Samples, Quality | None]:
    """Write all documents, and add their figures up: as one job would have, to the last digit."""
    samples, means = Samples(), Means()
    scores = [shard.quality for shard in shards if shard.quality]
    scored = len(scores) == len(shards)
    with open_atomically(results / job.folder / DOCUMENTS_FILE) as stream:
        for line, document in in_workload_order(results, parts):
            samples.add(document)
            if scored and document.finish_reason != "too_long":
                means.add(document, copied=False)
            stream.write(line.decode())
    if not scored:
        return samples, None
    copied = [one.copied_outputs for one in scores]  # which documents alone don't tell
    total = sum(count for count in copied if count is not None) if None not in copied else None
    return samples, replace(means.summary(scores[0].settings), copied_outputs=total)


def _metrics(samples: Samples, shards: Sequence[Metrics], generate_s: float | None, *, resumed: bool) -> Metrics:
    energies = [shard.energy_j for shard in shards]
    largest = max(shards, key=lambda shard: shard.peak_memory_bytes or 0)
    derived = metrics.derive(
        samples,
        generate_s,
        peak_memory_bytes=largest.peak_memory_bytes,
        weights_bytes=largest.weights_bytes,
        kv_cache_bytes=largest.kv_cache_bytes,
        overhead_bytes=largest.overhead_bytes,
        activations_bytes=largest.activations_bytes,
        energy_j=sum(energy for energy in energies if energy is not None) if None not in energies else None,
        docs_resumed=sum(shard.docs_resumed or 0 for shard in shards),
    )
    return replace(derived, latency_s=None, ttft_s=None, tpot_s=None) if resumed else derived


def _timing(shards: Sequence[Timing], generate_s: float | None) -> Timing:
    def longest(of: Callable[[Timing], float | None]) -> float | None:
        return max((seconds for shard in shards if (seconds := of(shard)) is not None), default=None)

    return Timing(
        load_s=longest(lambda shard: shard.load_s),
        compile_s=longest(lambda shard: shard.compile_s),
        search_s=longest(lambda shard: shard.search_s),
        warmup_s=longest(lambda shard: shard.warmup_s),
        generate_s=generate_s,
        score_s=longest(lambda shard: shard.score_s),
        repeats=() if generate_s is None else (generate_s,),
        start_s=longest(lambda shard: shard.start_s),
        encode_s=longest(lambda shard: shard.encode_s),
        close_s=longest(lambda shard: shard.close_s),
        rates_s=longest(lambda shard: shard.rates_s),
        save_s=longest(lambda shard: shard.save_s),
    )


def _environment(shards: Sequence[Result]) -> Environment:
    """The first shard's, with as many GPUs as were used, and without what one shard's alone is."""
    first = shards[0].environment
    throttled = [shard.environment.throttled for shard in shards]
    reasons = dict.fromkeys(reason for known in throttled for reason in known or ())
    gpus = _devices(shards) if first.gpu_name is not None else 0
    return replace(
        first,
        gpu_count=first.gpu_count if gpus is None else gpus,
        rates=None,
        throttled=None if None in throttled else tuple(reasons),
        read_ahead_bytes=None,
        gpu_uuids=tuple(dict.fromkeys(uuid for shard in shards for uuid in shard.environment.gpu_uuids)),
        node=None,
    )


def _devices(shards: Sequence[Result]) -> int | None:
    """How many GPUs, or machines without one, the shards ran on; None where that can't be told."""
    places = [shard.environment for shard in shards]
    if any(one.gpu_name is not None and not one.gpu_uuids for one in places):
        return None
    return len({(one.node, uuid) for one in places for uuid in one.gpu_uuids or (None,)})


def _warnings(shards: Sequence[Result]) -> tuple[str, ...]:
    """What all shards say once, what some say with their number, and in what they differ."""
    all_say = [text for text in shards[0].warnings if all(text in shard.warnings for shard in shards)]
    some_say = [
        f"shard {number}: {text}"
        for number, shard in enumerate(shards, start=1)
        for text in shard.warnings
        if text not in all_say
    ]
    return (*all_say, *some_say, *_differences(shards))


def _differences(shards: Sequence[Result]) -> Iterator[str]:
    """What isn't known of a shard makes it no different."""
    for name in SETTINGS:
        yield from _told(name, [getattr(shard.settings, name) for shard in shards])
    for name in ENVIRONMENT:
        yield from _told(name, [getattr(shard.environment, name) for shard in shards])
    installed = [shard.environment.packages for shard in shards if shard.environment.packages]
    names = sorted(set().union(*installed))
    if differing := [name for name in names if len({packages.get(name) for packages in installed}) > 1]:
        more = ", …" if len(differing) > PACKAGES_SHOWN else ""
        yield f"the shards differ in packages: {', '.join(differing[:PACKAGES_SHOWN])}{more}"


def _told(name: str, values: Sequence[Any]) -> Iterator[str]:
    found = list(dict.fromkeys(str(value) for value in values if value is not None))
    if len(found) > 1:
        yield f"the shards differ in {name}: {', '.join(found)}"
