"""The timed section, as often as the job asks for: the first time into documents.jsonl, then into repeats.jsonl."""

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from pipeline.measures import DocumentResult, RepeatSample
from pipeline.results import REPEATS_FILE, document_line
from pipeline.spec import Job
from pipeline.worker.backend import Backend, Request
from pipeline.worker.generation import Generated, Progress, generate
from pipeline.worker.requests import seeded
from pipeline.worker.telemetry import DeviceMeter


def generate_repeatedly(
    backend: Backend,
    requests: Sequence[Request],
    job: Job,
    meter: DeviceMeter,
    stream: TextIO,
    folder: Path,
    progress: Progress,
    earlier: int,
) -> list[Generated]:
    """Run the timed section job.repeats times, in the one engine that was warmed up once. Each repeat's outcome.

    stream: documents.jsonl. folder: where repeats.jsonl goes, if there are repeats. earlier: see generate.
    """
    first = generate(backend, seeded(requests, job, 1), job, meter, stream, progress, earlier)
    if job.repeats == 1:
        return [first]
    texts = {document.id: document.text for document in first.documents}
    with (folder / REPEATS_FILE).open("w", encoding="utf-8") as again:
        return [
            first,
            *(
                _generate_again(backend, seeded(requests, job, repeat), job, meter, again, progress, repeat, texts)
                for repeat in range(2, job.repeats + 1)
            ),
        ]


def _generate_again(
    backend: Backend,
    requests: list[Request],
    job: Job,
    meter: DeviceMeter,
    stream: TextIO,
    progress: Progress,
    repeat: int,
    texts: dict[str, str],
) -> Generated:
    def line(document: DocumentResult) -> str:
        return document_line(repeat_sample(document, repeat, texts[document.id]))

    return generate(backend, requests, job, meter, stream, progress, repeat=repeat, line=line)


def repeat_sample(document: DocumentResult, repeat: int, first_text: str) -> RepeatSample:
    """What is kept of a document of a repeat. first_text: its text in the first."""
    return RepeatSample(
        repeat=repeat,
        id=document.id,
        same_text=document.text == first_text,
        output_tokens=document.output_tokens,
        latency_s=document.latency_s,
        ttft_s=document.ttft_s,
        tpot_s=document.tpot_s,
    )


def differing(repeats: Sequence[Generated]) -> int:
    """How many documents' texts were not the same in all repeats."""
    texts: dict[str, set[str]] = {}
    for repeat in repeats:
        for document in repeat.documents:
            texts.setdefault(document.id, set()).add(document.text)
    return sum(len(found) > 1 for found in texts.values())
