"""Requests on the disk: what an engine is fed, ready to be taken in any order, with nothing of it in memory."""

import os
import struct
import tempfile
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import overload

from pipeline.lazy import Picked
from pipeline.worker.backend import Request, Requests

HEADER = struct.Struct("<qi?III")
"""seed, max_new_tokens, full_length, bytes of id, document and prompt_sha256. What is left are the prompt's ids."""


class Spool(Requests):
    """Requests in a file of that folder which has no name, so that nothing is left of it whatever ends the process.

    Of each some 20 bytes are held. prompt_lengths: in tokens. text_lengths: of the documents, in characters. A context,
    at whose end the file goes. Reading one takes some microseconds and no memory but its own.
    """

    def __init__(self, requests: Iterable[Request], folder: Path) -> None:
        self._offsets = array("Q", [0])
        self._prompt_lengths, self.text_lengths = array("I"), array("I")
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by close()
        try:
            for request in requests:
                self._offsets.append(self._offsets[-1] + self._file.write(_record(request)))
                self._prompt_lengths.append(len(request.prompt_ids))
                self.text_lengths.append(len(request.document))
            self._file.flush()
        except BaseException:
            self.close()
            raise

    @property
    def prompt_lengths(self) -> "array[int]":
        return self._prompt_lengths

    def __len__(self) -> int:
        return len(self._prompt_lengths)

    @overload
    def __getitem__(self, index: int) -> Request: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Request]: ...
    def __getitem__(self, index: int | slice) -> Request | Sequence[Request]:
        if isinstance(index, slice):
            return Picked(self, range(len(self))[index])
        at = range(len(self))[index]
        start, end = self._offsets[at], self._offsets[at + 1]
        return _request(os.pread(self._file.fileno(), end - start, start))

    def close(self) -> None:
        """Remove the file. Safe to call twice."""
        self._file.close()

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _record(request: Request) -> bytes:
    texts = [text.encode() for text in (request.id, request.document, request.prompt_sha256 or "")]
    numbers = request.seed, request.max_new_tokens, request.full_length, *map(len, texts)
    return HEADER.pack(*numbers) + b"".join(texts) + array("I", request.prompt_ids).tobytes()


def _request(record: bytes) -> Request:
    seed, most, full, id_end, document_end, sha256_end = HEADER.unpack_from(record)
    id_end += HEADER.size
    document_end += id_end
    sha256_end += document_end
    ids = array("I")
    ids.frombytes(record[sha256_end:])
    return Request(
        id=record[HEADER.size : id_end].decode(),
        document=record[id_end:document_end].decode(),
        prompt_ids=tuple(ids),
        max_new_tokens=most,
        prompt_sha256=record[document_end:sha256_end].decode() or None,
        full_length=full,
        seed=seed,
    )
