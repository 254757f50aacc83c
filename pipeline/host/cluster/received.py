"""A job's folder on this machine, as what comes from a node fills it."""

import os
from pathlib import Path
from typing import IO

from pipeline.errors import BenchmarkError
from pipeline.files import create_anew
from pipeline.host.cluster.events import FILES, Documents, Piece
from pipeline.results import DOCUMENTS_FILE

PART = ".part"
"""The end of the name of a file that is not whole yet."""


class Received:
    """Takes documents as they are finished, so that nothing that came is lost with the node or with this process, and
    whole files at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._part: IO[bytes] | None = None

    @property
    def _documents(self) -> Path:
        return self._folder / DOCUMENTS_FILE

    def earlier(self, *, wanted: bool) -> bytes:
        """The whole lines that are here before an attempt; what else there is goes, and all where none is wanted."""
        if not self._documents.is_file():
            return b""
        lines = self._documents.read_bytes()
        kept = lines[: lines.rfind(b"\n") + 1] if wanted else b""
        if kept != lines:
            os.truncate(self._documents, len(kept))
        return kept

    def add(self, documents: Documents) -> None:
        """Append lines."""
        with self._documents.open("ab") as stream:
            stream.write(documents.lines)

    def take(self, piece: Piece) -> None:
        """Write a part of a file; the file appears with its last. A BenchmarkError for another name."""
        if piece.name not in FILES:
            raise BenchmarkError(f"a node sent a file named {piece.name!r}; a job leaves {', '.join(FILES)}")
        path = self._folder / f"{piece.name}{PART}"
        if self._part is None:
            self._part = create_anew(path)
        self._part.write(piece.content)
        if piece.last:
            self._part.flush()
            os.fsync(self._part.fileno())
            self.close()
            path.rename(self._folder / piece.name)

    def close(self) -> None:
        """Let go of a file that is not whole."""
        if self._part is not None:
            self._part.close()
            self._part = None

    def discard_parts(self) -> None:
        """Remove what a lost node left half sent."""
        self.close()
        for path in self._folder.glob(f"*{PART}"):
            path.unlink()
