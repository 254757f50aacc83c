"""Runs one job: the phases, what is timed in them, and the files that they leave; the adapter only translates."""

import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pipeline import documents as corpus
from pipeline.documents import Document
from pipeline.errors import BenchmarkError
from pipeline.lazy import Picked
from pipeline.machine import usable_cores
from pipeline.measures import DocumentResult, Quality
from pipeline.pickles import pickles_in, require_safe
from pipeline.results import JobSummary, Phase, Result, document_line, documents_writer, write_result
from pipeline.spec import Job
from pipeline.worker import requests as prompts
from pipeline.worker.backend import Request, Settings, Setup, create_backend, prompt_lengths
from pipeline.worker.batches import Batches
from pipeline.worker.engine_run import EngineRun
from pipeline.worker.generation import Progress
from pipeline.worker.memory_limit import DataLimit
from pipeline.worker.outcome import Item, make_result, score
from pipeline.worker.rates import measure
from pipeline.worker.repeats import generate_repeatedly
from pipeline.worker.resume import NOWHERE, Earlier, earlier_documents, finished_documents, open_documents
from pipeline.worker.spool import Spool
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


def run(job: Job, roots: Roots, progress: Progress, start_s: float | None = None) -> Result:
    """Run the job from loading to scoring, write its files and return the result.

    Raises PhaseError when a phase breaks; documents finished by then stand in documents.jsonl. With
    job.resume_documents those that stand there already are not generated again. start_s: of this process until now,
    where the job is all that it does.
    """
    begun = time.perf_counter()
    folder, docs = roots.results / job.folder, job.docs
    with _phase("load", progress, 0, docs):
        chosen = load_documents(job, roots)
        earlier = earlier_documents(job, folder, chosen)
    cores = usable_cores()  # before an engine binds this thread to one of them
    read_s = time.perf_counter() - begun
    ran = _run_engine(job, roots, chosen, earlier, progress) if earlier.count < len(chosen) else None
    arithmetic = job.precision.arithmetic_bits if ran and job.precision else None
    rates, rates_s = job.host.rates if arithmetic else None, None
    if arithmetic and rates is None:
        rates, rates_s = timed(
            lambda: measure(job.gpu.device, job.dtype, arithmetic, cores, job.host.bandwidth_bytes_per_s)
        )
    samples = earlier.samples if earlier.count or ran is None else ran.samples
    if earlier.count and ran:
        samples.extend(ran.samples)
    with ExitStack() as written:
        with _phase("score", progress, docs, docs):
            items = finished_documents(folder, earlier.places, chosen)
            keep = written.enter_context(documents_writer(folder))
            quality_summary, score_s = timed(lambda: _score(job, items, len(samples), keep))
        with _phase("save", progress, docs, docs):
            saving = time.perf_counter()
            written.close()
            result = make_result(job, ran, samples, earlier.count, quality_summary, score_s, rates)
            timing = replace(
                result.timing,
                start_s=None if start_s is None else start_s + read_s,
                rates_s=rates_s,
                save_s=time.perf_counter() - saving,
            )
            result = replace(result, timing=timing)
            write_result(folder, result)
    return result


