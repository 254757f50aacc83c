"""A job's output on its way into the log and to whoever watches, whatever becomes of either."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO

from pipeline.files import create_anew
from pipeline.host.launchers import OnLine
from pipeline.redact import redact


class Log:
    """A job's log. A disk that fills up, or a folder that is gone, must neither block the job nor end the command.

    fault: why the log is not whole; None as long as it is.
    """

    def __init__(self, path: Path) -> None:
        self.fault: str | None = None
        self._stream: IO[bytes] | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = create_anew(path)
        except OSError as error:
            self._broken(path, error)
        self._path = path

    def __enter__(self) -> "Log":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                stream.close()
            except OSError as fault:
                self._broken(self._path, fault)

    def write(self, line: bytes) -> None:
        """Append output, whole lines with their ends, without secrets; in the file at once, unless that fails."""
        if self._stream is None:
            return
        try:
            self._stream.write(without_secrets(line))
            self._stream.flush()
        except (OSError, ValueError) as error:  # ValueError: closed over a stream that hangs
            self._broken(self._path, error)
            self._stream = None

    def replace(self, text: bytes) -> None:
        """Put all of a job's output in place of what was written so far."""
        if self._stream is None:
            return
        self._stream.seek(0)
        self._stream.truncate()
        self.write(text)

    def _broken(self, path: Path, error: BaseException) -> None:
        self.fault = f"{path}: the log can't be written ({error})"


def on_both(first: OnLine, second: OnLine) -> OnLine:
    """One callback for two."""

    def call(text: str) -> None:
        first(text)
        second(text)

    return call


def pump(lines: Iterable[bytes], log: Log, on_line: OnLine) -> None:
    """Take lines, each with its end, until they end. Goes on reading when the log breaks: a full pipe stops a job."""
    for line in lines:
        log.write(line)
        on_line(without_secrets(line).decode("utf-8", errors="replace").rstrip("\r\n"))


def without_secrets(output: bytes) -> bytes:
    """A job's output without tokens; what holds none is left as it is, also where it is no text."""
    text = output.decode("utf-8", errors="replace")
    shown = redact(text)
    return output if shown == text else shown.encode(errors="replace")
