"""From what a job's engine did to its result: scores, figures, settings and what a reader has to be warned of."""

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

from pipeline.analysis import degeneracy, metrics, quality, roofline
from pipeline.analysis.samples import Samples
from pipeline.documents import Document
from pipeline.entries import Rates
from pipeline.measures import DocumentResult, Metrics, Quality, Timing, UsedSettings
from pipeline.results import Result, Weights, now_utc, settings_asked, summarize_job
from pipeline.spec import Job
from pipeline.worker import environment
from pipeline.worker.backend import MemoryUse, Settings
from pipeline.worker.cautions import cautions
from pipeline.worker.engine_run import EngineRun

LOOKED_AT = 1000
"""Documents by whose lengths it is told how much work all of them are."""

Item = tuple[DocumentResult, Document]


def score(items: Iterable[Item], docs: int, keep: Callable[[DocumentResult], None]) -> Quality:
    """ROUGE and signs of degeneracy of the documents that were generated; those too long have no output to score.

    items: each result with its document. docs: how many of them were generated. keep: called with each result, scored,
    in their order. Few of them are held at a time.
    """
    following = iter(items)
    first = list(islice(following, LOOKED_AT))
    processes = quality.processes_for([_texts(item) for item in first if _is_generated(item)], docs)
    means, waiting = quality.Means(), deque[Item]()

    def texts() -> Iterator[tuple[str, str]]:
        for item in chain(first, following):
            waiting.append(item)
            if _is_generated(item):
                yield _texts(item)

    for rouge in quality.score(texts(), processes):
        _keep_too_long(waiting, keep)
        result, document = waiting.popleft()
        shape = degeneracy.describe(result.text, document.document, cut=result.finish_reason == "length")
        scored = dataclasses.replace(
            result,
            **vars(rouge),
            coverage=shape.coverage,
            density=shape.density,
            repetition=shape.repetition,
        )
        means.add(scored, copied=shape.copied)
        keep(scored)
    _keep_too_long(waiting, keep)
    return means.summary(quality.scoring_settings())


def _is_generated(item: Item) -> bool:
    return item[0].finish_reason != "too_long"


def _texts(item: Item) -> tuple[str, str]:
    return item[0].text, item[1].summary


def _keep_too_long(waiting: deque[Item], keep: Callable[[DocumentResult], None]) -> None:
    """Those before the next that was generated."""
    while waiting and not _is_generated(waiting[0]):
        keep(waiting.popleft()[0])


def make_result(
    job: Job,
    ran: EngineRun | None,
    samples: Samples,
    resumed: int,
    quality_summary: Quality | None,
    score_s: float,
    rates: Rates | None = None,
) -> Result:
    """The result of a job that came through.

    ran: None where an earlier attempt had completed all documents, so that no engine was needed. samples: of all
    documents, those of an earlier attempt too. resumed: how many it had completed. A job that went on from some has no
    speed, and neither have its parts: two attempts, one of them of unknown length, are no measurement. Each document's
    own times stay in documents.jsonl. rates: as measured here.
    """
    where = dataclasses.replace(environment.capture(job.gpu.device, job.host, _throttled(ran), job.gpus), rates=rates)
    timing = _timing(ran, resumed, score_s)
    listed, measured = (
        roofline.for_documents(job, samples, found, where.memory_bytes, timing.generate_s)
        for found in (job.gpu.rates, rates)
    )
    return Result(
        job=summarize_job(job),
        status="ok",
        settings=_used(ran, job),
        weights=_weights(job),
        prompt_ids_sha256=ran.prompt_ids_sha256 if ran else None,
        environment=where,
        timing=timing,
        metrics=_metrics(ran, resumed, samples),
        quality=quality_summary,
        roofline=listed,
        roofline_measured=measured,
        warnings=tuple(cautions(job, ran, samples, resumed, measured)),
        finished_at=now_utc(),
    )


def _timing(ran: EngineRun | None, resumed: int, score_s: float) -> Timing:
    if ran is None:
        return Timing(score_s=score_s)
    whole = Timing(
        load_s=ran.load_s - (ran.settings.compile_s or 0.0),
        compile_s=ran.settings.compile_s if ran.compile_s is None else ran.compile_s,
        search_s=ran.search_s,
        warmup_s=ran.warmup_s,
        score_s=score_s,
        encode_s=ran.encode_s,
        close_s=ran.close_s,
    )
    seconds = tuple(repeat.generate_s for repeat in ran.repeats)
    if resumed:
        return dataclasses.replace(whole, segments=seconds)
    return dataclasses.replace(
        whole,
        generate_s=metrics.mean(seconds),
        prefill_s=metrics.mean_if_known([repeat.prefill_s for repeat in ran.repeats]),
        decode_s=metrics.mean_if_known([repeat.decode_s for repeat in ran.repeats]),
        repeats=seconds,
    )


def _metrics(ran: EngineRun | None, resumed: int, samples: Samples) -> Metrics:
    memory = ran.memory if ran else MemoryUse()
    if ran is None or resumed:
        derived = metrics.derive(
            samples, None, weights_bytes=memory.weights_bytes, kv_cache_bytes=memory.kv_cache_bytes
        )
        return dataclasses.replace(derived, latency_s=None, ttft_s=None, tpot_s=None, docs_resumed=resumed)
    peaks = [repeat.peak_memory_bytes for repeat in ran.repeats if repeat.peak_memory_bytes is not None]
    peak = max(peaks, default=None)
    overhead, activations = metrics.split_memory(
        peak, ran.loaded_bytes, memory.weights_bytes, memory.kv_cache_bytes, kv_cache_grows=memory.kv_cache_grows
    )
    return metrics.derive(
        samples,
        metrics.mean([repeat.generate_s for repeat in ran.repeats]),
        again=[repeat.samples for repeat in ran.repeats[1:]],
        peak_memory_bytes=peak,
        weights_bytes=memory.weights_bytes,
        kv_cache_bytes=memory.kv_cache_bytes,
        overhead_bytes=overhead,
        activations_bytes=activations,
        energy_j=metrics.mean_if_known([repeat.energy_j for repeat in ran.repeats]),
        docs_resumed=0,
    )


def _throttled(ran: EngineRun | None) -> tuple[str, ...] | None:
    if ran is None or not any(repeat.readings for repeat in ran.repeats):
        return None
    return tuple(dict.fromkeys(reason for repeat in ran.repeats for reason in repeat.throttled))


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
            **{name: value for name, value in dataclasses.asdict(job.sampling).items() if value is not None},
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
