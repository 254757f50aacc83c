"""Progress lines: what a worker says on its standard output and a launcher picks out of the log.

A line is a JSON list. Fields are only ever added at its end: one that holds fewer is an older worker's, and what a
newer one holds beyond those that are known is left out.
"""

import json
from dataclasses import dataclass, fields

from pipeline import codec
from pipeline.errors import UsageError
from pipeline.plain import parse_json
from pipeline.results import Phase

PREFIX = "@progress "
FIRST_FIELDS = 3
"""How many every line has: phase, done, total."""
LARGEST = 1 << 62
"""More than anything that is counted here."""


@dataclass(frozen=True)
class Reading:
    """What is seen of a running engine beside its documents; None for what isn't known, or not yet.

    memory_bytes: in use at the last reading (see telemetry.DeviceMeter). output_tokens: so far in this repeat, those of
    batches that had to be repeated included. repeat: of the timed section, from 1, out of repeats.
    """

    memory_bytes: int | None = None
    output_tokens: int | None = None
    repeat: int | None = None
    repeats: int | None = None


NO_READING = Reading()


@dataclass(frozen=True)
class ProgressLine:
    """done, total: documents; in the phase `search`, done is the batch size that is tried.

    The rest: see Reading.
    """

    phase: Phase
    done: int
    total: int
    memory_bytes: int | None = None
    output_tokens: int | None = None
    repeat: int | None = None
    repeats: int | None = None


FIELDS = tuple(field.name for field in fields(ProgressLine))


def progress_line(phase: Phase, done: int, total: int, reading: Reading = NO_READING) -> ProgressLine:
    """A line of its parts."""
    return ProgressLine(phase, done, total, **vars(reading))


def format_progress(line: ProgressLine) -> str:
    """One line without its end."""
    return PREFIX + json.dumps([getattr(line, name) for name in FIELDS])


def parse_progress(text: str) -> ProgressLine | None:
    """The progress in a log line; None for any other line, also for one that only looks like progress."""
    if not text.startswith(PREFIX):
        return None
    try:
        values = parse_json(text[len(PREFIX) :], "progress")
        if not isinstance(values, list) or len(values) < FIRST_FIELDS:
            return None
        line = codec.decode(ProgressLine, dict(zip(FIELDS, values, strict=False)), "progress")
    except UsageError:
        return None
    counts = [value for value in vars(line).values() if isinstance(value, int)]
    return line if all(0 <= count <= LARGEST for count in counts) else None
