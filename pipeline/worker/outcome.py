"""From what a job's engine did to its result: scores, figures, settings and what a reader has to be warned of."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.analysis import metrics, quality
from pipeline.documents import Document
from pipeline.measures import DocumentResult, Metrics, Quality, Timing, UsedSettings
from pipeline.results import Result, Weights, now_utc, settings_asked, summarize_job
from pipeline.spec import Job
from pipeline.worker import environment
from pipeline.worker import requests as prompts
from pipeline.worker.backend import MemoryUse, Request, Settings
from pipeline.worker.batch_search import Found
from pipeline.worker.batches import Retreat
from pipeline.worker.generation import Generated


@dataclass(frozen=True)
class EngineRun:
    """One engine's work from loading to the last completion.

    requests: of all documents of the workload. too_long: results for those of them that exceed the model's context.
    found: of the search for the batch size, None where there was none. retreats: batches that ran out of memory;
    timed_retreats: how many of them, the last ones, within the timed section.
    """

    requests: Sequence[Request]
    too_long: Sequence[DocumentResult]
    load_s: float
    found: Found | None
    search_s: float | None
    warmup_s: float
    generated: Generated
    memory: MemoryUse
    settings: Settings
    retreats: Sequence[Retreat]
    timed_retreats: int

    @property
    def documents(self) -> list[DocumentResult]:
        """What became of the documents that it was given."""
        return [*self.generated.documents, *self.too_long]


def score(results: Sequence[DocumentResult], chosen: Sequence[Document]) -> tuple[list[DocumentResult], Quality]:
    """ROUGE of the documents that were generated; those that were too long have no output to score."""
    references = {document.id: document.summary for document in chosen}
    done = [result for result in results if result.finish_reason != "too_long"]
    scores = quality.score([result.text for result in done], [references[result.id] for result in done])
    by_id = {
        result.id: dataclasses.replace(result, **dataclasses.asdict(score))
        for result, score in zip(done, scores, strict=True)
    }
    scored = [by_id.get(result.id, result) for result in results]
    return scored, quality.summarize(scores, [result.text for result in done])


def make_result(
    job: Job,
    ran: EngineRun | None,
    scored: Sequence[DocumentResult],
    resumed: int,
    quality_summary: Quality,
    score_s: float,
) -> Result:
    """The result of a job that came through.

    ran: None where an earlier attempt had completed all documents, so that no engine was needed. resumed: how many it
    had completed. A job that went on from some has no speed, and neither have its parts: two attempts, one of them of
    unknown length, are no measurement. Each document's own times stay in documents.jsonl.
    """
    return Result(
        job=summarize_job(job),
        status="ok",
        settings=_used(ran, job),
        weights=_weights(job),
        prompt_ids_sha256=prompts.prompt_ids_sha256(ran.requests) if ran else None,
        environment=environment.capture(job.gpu.device, job.host),
        timing=_timing(ran, resumed, score_s),
        metrics=_metrics(ran, resumed, scored),
        quality=quality_summary,
        warnings=tuple(_warnings(job, ran, scored, resumed)),
        finished_at=now_utc(),
    )


def _timing(ran: EngineRun | None, resumed: int, score_s: float) -> Timing:
    if ran is None:
        return Timing(score_s=score_s)
    whole = Timing(load_s=ran.load_s, search_s=ran.search_s, warmup_s=ran.warmup_s, score_s=score_s)
    generate_s = ran.generated.generate_s
    if resumed:
        return dataclasses.replace(whole, segments=(generate_s,))
    return dataclasses.replace(whole, generate_s=generate_s, repeats=(generate_s,))


def _metrics(ran: EngineRun | None, resumed: int, scored: Sequence[DocumentResult]) -> Metrics:
    memory = ran.memory if ran else MemoryUse()
    if ran is None or resumed:
        derived = metrics.derive(scored, None, weights_bytes=memory.weights_bytes, kv_cache_bytes=memory.kv_cache_bytes)
        return dataclasses.replace(derived, latency_s=None, ttft_s=None, tpot_s=None)
    return metrics.derive(
        scored,
        ran.generated.generate_s,
        peak_memory_bytes=ran.generated.peak_memory_bytes,
        weights_bytes=memory.weights_bytes,
        kv_cache_bytes=memory.kv_cache_bytes,
        energy_j=ran.generated.energy_j,
    )


def _used(ran: EngineRun | None, job: Job) -> UsedSettings:
    settings = ran.settings if ran else Settings()
    return UsedSettings(
        dtype=settings.dtype,
        quantization=settings.quantization,
        attention=settings.attention,
        batch_size_asked=settings_asked(job).batch_size_asked,
        batch_size_used=settings.batch_size_used,
        engine_args=settings.engine_args,
        sampling={
            "strategy": "greedy",
            "max_new_tokens": job.workload.max_new_tokens,
            "eos_ids": list(job.model.eos_ids) if job.model else [],
        },
        batch_search=ran.found.tried if ran and ran.found else (),
    )


def _weights(job: Job) -> Weights | None:
    if job.weights is None:
        return None
    weights = job.weights
    return Weights(weights.kind, weights.sha256, weights.made_by, weights.perplexity, weights.perplexity_original)


def _warnings(job: Job, ran: EngineRun | None, scored: Sequence[DocumentResult], resumed: int) -> list[str]:
    warnings = list(job.remarks)
    if job.weights and job.weights.pickled:
        warnings.append("the weights were opened from pickles, which can run code (--allow-pickle)")
    too_long = [document.id for document in scored if document.finish_reason == "too_long"]
    if too_long:
        exceed = "document exceeds" if len(too_long) == 1 else "documents exceed"
        were = "was" if len(too_long) == 1 else "were"
        named = too_long[0] + (", …" if len(too_long) > 1 else "")
        warnings.append(f"{len(too_long)} {exceed} the model's context and {were} not generated: {named}")
    if ran and ran.found and not ran.found.complete:
        warnings.append(f"the search for the batch size ran out of time at {ran.found.size}; a larger one may fit")
    if ran and ran.retreats:
        warnings.append(_halved(ran.retreats, ran.timed_retreats, ran.settings.batch_size_used))
    if resumed:
        warnings.append(_resumed(ran, resumed, len(scored)))
    elif ran and ran.generated.sync_s is not None:
        warnings.append(
            f"--resume-documents: keeping each document safe on the disk took {ran.generated.sync_s:.3f} s "
            f"of generate_s, {ran.generated.generate_s:.3f} s"
        )
    return warnings


def _halved(retreats: Sequence[Retreat], timed: int, used: int | None) -> str:
    lost_s = sum(retreat.lost_s for retreat in retreats)
    timed_s = sum(retreat.lost_s for retreat in retreats[len(retreats) - timed :])
    times = "once" if len(retreats) == 1 else f"{len(retreats)} times"
    return (
        f"out of memory at a batch of {retreats[0].size}: halved {times}, to {used}; attempts that failed took "
        f"{lost_s:.1f} s, of which {timed_s:.1f} s count in generate_s"
    )


def _resumed(ran: EngineRun | None, resumed: int, docs: int) -> str:
    text = f"{resumed} of {docs} documents are an interrupted attempt's, so there is no speed"
    if ran is None:
        return f"{text}; no engine was started, so prompt ids and settings are not known"
    return text
