"""What an interrupted attempt of the same job left, and that it belongs to it."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.documents import Document
from pipeline.errors import UsageError
from pipeline.measures import DocumentResult
from pipeline.results import DOCUMENTS_FILE, read_documents
from pipeline.spec import Job
from pipeline.worker.requests import render_prompt, sha256_text

MEND = "delete the job's folder to run it from its start"


def earlier_documents(job: Job, folder: Path, chosen: Sequence[Document]) -> list[DocumentResult]:
    """The finished documents in the job's folder; none where the job doesn't ask for them.

    A torn last line is left out. A UsageError names file and line of damage elsewhere, and of a document that is not
    of this workload, was given another prompt or stands there twice.
    """
    path = folder / DOCUMENTS_FILE
    if not job.resume_documents or not path.exists():
        return []
    texts = {document.id: document.document for document in chosen}
    found: dict[str, DocumentResult] = {}
    for number, document in enumerate(read_documents(path), start=1):
        where = f"{path}: line {number}: document {document.id!r}"
        if document.id not in texts:
            raise UsageError(f"{where} is not of this workload; {MEND}")
        if document.prompt_sha256 != sha256_text(render_prompt(texts[document.id], job.workload, job.model)):
            raise UsageError(f"{where} was given another prompt; {MEND}")
        if document.id in found:
            raise UsageError(f"{where} stands there twice; {MEND}")
        found[document.id] = document
    return list(found.values())
