"""What broke a program, from any log: of a job here, or pasted from anywhere."""

import sys
from pathlib import Path
from typing import BinaryIO

from pipeline.analysis.failures import TAIL_BYTES, Classified, classify, load_signatures, read_tail
from pipeline.errors import UsageError

STANDARD_INPUT = "-"


def explain(given: str) -> Classified:
    """Classify a log file, or standard input for `-`; a UsageError for what can't be read."""
    try:
        log = _tail_of_stream(sys.stdin.buffer) if given == STANDARD_INPUT else read_tail(Path(given))
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"{given}: can't be read as a log ({reason}); name a file, or - for standard input") from error
    return classify(log, load_signatures())


def _tail_of_stream(stream: BinaryIO) -> str:
    tail = b""
    while piece := stream.read(TAIL_BYTES):
        tail = (tail + piece)[-TAIL_BYTES:]
    return tail.decode("utf-8", errors="replace")
