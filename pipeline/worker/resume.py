"""What an interrupted attempt of the same job left, and that it belongs to it."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from pipeline.analysis.samples import Samples
from pipeline.documents import Document
from pipeline.errors import BenchmarkError, UsageError
from pipeline.files import open_atomically
from pipeline.lazy import Picked, ascending
from pipeline.measures import DocumentResult
from pipeline.results import DOCUMENTS_FILE, document_at, documents_with_offsets
from pipeline.spec import Job
from pipeline.worker.requests import render_prompt, sha256_text

MEND = "delete the job's folder to run it from its start"


NOWHERE = -1
"""The place of a document without a line."""


@dataclass(frozen=True)
class Earlier:
    """Documents that an earlier attempt finished.

    places: by position in the workload, where in the file its line begins, or NOWHERE; gains the others' as they come.
    """

    places: "array[int]"
    samples: Samples
    count: int


def earlier_documents(job: Job, folder: Path, chosen: Sequence[Document]) -> Earlier:
    """The finished documents in the job's folder; none where the job doesn't ask for them.

    A torn last line is left out. A UsageError names file and line of damage elsewhere, and of a document that is not
    of this workload, was given another prompt or stands there twice.
    """
    path = folder / DOCUMENTS_FILE
    places, samples = array("q", [NOWHERE]) * len(chosen), Samples()
    if not job.resume_documents or not path.exists():
        return Earlier(places, samples, 0)
    positions, number = Positions(chosen), 0
    for number, (place, document) in enumerate(documents_with_offsets(path), start=1):
        where = f"{path}: line {number}: document {document.id!r}"
        position = positions.of(document.id)
        if position is None:
            raise UsageError(f"{where} is not of this workload; {MEND}")
        text = chosen[position].document
        if document.prompt_sha256 != sha256_text(render_prompt(text, job.workload, job.model)):
            raise UsageError(f"{where} was given another prompt; {MEND}")
        if places[position] != NOWHERE:
            raise UsageError(f"{where} stands there twice; {MEND}")
        places[position] = place
        samples.add(document)
    return Earlier(places, samples, number)


@contextmanager
def open_documents(folder: Path, earlier: Earlier) -> Iterator[BinaryIO]:
    """documents.jsonl, to be gone on with behind the earlier documents. They are written anew: a torn line goes."""
    path = folder / DOCUMENTS_FILE
    if earlier.count:
        with path.open(encoding="utf-8", newline="\n") as lines, open_atomically(path) as kept:
            kept.writelines(islice(lines, earlier.count))
    with path.open("ab" if earlier.count else "wb") as stream:
        yield stream


def finished_documents(
    folder: Path, places: Sequence[int], chosen: Sequence[Document]
) -> Iterator[tuple[DocumentResult, Document]]:
    """What became of each document of the workload, in its order, with the document. places: see Earlier, none missing.

    A BenchmarkError where the file changed since it was written.
    """
    path = folder / DOCUMENTS_FILE
    with path.open("rb") as stream:
        for place, document in zip(places, chosen, strict=True):
            result = document_at(stream, place)
            if result.id != document.id:
                raise BenchmarkError(f"{path}: changed while the job ran; run it again")
            yield result, document


class Positions:
    """Where documents stand in a sequence, by their ids: 16 bytes each, since it keeps hashes and looks again."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = documents
        hashes = array("q", (hash(document.id) for document in documents))
        self._order = ascending(hashes)
        self._hashes = Picked(hashes, self._order)

    def of(self, name: str) -> int | None:
        """The position of the document of that id; None where there is none."""
        wanted = hash(name)
        for place in range(bisect_left(self._hashes, wanted), len(self._hashes)):
            if self._hashes[place] != wanted:
                return None
            if self._documents[self._order[place]].id == name:
                return self._order[place]
        return None
