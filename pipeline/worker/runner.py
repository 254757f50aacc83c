"""Runs one job: the phases, what is timed in them, and the files that they leave; the adapter only translates."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO, TypeVar

from pipeline import documents as corpus
from pipeline.documents import Document
from pipeline.errors import BenchmarkError
from pipeline.machine import usable_cores
from pipeline.measures import DocumentResult
from pipeline.pickles import pickles_in, require_safe
from pipeline.results import DOCUMENTS_FILE, JobSummary, Phase, Result, write_documents, write_result
from pipeline.spec import Job
from pipeline.worker import requests as prompts
from pipeline.worker.backend import Request, Settings, Setup, create_backend
from pipeline.worker.batches import Batches
from pipeline.worker.engine_run import EngineRun
from pipeline.worker.generation import Generated, Progress
from pipeline.worker.memory_limit import DataLimit
from pipeline.worker.outcome import make_result, score
from pipeline.worker.rates import measure
from pipeline.worker.repeats import generate_repeatedly
from pipeline.worker.resume import earlier_documents
from pipeline.worker.telemetry import device_meter
from pipeline.worker.warmup import compile_shapes, search_batch_size, warm_up

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

    Raises PhaseError when a phase breaks; documents finished by then stand in documents.jsonl. With
    job.resume_documents those that stand there already are not generated again.
    """
    folder, docs = roots.results / job.folder, job.workload.docs
    with _phase("load", progress, 0, docs):
        chosen = load_documents(job, roots)
        earlier = earlier_documents(job, folder, chosen)
    cores = usable_cores()  # before an engine binds this thread to one of them
    ran = _run_engine(job, roots, chosen, earlier, progress) if len(earlier) < len(chosen) else None
    arithmetic = job.precision.arithmetic_bits if ran and job.precision else None
    rates = measure(job.gpu.device, job.dtype, arithmetic, cores) if arithmetic else None
    with _phase("score", progress, docs, docs):
        in_order = _in_order(earlier + (ran.documents if ran else []), chosen)
        (scored, quality_summary), score_s = timed(
            lambda: (in_order, None) if job.synthetic else score(in_order, chosen)
        )
    with _phase("save", progress, docs, docs):
        result = make_result(job, ran, scored, len(earlier), quality_summary, score_s, rates)
        write_documents(folder, scored)
        write_result(folder, result)
    return result


def _run_engine(
    job: Job, roots: Roots, chosen: Sequence[Document], earlier: Sequence[DocumentResult], progress: Progress
) -> EngineRun:
    """Load the engine, warm it up and let it complete the documents that are not among the earlier ones."""
    docs = job.workload.docs
    batches = Batches(job.batch_size or 1, shrink=job.on_oom == "shrink")
    done = {document.id for document in earlier}
    with ExitStack() as stack:
        with _phase("load"):
            meter = stack.enter_context(device_meter(job.gpu.device))
            setup = make_setup(job, roots, chosen, batches)
            backend = stack.enter_context(closing(create_backend(job.backend, setup)))
            _, load_s = timed(backend.load)
            loaded_bytes = meter.used_bytes()
            if job.gpu.device == "cpu" and (job.on_oom == "shrink" or job.find_batch_size):
                batches.settle = stack.enter_context(DataLimit()).renew
        with _phase("encode", progress, 0, docs):
            requests = [
                replace(request, full_length=job.synthetic)
                for request in prompts.build_requests(backend, chosen, job.workload, job.model)
            ]
            missing = [request for request in requests if request.id not in done]
            fitting, too_long = split_by_context(missing, job)
            if not fitting and not earlier:
                raise BenchmarkError("no document fits the model's context; use shorter documents")
        found, search_s = None, None
        if job.find_batch_size and fitting:
            with _phase("search", progress, 0, docs):
                found, search_s = timed(lambda: search_batch_size(backend, batches, fitting, meter, progress))
        with _phase("warmup", progress, 0, docs):
            compiled, compile_s = timed(lambda: compile_shapes(backend, fitting, job, progress))
            lengths = {request.id: len(request.prompt_ids) for request in fitting}
            shapes = [document for document in chosen if document.id in lengths]
            # what compiled for each shape has run each of them
            _, warmup_s = timed(lambda: None if compiled else warm_up(backend, batches, shapes, lengths, job, progress))
        before = len(batches.retreats)
        with _phase("generate"), _open_documents(roots.results / job.folder, earlier) as stream:
            repeats = generate_repeatedly(
                backend, fitting, job, meter, stream, roots.results / job.folder, progress, len(earlier)
            )
        with _phase("generate"):
            memory, settings = backend.memory(), backend.settings()
            _require_own_work(settings)
            if job.synthetic:
                _require_full_length(repeats, job)
    return EngineRun(
        requests=requests,
        too_long=too_long,
        load_s=load_s,
        loaded_bytes=loaded_bytes,
        found=found,
        search_s=search_s,
        compile_s=compile_s if compiled else None,
        warmup_s=warmup_s,
        repeats=repeats,
        memory=memory,
        settings=settings,
        retreats=tuple(batches.retreats),
        timed_retreats=len(batches.retreats) - before,
    )


