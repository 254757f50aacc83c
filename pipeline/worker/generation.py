"""The timed section of a job: hand requests over, stamp what comes back, write it down at once."""

import os
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from pipeline.analysis.samples import Samples
from pipeline.errors import BenchmarkError
from pipeline.measures import DocumentResult
from pipeline.progress import NO_READING, Reading
from pipeline.results import Phase, document_line
from pipeline.spec import Job
from pipeline.worker.backend import Backend, Completion, Request
from pipeline.worker.hand_over import HandOver, Taken, hand_overs
from pipeline.worker.heartbeat import Heartbeat
from pipeline.worker.telemetry import DeviceMeter, PeakSampler
from pipeline.worker.token_times import TokenTimes


class Progress(Protocol):
    """Called with the phase, the documents done and in all and, in the timed section, what is seen of the engine."""

    def __call__(self, phase: Phase, done: int, total: int, reading: Reading = NO_READING, /) -> None: ...


@dataclass(frozen=True)
class Generated:
    """The timed section's raw outcome. samples: in order of completion. energy_j: None where it isn't metered.

    text_hashes: by the requests' positions; none where there are no repeats.
    prefill_s, decode_s: see Timing. throttled: the driver's reasons for lower clocks, and in how many of the readings
    it gave each. readings: those in which it could tell. sync_s: of generate_s, what it took to see each document
    safely on the disk; None where that was not asked for.
    """

    samples: Samples
    text_hashes: "array[int]"
    generate_s: float
    peak_memory_bytes: int | None
    energy_j: float | None
    prefill_s: float | None = None
    decode_s: float | None = None
    throttled: Mapping[str, int] = field(default_factory=dict)
    readings: int = 0
    sync_s: float | None = None


def generate(
    backend: Backend,
    requests: Sequence[Request],
    job: Job,
    meter: DeviceMeter | None,
    stream: BinaryIO,
    progress: Progress,
    earlier: int = 0,
    repeat: int = 1,
    line: Callable[[DocumentResult, int], str] = lambda document, _: document_line(document),
    note: Callable[[int, int], None] = lambda position, place: None,
) -> Generated:
    """The timed section. Each finished document is written at once, so that a crash keeps what was done.

    With job.resume_documents it is on the disk before the next is waited for, so that a power cut keeps it too.
    meter: None leaves out token callbacks, telemetry and heartbeats, which is how their cost is measured.
    earlier: documents that were done before, for progress to count. repeat: of the timed section, from 1. line: what is
    written of a finished document, given its request's position. note: told of that position and of where in the stream
    the line begins.
    """
    samples, text_hashes = Samples(), array("q", [0]) * (len(requests) if job.repeats > 1 else 0)
    over, handed_over, place = HandOver(requests), 0, stream.tell()
    sync_s = 0.0
    times = TokenTimes()
    total = earlier + len(requests)

    def say(done: int) -> None:
        # of readings that were taken anyway: whatever says this takes none
        memory = sampler.last_bytes if sampler else None
        progress("generate", earlier + done, total, Reading(memory, times.arrived or None, repeat, job.repeats))

    with ExitStack() as stack:
        sampler = stack.enter_context(PeakSampler(meter.used_bytes, meter.throttling)) if meter else None
        energy_before = meter.energy_j() if meter else None
        say(0)
        if meter:
            stack.enter_context(Heartbeat(say, lambda: times.arrived, lambda: over.completed))
        start = time.perf_counter()
        for batch in hand_overs(over, job):
            handed_over += len(batch)
            since = time.perf_counter()
            times.begin(since)
            for completion in backend.generate(batch, times if meter else None):
                now = time.perf_counter()
                times.end_step()
                taken = over.complete(completion.id)
                document = _document_result(taken, completion, times, since, now)
                _require_full_length(document, job)
                samples.add(document)
                note(taken.position, place)
                if text_hashes:
                    text_hashes[taken.position] = hash(document.text)
                place += stream.write(line(document, taken.position).encode())
                stream.flush()
                if job.resume_documents:
                    os.fsync(stream.fileno())
                    sync_s += time.perf_counter() - now
            over.require_completed(handed_over)
        end = time.perf_counter()
        energy_after = meter.energy_j() if meter else None
    return Generated(
        samples=samples,
        text_hashes=text_hashes,
        generate_s=end - start,
        peak_memory_bytes=sampler.peak_bytes if sampler else None,
        prefill_s=times.prefill_s if times.arrived else None,
        decode_s=times.decode_s if times.arrived else None,
        throttled=sampler.throttled if sampler else {},
        readings=sampler.readings if sampler else 0,
        energy_j=energy_after - energy_before if energy_after is not None and energy_before is not None else None,
        sync_s=sync_s if job.resume_documents else None,
    )


def _require_full_length(document: DocumentResult, job: Job) -> None:
    """Random weights tell of speed only if no document ends early, which an adapter sees to (Request.full_length)."""
    asked = job.workload.max_new_tokens
    if job.synthetic and document.output_tokens not in (None, asked):
        raise BenchmarkError(
            f"document {document.id} got {document.output_tokens} of {asked} new tokens on random weights; its "
            "engine's adapter has to go on past end-of-sequence ids (Request.full_length)"
        )


def _document_result(
    taken: Taken, completion: Completion, times: TokenTimes, since: float, now: float
) -> DocumentResult:
    output_tokens = len(completion.output_ids) if completion.output_ids is not None else None
    first, last = times.take(completion.id)
    tpot_s = None
    if first is not None and last is not None and output_tokens is not None and output_tokens > 1:
        tpot_s = (last - first) / (output_tokens - 1)
    return DocumentResult(
        id=completion.id,
        text=completion.text,
        finish_reason=completion.finish_reason,
        prompt_tokens=taken.prompt_tokens or None,
        output_tokens=output_tokens,
        latency_s=now - since,
        ttft_s=first - since if first is not None else None,
        tpot_s=tpot_s,
        prompt_sha256=taken.prompt_sha256,
    )
