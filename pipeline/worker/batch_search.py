"""The search for the largest batch that fits: upwards by doubling, then between what fits and what doesn't."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipeline.measures import TriedBatch
from pipeline.worker.backend import Backend, Request, longest_first
from pipeline.worker.batches import Batches, OutOfMemory
from pipeline.worker.telemetry import DeviceMeter, PeakSampler
from pipeline.worker.token_times import TokenTimes

LIMIT_S = 600.0
"""No batch is tried that would probably end after this; what fits until then is taken."""


@dataclass(frozen=True)
class Found:
    """size: the largest that fitted. tried: in order. complete: False where the time ran out before it was certain."""

    size: int
    tried: tuple[TriedBatch, ...]
    complete: bool


def search(try_size: Callable[[int], TriedBatch], start: int, most: int, limit_s: float = LIMIT_S) -> Found:
    """The largest size from 1 to most that fits, provided that all below one that fits do too.

    start: the first to try, then its doubles. A size of 1 is expected to fit; try_size raises where it doesn't.
    """
    tried: list[TriedBatch] = []
    fits, too_large = 0, most + 1
    size = min(start, most)
    while True:
        tried.append(try_size(size))
        if tried[-1].fits:
            fits = size
        else:
            too_large = size
        if too_large - fits == 1:
            return Found(fits, tuple(tried), complete=True)
        size = min(2 * fits, most) if too_large > most else (fits + too_large) // 2
        if fits and not _in_time(tried, size, limit_s):
            return Found(fits, tuple(tried), complete=False)


def _in_time(tried: Sequence[TriedBatch], size: int, limit_s: float) -> bool:
    """Whether there is time for that size, if it takes as long a document as the slowest that fitted."""
    a_document_s = max(item.seconds / item.size for item in tried if item.fits)
    return sum(item.seconds for item in tried) + a_document_s * size <= limit_s


def try_batch(
    backend: Backend, batches: Batches, requests: Sequence[Request], size: int, tokens: TokenTimes, meter: DeviceMeter
) -> TriedBatch:
    """Run the `size` longest prompts as one batch, each for its full number of new tokens. Raises OutOfMemory at 1."""
    longest = longest_first(requests)[:size]
    batches.size = size
    fits = True
    start = time.perf_counter()
    with PeakSampler(meter.used_bytes) as sampler:
        try:
            for _completion in backend.generate([_trial(request) for request in longest], tokens):
                pass
        except OutOfMemory:
            if size == 1:
                raise
            fits = False
    return TriedBatch(size, fits, time.perf_counter() - start, sampler.peak_bytes)


def _trial(request: Request) -> Request:
    """As long as the request, without its text: the ids behind the first in reverse."""
    first, rest = request.prompt_ids[:1], request.prompt_ids[1:]
    return replace(request, id=f"search-{request.id}", prompt_ids=(*first, *reversed(rest)), full_length=True)


def find_batch_size(
    backend: Backend,
    batches: Batches,
    requests: Sequence[Request],
    meter: DeviceMeter,
    tokens: TokenTimes,
    say: Callable[[int], None],
) -> Found:
    """Search over these requests and leave `batches` at the size found. say: told of each size before it is tried."""

    def try_size(size: int) -> TriedBatch:
        say(size)
        return try_batch(backend, batches, requests, size, tokens, meter)

    shrink, batches.shrink = batches.shrink, False
    found = search(try_size, batches.size, len(requests))
    batches.size, batches.shrink = found.size, shrink
    return found
