"""What an engine does before the timed section: compiling, the search for its batch size, and the warm-up."""

import dataclasses
import heapq
from collections.abc import Sequence

from pipeline.documents import Document
from pipeline.spec import Job
from pipeline.worker import requests as prompts
from pipeline.worker.backend import Backend, Request, longest_first, prompt_lengths
from pipeline.worker.batch_search import Found, find_batch_size
from pipeline.worker.batches import Batches
from pipeline.worker.generation import Progress
from pipeline.worker.hand_over import hand_overs
from pipeline.worker.heartbeat import Heartbeat
from pipeline.worker.telemetry import DeviceMeter
from pipeline.worker.token_times import TokenTimes


def compile_shapes(backend: Backend, requests: Sequence[Request], job: Job, progress: Progress) -> bool:
    """Have the engine compile for whatever it will be handed over at a time; whether it compiles for shapes at all."""
    compiled = False
    with Heartbeat(lambda _: progress("warmup", 0, job.docs), lambda: 0):
        for batch in hand_overs(longest_first(requests), job):
            compiled |= backend.compile_for(batch)
    return compiled


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
    requests: Sequence[Request],
    text_lengths: Sequence[int],
    job: Job,
    progress: Progress,
) -> None:
    """Have the engine complete texts as long as the longest documents' of these, made of their words in another order.

    text_lengths: of each request's document, in characters. Shuffled words often make more tokens: those beyond are
    left out, since a batch that was found to fit, or a context that the document fits, must do for its warm-up too.
    """
    count = batches.size if job.batch_size else prompts.warmup_count(prompt_lengths(requests), job.gpu.device)
    longest = heapq.nlargest(count, range(len(requests)), key=text_lengths.__getitem__)
    taken = [requests[position] for position in longest]
    lengths = {request.id: len(request.prompt_ids) for request in taken}
    documents = [Document(request.id, request.document, "") for request in taken]
    shapes = prompts.warmup_documents(documents, count, job.workload.seed)
    workload = dataclasses.replace(
        job.workload, max_new_tokens=min(prompts.WARMUP_NEW_TOKENS, job.workload.max_new_tokens)
    )
    shuffled = prompts.build_requests(backend, shapes, workload, job.model)
    warming = [
        dataclasses.replace(request, prompt_ids=request.prompt_ids[: lengths[request.id.removeprefix(prompts.WARMUP)]])
        for request in shuffled
    ]
    tokens = TokenTimes()
    with Heartbeat(lambda _: progress("warmup", 0, job.docs), lambda: tokens.arrived):
        for batch in hand_overs(warming, job):
            for _completion in backend.generate(batch, tokens):
                pass
