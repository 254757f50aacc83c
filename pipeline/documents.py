"""Documents with reference summaries: reading, checking, choosing and fingerprinting them.

A dataset is a JSONL file in UTF-8, one object a line: `id`, `document`, `summary`; further fields are ignored.
"""

import hashlib
import json
import os
import unicodedata
import weakref
import zlib
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, overload

from pipeline.errors import BenchmarkError, UsageError
from pipeline.files import open_regular, sha256_json_of_all
from pipeline.lazy import Picked, ascending, repeated
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


class _Places(NamedTuple):
    """Where documents' lines are in their file, in bytes, and what they sum up to."""

    offsets: "array[int]"
    lengths: "array[int]"
    checksums: "array[int]"


class Documents(Sequence[Document]):
    """A dataset's documents, each read from its file when it is taken. Of each, some 16 bytes are held.

    A BenchmarkError where a line is not the one that was checked any more. Its file stays open as long as it is there.
    """

    def __init__(self, path: Path, file: int, places: _Places) -> None:
        self._path = path
        self._file = os.dup(file)
        weakref.finalize(self, os.close, self._file)
        self._offsets, self._lengths, self._checksums = places

    @classmethod
    def checked(cls, path: Path, stream: BinaryIO) -> "Documents":
        """All of a file; see read_documents."""
        places, ids = _Places(array("Q"), array("I"), array("I")), array("q")
        for line in _lines(stream, path):
            places.offsets.append(line.offset)
            places.lengths.append(len(line.content))
            places.checksums.append(zlib.crc32(line.content))
            ids.append(hash(comparable(_parse(line).id)))
        if twice := repeated(ids):
            stream.seek(0)
            _require_unique(_lines(stream, path), twice)
        return cls(path, stream.fileno(), places)

    def only(self, positions: Sequence[int]) -> "Documents":
        """Those at these positions, which hold nothing of the others."""
        kept = (self._offsets, self._lengths, self._checksums)
        parts = (array(values.typecode, (values[position] for position in positions)) for values in kept)
        return Documents(self._path, self._file, _Places(*parts))

    def __len__(self) -> int:
        return len(self._offsets)

    @overload
    def __getitem__(self, index: int) -> Document: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Document]: ...
    def __getitem__(self, index: int | slice) -> Document | Sequence[Document]:
        if isinstance(index, slice):
            return Picked(self, range(len(self))[index])
        content = os.pread(self._file, self._lengths[index], self._offsets[index])
        if zlib.crc32(content) != self._checksums[index]:
            raise BenchmarkError(f"{self._path}: the documents changed while they were in use; run the command again")
        value = json.loads(content.decode())  # of bytes it would guess the encoding
        return Document(value["id"], value["document"], value["summary"])


def read_documents(path: Path) -> Documents:
    """Check a whole dataset. A UsageError names the file, the line, the fault and the mend."""
    try:
        with open_regular(path) as stream:
            documents = Documents.checked(path, stream)
    except OSError as error:
        raise UsageError(f"{path}: the dataset can't be read ({error.strerror})") from error
    if not documents:
        raise UsageError(f"{path}: the dataset is empty; it needs one JSON object a line with id, document, summary")
    return documents


class Line(NamedTuple):
    """One that is not blank. content: without a byte order mark; its end may be part of it. where: for an error."""

    content: bytes
    offset: int
    number: int
    where: str


def _lines(stream: BinaryIO, path: Path) -> Iterator[Line]:
    """Lines however they end (LF, CRLF, CR), the first that is longer than LONGEST_LINE_BYTES not whole."""
    offset = number = 0
    while piece := stream.readline(LONGEST_LINE_BYTES + 1):
        for line in piece.splitlines(keepends=True):
            number += 1
            start = offset
            offset += len(line)
            if number == 1:
                require_text_format(line, path)
                if line.startswith(BYTE_ORDER_MARK):
                    line, start = line.removeprefix(BYTE_ORDER_MARK), len(BYTE_ORDER_MARK)
            if line.strip():
                yield Line(line, start, number, f"{path}: line {number}")


def comparable(name: str) -> str:
    """What an id must not share: people and tools that join results by id trim and normalise it."""
    return unicodedata.normalize("NFC", name.strip())


def _require_unique(lines: Iterable[Line], hashes: Collection[int]) -> None:
    """Raise a UsageError for the first id that stood there before. hashes: of those that may."""
    seen: dict[str, tuple[int, str]] = {}
    for line in lines:
        given = _parse(line).id
        same = comparable(given)
        if hash(same) not in hashes:
            continue
        if same in seen:
            raise UsageError(_not_unique(line.where, given, *seen[same]))
        seen[same] = line.number, given


def require_text_format(start: bytes, path: Path) -> None:
    """Raise a UsageError for a file that begins as one of another kind does."""
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


def json_objects(stream: BinaryIO, path: Path) -> Iterator[tuple[Line, dict[str, Any]]]:
    """Each line of a file and its object. A UsageError names the line that is none, and the mend."""
    return ((line, _object(line)) for line in _lines(stream, path))


def _parse(read: Line) -> Document:
    value = _object(read)
    return Document(*(_text(value, name, read.where) for name in ("id", "document", "summary")))


def _object(read: Line) -> dict[str, Any]:
    line, where = read.content, read.where
    if len(line) > LONGEST_LINE_BYTES:
        raise UsageError(f"{where}: longer than {LONGEST_LINE_BYTES >> 20} MiB; each line must be one JSON object")
    try:
        value = parse_json(line, where)
    except UsageError as error:
        raise UsageError(f"{error}; {_mend(line)}") from error
    if not isinstance(value, dict):
        found = type(value).__name__
        raise UsageError(f"{where}: expected a JSON object with id, document and summary, found {found}; {_mend(line)}")
    return value


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
    return usable_text(value[name], name, where)


def usable_text(text: Any, name: str, where: str) -> str:
    """The text of a field, if that is what it is; a UsageError for anything else, for an empty one, and for a NUL."""
    if not isinstance(text, str):
        raise UsageError(f"{where}: field {name!r} must be text, found {type(text).__name__}")
    if not text.strip():
        raise UsageError(f"{where}: field {name!r} is empty; fill it or remove the line")
    if "\0" in text:  # where text is handed on to C, it ends there
        raise UsageError(f"{where}: field {name!r} holds a NUL character; remove it")
    return text


def choose(documents: Sequence[Document], docs: int, seed: int) -> Sequence[Document]:
    """Choose `docs` documents by seed, in the dataset's order.

    Documents are ranked by a hash of seed and id, so a smaller choice is always part of a larger one with the same
    seed, on any machine and Python.
    """
    if docs > len(documents):
        raise UsageError(f"{docs} documents asked for, the dataset has {len(documents)}; lower --docs")
    if docs == len(documents):
        return documents
    ranks = array("Q", (_rank(document.id, seed) for document in documents))
    least = array("q", ascending(ranks)[:docs])
    return Picked(documents, array("q", map(least.__getitem__, ascending(least))))


def part(documents: Sequence[Document], positions: Sequence[int]) -> Sequence[Document]:
    """Those at these positions; where they are read from a file, nothing is held of the others."""
    picked = Picked(documents, positions)
    return picked.source.only(picked.positions) if isinstance(picked.source, Documents) else picked


def _rank(name: str, seed: int) -> int:
    """The hash's first 64 bits, which no two of a dataset share in practice."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big")


def fingerprint(documents: Iterable[Document]) -> str:
    """SHA-256 over the documents' ids, texts and summaries, in order."""
    return sha256_json_of_all([document.id, document.document, document.summary] for document in documents)
