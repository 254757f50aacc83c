"""Documents with reference summaries: reading, checking, choosing and fingerprinting them.

A dataset is a JSONL file in UTF-8, one object a line: `id`, `document`, `summary`; further fields are ignored.
"""

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.errors import UsageError
from pipeline.files import open_regular, sha256_json
from pipeline.plain import parse_json, shown

LONGEST_LINE_BYTES = 1 << 26
NAMES_SHOWN = 8
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

# What is given by mistake, told by how it begins.
_OTHER_FORMATS = {
    b"\x1f\x8b": "compressed with gzip; unpack it",
    b"BZh": "compressed with bzip2; unpack it",
    b"\xfd7zXZ": "compressed with xz; unpack it",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard; unpack it",
    b"PK\x03\x04": "a zip archive (or a spreadsheet); take out the documents",
    b"PAR1": "a Parquet file; write its rows as JSON lines",
    b"\xff\xfe": "text in UTF-16; save it as UTF-8",
    b"\xfe\xff": "text in UTF-16; save it as UTF-8",
}


@dataclass(frozen=True)
class Document:
    """An article and its reference summary."""

    id: str
    document: str
    summary: str


def read_documents(path: Path) -> list[Document]:
    """Read a whole dataset. A UsageError names the file, the line, the fault and the mend."""
    try:
        with open_regular(path) as stream:
            documents = _documents(stream, path)
    except OSError as error:
        raise UsageError(f"{path}: the dataset can't be read ({error.strerror})") from error
    if not documents:
        raise UsageError(f"{path}: the dataset is empty; it needs one JSON object a line with id, document, summary")
    return documents


def _documents(stream: BinaryIO, path: Path) -> list[Document]:
    documents: list[Document] = []
    seen: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(_lines(stream), start=1):
        where = f"{path}: line {number}"
        if number == 1:
            _require_text(line, path)
            line = line.removeprefix(BYTE_ORDER_MARK)
        if not line.strip():
            continue
        document = _parse(line, where)
        # People and tools that join results by id trim and normalise it, so such ids would become the same one.
        same = unicodedata.normalize("NFC", document.id.strip())
        if same in seen:
            raise UsageError(_not_unique(where, document.id, *seen[same]))
        seen[same] = number, document.id
        documents.append(document)
    return documents


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines however they end (LF, CRLF, CR), the first that is longer than LONGEST_LINE_BYTES not whole."""
    while piece := stream.readline(LONGEST_LINE_BYTES + 1):
        yield from piece.splitlines()


def _require_text(start: bytes, path: Path) -> None:
    for beginning, what in _OTHER_FORMATS.items():
        if start.startswith(beginning):
            raise UsageError(f"{path}: not a dataset but {what}")


def _not_unique(where: str, given: str, line: int, earlier: str) -> str:
    if given == earlier:
        return f"{where}: id {shown(given)} stands on line {line} already; make ids unique"
    return (
        f"{where}: id {shown(given)} differs from {shown(earlier)} on line {line} by white space or Unicode "
        "normalisation alone; make ids unique"
    )


def _parse(line: bytes, where: str) -> Document:
    if len(line) > LONGEST_LINE_BYTES:
        raise UsageError(f"{where}: longer than {LONGEST_LINE_BYTES >> 20} MiB; each line must be one JSON object")
    try:
        value = parse_json(line, where)
    except UsageError as error:
        raise UsageError(f"{error}; {_mend(line)}") from error
    if not isinstance(value, dict):
        found = type(value).__name__
        raise UsageError(f"{where}: expected a JSON object with id, document and summary, found {found}; {_mend(line)}")
    return Document(*(_text(value, name, where) for name in ("id", "document", "summary")))


def _mend(line: bytes) -> str:
    """What to do about a line that is no JSON object."""
    start = line.lstrip()
    if start.startswith(b"["):
        return "each line must be one JSON object: of one array make lines with `jq -c '.[]' FILE`"
    if start.rstrip() == b"{":
        return "each line must be one whole JSON object: put each on one line with `jq -c . FILE`"
    if not start.startswith(b"{") and (b"," in start or b"\t" in start or b";" in start):
        return "each line must be one JSON object; a table (CSV) has to be converted to JSON lines first"
    return "each line must be one JSON object"


def _text(value: dict[str, Any], name: str, where: str) -> str:
    if name not in value:
        found = ", ".join(map(shown, islice(value, NAMES_SHOWN))) or "no fields"
        raise UsageError(f"{where}: field {name!r} is missing; found {found}")
    text = value[name]
    if not isinstance(text, str):
        raise UsageError(f"{where}: field {name!r} must be text, found {type(text).__name__}")
    if not text.strip():
        raise UsageError(f"{where}: field {name!r} is empty; fill it or remove the line")
    if "\0" in text:  # where text is handed on to C, it ends there
        raise UsageError(f"{where}: field {name!r} holds a NUL character; remove it")
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
