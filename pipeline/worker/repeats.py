"""The timed section, as often as the job asks for: the first time into documents.jsonl, then into repeats.jsonl."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from pipeline.measures import DocumentResult, RepeatSample
from pipeline.results import REPEATS_FILE, document_line
from pipeline.spec import Job
from pipeline.worker.backend import Backend, Request
from pipeline.worker.generation import Generated, Progress, generate
from pipeline.worker.requests import Seeded
from pipeline.worker.telemetry import DeviceMeter


def generate_repeatedly(
    backend: Backend,
    requests: Sequence[Request],
    job: Job,
    meter: DeviceMeter,
    stream: BinaryIO,
    folder: Path,
    progress: Progress,
    earlier: int,
    note: Callable[[int, int], None],
) -> list[Generated]:
    """Run the timed section job.repeats times, in the one engine that was warmed up once. Each repeat's outcome.

    stream: documents.jsonl. folder: where repeats.jsonl goes, if there are repeats. earlier, note: see generate; the
    first is what note is told of.
    """
    first = generate(backend, Seeded(requests, job, 1), job, meter, stream, progress, earlier, note=note)
    if job.repeats == 1:
        return [first]
    with (folder / REPEATS_FILE).open("wb") as again:
        return [
            first,
            *(
                _generate_again(backend, requests, job, meter, again, progress, repeat, first)
                for repeat in range(2, job.repeats + 1)
            ),
        ]


def _generate_again(
    backend: Backend,
    requests: Sequence[Request],
    job: Job,
    meter: DeviceMeter,
    stream: BinaryIO,
    progress: Progress,
    repeat: int,
    first: Generated,
) -> Generated:
    def line(document: DocumentResult, position: int) -> str:
        same = hash(document.text) == first.text_hashes[position]
        return document_line(repeat_sample(document, repeat, same_text=same))

    return generate(backend, Seeded(requests, job, repeat), job, meter, stream, progress, repeat=repeat, line=line)


def repeat_sample(document: DocumentResult, repeat: int, *, same_text: bool) -> RepeatSample:
    """What is kept of a document of a repeat. same_text: as in the first."""
    return RepeatSample(
        repeat=repeat,
        id=document.id,
        same_text=same_text,
        output_tokens=document.output_tokens,
        latency_s=document.latency_s,
        ttft_s=document.ttft_s,
        tpot_s=document.tpot_s,
    )


def differing(repeats: Sequence[Generated]) -> int:
    """How many documents' texts were not the same in all repeats."""
    first, *others = (repeat.text_hashes for repeat in repeats)
    return sum(any(hashes[position] != first[position] for hashes in others) for position in range(len(first)))
