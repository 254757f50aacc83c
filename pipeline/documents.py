"""Documents with reference summaries: reading, checking, choosing and fingerprinting them.

A dataset is a JSONL file, one object a line: `id`, `document`, `summary`; further fields are ignored.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.files import sha256_json


@dataclass(frozen=True)
class Document:
    """An article and its reference summary."""

    id: str
    document: str
    summary: str


def read_documents(path: Path) -> list[Document]:
    """Read a whole dataset. A UsageError names the file, the line, the fault and the mend."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(f"{path}: the dataset can't be read ({error.strerror})") from error
    documents: list[Document] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        document = _parse(line, f"{path}: line {number}")
        if document.id in seen:
            raise UsageError(
                f"{path}: line {number}: id {document.id!r} stands on line {seen[document.id]} already; make ids unique"
            )
        seen[document.id] = number
        documents.append(document)
    if not documents:
        raise UsageError(f"{path}: the dataset is empty; it needs one JSON object a line with id, document, summary")
    return documents


def _parse(line: bytes, where: str) -> Document:
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: not UTF-8 ({error.reason}); save the file as UTF-8") from error
    except ValueError as error:
        raise UsageError(f"{where}: not valid JSON ({error}); each line must be one JSON object") from error
    if not isinstance(value, dict):
        raise UsageError(f"{where}: expected a JSON object with id, document and summary, found {type(value).__name__}")
    return Document(*(_text(value, name, where) for name in ("id", "document", "summary")))


def _text(value: dict[str, Any], name: str, where: str) -> str:
    if name not in value:
        raise UsageError(f"{where}: field {name!r} is missing; found {', '.join(map(repr, value)) or 'no fields'}")
    text = value[name]
    if not isinstance(text, str):
        raise UsageError(f"{where}: field {name!r} must be text, found {type(text).__name__}")
    if not text.strip():
        raise UsageError(f"{where}: field {name!r} is empty; fill it or remove the line")
    try:
        text.encode()
    except UnicodeEncodeError as error:  # JSON can spell half a surrogate pair, which no file or tokenizer can hold
        raise UsageError(f"{where}: field {name!r} holds a broken Unicode escape ({error.reason}); mend it") from error
    return text


def choose(documents: Sequence[Document], docs: int, seed: int) -> list[Document]:
    """Choose `docs` documents by seed, in the dataset's order.

    Documents are ranked by a hash of seed and id, so a smaller choice is always part of a larger one with the same
    seed, on any machine and Python.
    """
    if docs > len(documents):
        raise UsageError(f"{docs} documents asked for, the dataset has {len(documents)}; lower --docs")
    ranked = sorted(documents, key=lambda document: hashlib.sha256(f"{seed}:{document.id}".encode()).digest())
    chosen = {document.id for document in ranked[:docs]}
    return [document for document in documents if document.id in chosen]


def fingerprint(documents: Sequence[Document]) -> str:
    """SHA-256 over the documents' ids, texts and summaries, in order."""
    return sha256_json([[document.id, document.document, document.summary] for document in documents])
