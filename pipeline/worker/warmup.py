"""What an engine does before the timed section: compiling, the search for its batch size, and the warm-up."""

import dataclasses
from collections.abc import Mapping, Sequence

from pipeline.documents import Document
from pipeline.spec import Job
from pipeline.worker import requests as prompts
from pipeline.worker.backend import Backend, Request
from pipeline.worker.batch_search import Found, find_batch_size
from pipeline.worker.batches import Batches
from pipeline.worker.generation import Progress, hand_overs
from pipeline.worker.heartbeat import Heartbeat
from pipeline.worker.telemetry import DeviceMeter
from pipeline.worker.token_times import TokenTimes


def compile_shapes(backend: Backend, requests: Sequence[Request], job: Job, progress: Progress) -> bool:
    """Have the engine compile for whatever it will be handed over at a time; whether it compiles for shapes at all."""
    longest_first = sorted(requests, key=lambda request: len(request.prompt_ids), reverse=True)
    with Heartbeat(lambda _: progress("warmup", 0, job.workload.docs), lambda: 0):
        compiled = [backend.compile_for(batch) for batch in hand_overs(longest_first, job)]
    return any(compiled)


def search_batch_size(
    backend: Backend, batches: Batches, requests: Sequence[Request], meter: DeviceMeter, progress: Progress
) -> Found:
    """Leave `batches` at the largest size at which these requests fit; progress has the size that is tried."""
    tokens, trying = TokenTimes(), 0

    def say(size: int) -> None:
        nonlocal trying
        trying = size
        progress("search", trying, len(requests))

    with Heartbeat(lambda _: progress("search", trying, len(requests)), lambda: tokens.arrived):
        return find_batch_size(backend, batches, requests, meter, tokens, say)


def warm_up(
    backend: Backend,
    batches: Batches,
    documents: Sequence[Document],
    lengths: Mapping[str, int],
    job: Job,
    progress: Progress,
) -> None:
    """Have the engine complete texts of the documents' lengths, made of their words in another order.

    lengths: of each document's prompt, in tokens. Shuffled words often make more: those beyond are left out, since a
    batch that was found to fit, or a context that the document fits, must do for its warm-up too.
    """
    count = batches.size if job.batch_size else prompts.warmup_count(lengths.values(), job.gpu.device)
    shapes = prompts.warmup_documents(documents, count, job.workload.seed)
    workload = dataclasses.replace(
        job.workload, max_new_tokens=min(prompts.WARMUP_NEW_TOKENS, job.workload.max_new_tokens)
    )
    shuffled = prompts.build_requests(backend, shapes, workload, job.model)
    requests = [
        dataclasses.replace(request, prompt_ids=request.prompt_ids[: lengths[request.id.removeprefix(prompts.WARMUP)]])
        for request in shuffled
    ]
    tokens = TokenTimes()
    with Heartbeat(lambda _: progress("warmup", 0, job.workload.docs), lambda: tokens.arrived):
        for batch in hand_overs(requests, job):
            for _completion in backend.generate(batch, tokens):
                pass
