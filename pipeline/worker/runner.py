"""Runs one job: the phases, what is timed in them, and the files that they leave; the adapter only translates."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pipeline import documents as corpus
from pipeline.analysis import metrics, quality
from pipeline.documents import Document
from pipeline.errors import BenchmarkError
from pipeline.results import (
    DOCUMENTS_FILE,
    DocumentResult,
    Phase,
    Quality,
    Result,
    Timing,
    UsedSettings,
    Weights,
    now_utc,
    summarize_job,
    write_documents,
    write_result,
)
from pipeline.spec import Job
from pipeline.worker import environment
from pipeline.worker import requests as prompts
from pipeline.worker.backend import Backend, Request, Settings, Setup, create_backend
from pipeline.worker.generation import Progress, TokenTimes, generate, hand_overs
from pipeline.worker.telemetry import device_meter

T = TypeVar("T")


@dataclass(frozen=True)
class Roots:
    """The folders that a job's relative paths start from."""

    data: Path
    cache: Path
    results: Path


class PhaseError(Exception):
    """Wraps whatever broke a job with the phase in which it did; the cause is __cause__."""

    def __init__(self, phase: Phase) -> None:
        super().__init__(phase)
        self.phase = phase


def run(job: Job, roots: Roots, progress: Progress) -> Result:
    """Run the job from loading to scoring, write its files and return the result.

    Raises PhaseError when a phase breaks; documents finished by then stand in documents.jsonl.
    """
    folder = roots.results / job.folder
    with ExitStack() as stack:
        progress("load", 0, job.workload.docs)
        with _phase("load"):
            chosen = load_documents(job, roots)
            meter = stack.enter_context(device_meter(job.gpu.device))
            backend = stack.enter_context(closing(create_backend(job.backend, make_setup(job, roots, chosen))))
            _, load_s = timed(backend.load)
        with _phase("encode"):
            requests = prompts.build_requests(backend, chosen, job.workload, job.model)
            fitting, too_long = split_by_context(requests, job)
        with _phase("warmup"):
            progress("warmup", 0, job.workload.docs)
            fits = {request.id for request in fitting}
            _, warmup_s = timed(lambda: _warm_up(backend, [item for item in chosen if item.id in fits], job))
        with _phase("generate"), (folder / DOCUMENTS_FILE).open("w", encoding="utf-8") as stream:
            generated = generate(backend, fitting, job, meter, stream, progress)
        with _phase("generate"):
            memory, settings = backend.memory(), backend.settings()
    with _phase("score"):
        progress("score", job.workload.docs, job.workload.docs)
        in_order = _in_order(generated.documents + too_long, chosen)
        (scored, quality_summary), score_s = timed(lambda: _score(in_order, chosen))
    with _phase("save"):
        result = Result(
            job=summarize_job(job),
            status="ok",
            settings=_used(settings, job),
            weights=_weights(job),
            prompt_ids_sha256=prompts.prompt_ids_sha256(requests),
            environment=environment.capture(job.gpu.device, job.host),
            timing=Timing(
                load_s=load_s,
                warmup_s=warmup_s,
                generate_s=generated.generate_s,
                score_s=score_s,
                repeats=(generated.generate_s,),
            ),
            metrics=dataclasses.replace(
                metrics.derive(scored, generated.generate_s),
                peak_memory_bytes=generated.peak_memory_bytes,
                weights_bytes=memory.weights_bytes,
                kv_cache_bytes=memory.kv_cache_bytes,
                energy_j=generated.energy_j,
            ),
            quality=quality_summary,
            warnings=_warnings(too_long),
            finished_at=now_utc(),
        )
        write_documents(folder, scored)
        write_result(folder, result)
    return result


def timed(action: Callable[[], T]) -> tuple[T, float]:
    """The action's value and how long it took, in seconds."""
    start = time.perf_counter()
    value = action()
    return value, time.perf_counter() - start


@contextmanager
def _phase(phase: Phase) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise PhaseError(phase) from error


def load_documents(job: Job, roots: Roots) -> list[Document]:
    """The workload's documents, in order; a BenchmarkError if they aren't the ones that the job was planned for."""
    workload = job.workload
    path = roots.data / workload.documents
    chosen = corpus.choose(corpus.read_documents(path), workload.docs, workload.seed)
    if corpus.fingerprint(chosen) != workload.documents_sha256:
        raise BenchmarkError(f"{path}: the documents changed since the job was planned; run the command again")
    return chosen


def make_setup(job: Job, roots: Roots, chosen: Sequence[Document]) -> Setup:
    """What the job's adapter is given."""
    return Setup(
        weights=roots.cache / job.weights.path if job.weights else None,
        device=job.gpu.device,
        dtype=job.dtype,
        options=job.options,
        batch_size=job.batch_size,
        max_length=prompts.max_length(chosen, job.workload, job.model),
        eos_ids=job.model.eos_ids if job.model else (),
        seed=job.workload.seed,
    )


def split_by_context(requests: Sequence[Request], job: Job) -> tuple[list[Request], list[DocumentResult]]:
    """Requests that fit the model's context, and results for those that don't: reported, never cut in silence."""
    limit = job.model.context_length if job.model else None
    fitting, too_long = [], []
    for request in requests:
        if limit is not None and len(request.prompt_ids) + request.max_new_tokens > limit:
            too_long.append(DocumentResult(request.id, "", "too_long", prompt_tokens=len(request.prompt_ids)))
        else:
            fitting.append(request)
    if not fitting:
        raise BenchmarkError(f"no document fits the model's context of {limit} tokens; use shorter documents")
    return fitting, too_long


def _warm_up(backend: Backend, documents: Sequence[Document], job: Job) -> None:
    count = job.batch_size or prompts.WARMUP_DOCUMENTS
    shapes = prompts.warmup_documents(documents, count, job.workload.seed)
    workload = dataclasses.replace(
        job.workload, max_new_tokens=min(prompts.WARMUP_NEW_TOKENS, job.workload.max_new_tokens)
    )
    requests = prompts.build_requests(backend, shapes, workload, job.model)
    for batch in hand_overs(requests, job):
        for _completion in backend.generate(batch, TokenTimes()):
            pass


def _in_order(results: Sequence[DocumentResult], chosen: Sequence[Document]) -> list[DocumentResult]:
    by_id = {result.id: result for result in results}
    return [by_id[document.id] for document in chosen]


def _score(results: Sequence[DocumentResult], chosen: Sequence[Document]) -> tuple[list[DocumentResult], Quality]:
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


def _used(settings: Settings, job: Job) -> UsedSettings:
    return UsedSettings(
        dtype=settings.dtype,
        quantization=settings.quantization,
        attention=settings.attention,
        batch_size_asked=job.batch_size,
        batch_size_used=settings.batch_size_used,
        engine_args=settings.engine_args,
        sampling={
            "strategy": "greedy",
            "max_new_tokens": job.workload.max_new_tokens,
            "eos_ids": list(job.model.eos_ids) if job.model else [],
        },
    )


def _weights(job: Job) -> Weights | None:
    if job.weights is None:
        return None
    weights = job.weights
    return Weights(weights.kind, weights.sha256, weights.made_by, weights.perplexity, weights.perplexity_original)


def _warnings(too_long: Sequence[DocumentResult]) -> tuple[str, ...]:
    if not too_long:
        return ()
    return (f"{len(too_long)} documents exceed the model's context and were not generated: {too_long[0].id}, …",)
