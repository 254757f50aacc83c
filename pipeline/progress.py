"""Progress lines: what a worker says on its standard output and a launcher picks out of the log."""

import json
from dataclasses import dataclass

from pipeline.results import Phase

PREFIX = "@progress "


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
        phase, done, total = json.loads(text[len(PREFIX) :])
        return ProgressLine(phase, int(done), int(total))
    except (ValueError, TypeError):
        return None
