"""The timed section of a job: hand requests over, stamp what comes back, write it down at once."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Protocol, TextIO

from pipeline.errors import BenchmarkError
from pipeline.measures import DocumentResult
from pipeline.progress import NO_READING, Reading
from pipeline.results import Phase, document_line
from pipeline.spec import Job
from pipeline.worker.backend import Backend, Completion, Request
from pipeline.worker.heartbeat import Heartbeat
from pipeline.worker.telemetry import DeviceMeter, PeakSampler
from pipeline.worker.token_times import TokenTimes


class Progress(Protocol):
    """Called with the phase, the documents done and in all and, in the timed section, what is seen of the engine."""

    def __call__(self, phase: Phase, done: int, total: int, reading: Reading = NO_READING, /) -> None: ...


@dataclass(frozen=True)
class Generated:
    """The timed section's raw outcome. documents: in order of completion. energy_j: None where it isn't metered.

    prefill_s, decode_s: see Timing. throttled: the driver's reasons for lower clocks, and in how many of the readings
    it gave each. readings: those in which it could tell. sync_s: of generate_s, what it took to see each document
    safely on the disk; None where that was not asked for.
    """

    documents: list[DocumentResult]
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
    requests: list[Request],
    job: Job,
    meter: DeviceMeter | None,
    stream: TextIO,
    progress: Progress,
    earlier: int = 0,
    repeat: int = 1,
    line: Callable[[DocumentResult], str] = document_line,
) -> Generated:
    """The timed section. Each finished document is written at once, so that a crash keeps what was done.

    With job.resume_documents it is on the disk before the next is waited for, so that a power cut keeps it too.
    meter: None leaves out token callbacks, telemetry and heartbeats, which is how their cost is measured.
    earlier: documents that were done before, for progress to count. repeat: of the timed section, from 1. line: what is
    written of a finished document.
    """
    documents: list[DocumentResult] = []
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
            stack.enter_context(Heartbeat(say, lambda: times.arrived, lambda: len(documents)))
        start = time.perf_counter()
        for batch in hand_overs(requests, job):
            handed_over = time.perf_counter()
            times.begin(handed_over)
            expected = {request.id: request for request in batch}
            for completion in backend.generate(batch, times if meter else None):
                now = time.perf_counter()
                times.end_step()
                request = expected.pop(completion.id)
                documents.append(_document_result(request, completion, times, handed_over, now))
                stream.write(line(documents[-1]))
                stream.flush()
                if job.resume_documents:
                    os.fsync(stream.fileno())
                    sync_s += time.perf_counter() - now
            if expected:
                raise BenchmarkError(
                    f"the engine left {len(expected)} documents without a completion: {min(expected)}, …"
                )
        end = time.perf_counter()
        energy_after = meter.energy_j() if meter else None
    return Generated(
        documents=documents,
        generate_s=end - start,
        peak_memory_bytes=sampler.peak_bytes if sampler else None,
        prefill_s=times.prefill_s if times.arrived else None,
        decode_s=times.decode_s if times.arrived else None,
        throttled=sampler.throttled if sampler else {},
        readings=sampler.readings if sampler else 0,
        energy_j=energy_after - energy_before if energy_after is not None and energy_before is not None else None,
        sync_s=sync_s if job.resume_documents else None,
    )


def _document_result(
    request: Request, completion: Completion, times: TokenTimes, handed_over: float, now: float
) -> DocumentResult:
    output_tokens = len(completion.output_ids) if completion.output_ids is not None else None
    first, last = times.first.get(request.id), times.last.get(request.id)
    tpot_s = None
    if first is not None and last is not None and output_tokens is not None and output_tokens > 1:
        tpot_s = (last - first) / (output_tokens - 1)
    return DocumentResult(
        id=request.id,
        text=completion.text,
        finish_reason=completion.finish_reason,
        prompt_tokens=len(request.prompt_ids) or None,
        output_tokens=output_tokens,
        latency_s=now - handed_over,
        ttft_s=first - handed_over if first is not None else None,
        tpot_s=tpot_s,
        prompt_sha256=request.prompt_sha256,
    )


def hand_overs(requests: list[Request], job: Job) -> list[list[Request]]:
    """What is handed to the engine at a time: all at once in `offline`, one by one in `single`."""
    return [[request] for request in requests] if job.scenario == "single" else [requests]