@contextmanager
def _phase(phase: Phase, progress: Progress | None = None, done: int = 0, docs: int = 0) -> Iterator[None]:
    """A phase, which names itself on what breaks in it. progress: is told of its start, unless it does so itself."""
    try:
        if progress:
            progress(phase, done, docs)
        yield
    except Exception as error:
        raise PhaseError(phase) from error


def timed(action: Callable[[], T]) -> tuple[T, float]:
    """The action's value and how long it took, in seconds."""
    start = time.perf_counter()
    value = action()
    return value, time.perf_counter() - start


def load_documents(job: Job | JobSummary, roots: Roots) -> list[Document]:
    """The workload's documents, in order; a BenchmarkError if they aren't the ones that the job was planned for."""
    workload = job.workload
    path = roots.data / workload.documents
    chosen = corpus.choose(corpus.read_documents(path), workload.docs, workload.seed)
    if corpus.fingerprint(chosen) != workload.documents_sha256:
        raise BenchmarkError(f"{path}: the documents changed since the job was planned; run the command again")
    return chosen


def make_setup(job: Job, roots: Roots, chosen: Sequence[Document], batches: Batches | None = None) -> Setup:
    """What the job's adapter is given. A BenchmarkError for weights that are pickles, unless the job allows them."""
    weights = roots.cache / job.weights.path if job.weights else None
    pickled = pickles_in(weights) if weights else []
    require_safe(pickled, job.allow_pickle, weights)
    return Setup(
        weights=weights,
        allow_pickle=bool(pickled),
        device=job.gpu.device,
        dtype=job.dtype,
        options=job.options,
        batch_size=job.batch_size,
        max_length=prompts.max_length(chosen, job.workload, job.model),
        eos_ids=job.model.eos_ids if job.model else (),
        seed=job.workload.seed,
        batches=batches,
        sampling=job.sampling,
        attention=job.model.attention if job.model else None,
    )


def split_by_context(requests: Sequence[Request], job: Job) -> tuple[list[Request], list[DocumentResult]]:
    """Requests that fit the model's context, and results for those that don't: reported, never cut in silence."""
    limit = job.model.context_length if job.model else None
    fitting, too_long = [], []
    for request in requests:
        if limit is not None and len(request.prompt_ids) + request.max_new_tokens > limit:
            length, prompt = len(request.prompt_ids), request.prompt_sha256
            too_long.append(DocumentResult(request.id, "", "too_long", prompt_tokens=length, prompt_sha256=prompt))
        else:
            fitting.append(request)
    return fitting, too_long


@contextmanager
def _open_documents(folder: Path, earlier: Sequence[DocumentResult]) -> Iterator[TextIO]:
    """documents.jsonl, to be gone on with behind the earlier documents. They are written anew: a torn line goes."""
    if earlier:
        write_documents(folder, earlier)
    with (folder / DOCUMENTS_FILE).open("a" if earlier else "w", encoding="utf-8") as stream:
        yield stream


def _require_own_work(settings: Settings) -> None:
    if settings.cached_prompt_tokens:
        raise BenchmarkError(
            f"the engine took {settings.cached_prompt_tokens} tokens of prompts from earlier requests, so its time is "
            "that of less work; switch its prefix cache off"
        )


def _require_full_length(repeats: Sequence[Generated], job: Job) -> None:
    """Random weights tell of speed only if no document ends early, which an adapter sees to (Request.full_length)."""
    asked = job.workload.max_new_tokens
    for document in (document for repeat in repeats for document in repeat.documents):
        if document.output_tokens is not None and document.output_tokens != asked:
            raise BenchmarkError(
                f"document {document.id} got {document.output_tokens} of {asked} new tokens on random weights; its "
                "engine's adapter has to go on past end-of-sequence ids (Request.full_length)"
            )


def _in_order(results: Sequence[DocumentResult], chosen: Sequence[Document]) -> list[DocumentResult]:
    by_id = {result.id: result for result in results}
    return [by_id[document.id] for document in chosen]
