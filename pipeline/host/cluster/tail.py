"""Documents as a job on this machine finishes them, read from the file that it appends to."""

from pathlib import Path
from typing import BinaryIO


class Tail:
    """What is added to a documents.jsonl behind `earlier`, the lines that stand in it before the job starts.

    A worker that goes on writes those lines into a file of its own first, and one that has scored its documents puts a
    new file in place of the one that it appended to. So the first file that is not the earlier one, and begins with
    the same lines, is read to its end.
    """

    def __init__(self, path: Path, earlier: bytes) -> None:
        self._path, self._earlier = path, earlier
        self._before = path.stat().st_ino if path.exists() else None
        self._stream: BinaryIO | None = None
        self._begun = b""

    def read(self, largest: int) -> bytes:
        """The whole lines that were added since, of about so many bytes at most; empty where there are none."""
        if self._stream is None and not self._open():
            return b""
        assert self._stream is not None
        text = self._begun + self._stream.read(largest)
        whole = text[: text.rfind(b"\n") + 1]
        self._begun = text[len(whole) :]
        return whole

    def close(self) -> None:
        """Let the file go."""
        if self._stream is not None:
            self._stream.close()

    def _open(self) -> bool:
        if self._path.is_symlink() or not self._path.is_file() or self._path.stat().st_ino == self._before:
            return False
        stream = self._path.open("rb")
        if stream.read(len(self._earlier)) != self._earlier:  # still being written, or not a job that goes on
            stream.close()
            return False
        self._stream = stream
        return True
