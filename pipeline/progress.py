"""Progress lines: what a worker says on its standard output and a launcher picks out of the log."""

import json
from dataclasses import dataclass

from pipeline import codec
from pipeline.errors import UsageError
from pipeline.plain import parse_json
from pipeline.results import Phase

PREFIX = "@progress "
FIELDS = ("phase", "done", "total")


@dataclass(frozen=True)
class ProgressLine:
    """done, total: documents."""

    phase: Phase
    done: int
    total: int


def format_progress(line: ProgressLine) -> str:
    """One line without its end."""
    return PREFIX + json.dumps([line.phase, line.done, line.total])


def parse_progress(text: str) -> ProgressLine | None:
    """The progress in a log line; None for any other line, also for one that only looks like progress."""
    if not text.startswith(PREFIX):
        return None
    try:
        values = parse_json(text[len(PREFIX) :], "progress")
        if not isinstance(values, list) or len(values) != len(FIELDS):
            return None
        return codec.decode(ProgressLine, dict(zip(FIELDS, values, strict=True)), "progress")
    except UsageError:
        return None