def _run_engine(job: Job, roots: Roots, chosen: Sequence[Document], earlier: Earlier, progress: Progress) -> EngineRun:
    """Load the engine, warm it up and let it complete the documents that are not among the earlier ones."""
    docs = job.docs
    batches = Batches(job.batch_size or 1, shrink=job.on_oom == "shrink")
    folder = roots.results / job.folder
    with ExitStack() as stack:
        with _phase("load"):
            meter = stack.enter_context(device_meter(job.gpu.device, job.gpus))
            setup = make_setup(job, roots, chosen, batches)
            loading = time.perf_counter()
            backend = stack.enter_context(closing(create_backend(job.backend, setup)))  # imports the engine, or part
            backend.load()
            load_s = time.perf_counter() - loading
            loaded_bytes = meter.used_bytes()
            if job.gpu.device == "cpu" and (job.on_oom == "shrink" or job.find_batch_size):
                batches.settle = stack.enter_context(DataLimit()).renew
        with _phase("encode", progress, 0, docs):
            encoding = time.perf_counter()
            built = prompts.build_requests(backend, chosen, job.workload, job.model, full=job.synthetic)
            requests = stack.enter_context(Spool(built, folder))
            encode_s = time.perf_counter() - encoding
            ids_sha256 = prompts.prompt_ids_sha256(requests)
            missing = Picked(requests, _where(bytearray(place == NOWHERE for place in earlier.places)))
            fitting, too_long = split_by_context(missing, job)
            if not fitting and not earlier.count:
                raise BenchmarkError("no document fits the model's context; use shorter documents")
        found, search_s = None, None
        if job.find_batch_size and fitting:
            with _phase("search", progress, 0, docs):
                found, search_s = timed(lambda: search_batch_size(backend, batches, fitting, meter, progress))
        with _phase("warmup", progress, 0, docs):
            compiled, compile_s = timed(lambda: compile_shapes(backend, fitting, job, progress))
            text_lengths = Picked(requests.text_lengths, fitting.positions)
            # what compiled for each shape has run each of them
            _, warmup_s = timed(
                lambda: None if compiled else warm_up(backend, batches, fitting, text_lengths, job, progress)
            )
        before = len(batches.retreats)

        def note(position: int, place: int) -> None:
            earlier.places[fitting.positions[position]] = place

        with _phase("generate"), open_documents(folder, earlier) as stream:
            repeats = generate_repeatedly(backend, fitting, job, meter, stream, folder, progress, earlier.count, note)
            samples = repeats[0].samples
            for position, request in zip(too_long.positions, too_long, strict=True):
                earlier.places[position] = stream.tell()
                document = left_out(request)
                samples.add(document)
                stream.write(document_line(document).encode())
        with _phase("generate"):
            memory, settings = backend.memory(), backend.settings()
            _require_own_work(settings)
        closing_from = time.perf_counter()
    close_s = time.perf_counter() - closing_from
    return EngineRun(
        samples=samples,
        prompt_ids_sha256=ids_sha256,
        load_s=load_s,
        loaded_bytes=loaded_bytes,
        found=found,
        search_s=search_s,
        compile_s=compile_s if compiled else None,
        warmup_s=warmup_s,
        repeats=repeats,
        memory=memory,
        settings=settings,
        encode_s=encode_s,
        close_s=close_s,
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


def load_documents(job: Job | JobSummary, roots: Roots) -> Sequence[Document]:
    """The job's documents, in the workload's order; a BenchmarkError if the workload's aren't those it was planned for.

    A shard reads all of them too, which takes some 20 µs each, and holds what finds its own.
    """
    workload = job.workload
    path = roots.data / workload.documents
    chosen = corpus.choose(corpus.read_documents(path), workload.docs, workload.seed)
    if corpus.fingerprint(chosen) != workload.documents_sha256:
        raise BenchmarkError(f"{path}: the documents changed since the job was planned; run the command again")
    return corpus.part(chosen, job.shard.positions(workload.docs)) if job.shard else chosen


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


def split_by_context(requests: Sequence[Request], job: Job) -> tuple[Picked[Request], Picked[Request]]:
    """Requests that fit the model's context with their new tokens, and those that don't."""
    limit = job.model.context_length - job.workload.max_new_tokens if job.model else None
    fits = bytearray(limit is None or length <= limit for length in prompt_lengths(requests))
    return Picked(requests, _where(fits)), Picked(requests, _where(bytearray(not one for one in fits)))


def _where(chosen: bytearray) -> Sequence[int]:
    """The positions of what is true."""
    if all(chosen):
        return range(len(chosen))
    return array("q", (position for position, one in enumerate(chosen) if one))


def left_out(request: Request) -> DocumentResult:
    """The result of a document that exceeds the model's context: reported, never cut in silence."""
    length, prompt = len(request.prompt_ids), request.prompt_sha256
    return DocumentResult(request.id, "", "too_long", prompt_tokens=length, prompt_sha256=prompt)


def _require_own_work(settings: Settings) -> None:
    if settings.cached_prompt_tokens:
        raise BenchmarkError(
            f"the engine took {settings.cached_prompt_tokens} tokens of prompts from earlier requests, so its time is "
            "that of less work; switch its prefix cache off"
        )


def _score(job: Job, items: Iterable[Item], docs: int, keep: Callable[[DocumentResult], None]) -> Quality | None:
    """Scored or, on random weights, as they are. See score."""
    if not job.synthetic:
        return score(items, docs, keep)
    for result, _ in items:
        keep(result)
    return None
