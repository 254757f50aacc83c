"""Rows of JSON lines, one in memory at a time."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.documents import json_objects
from pipeline.errors import UsageError
from pipeline.files import open_regular
from pipeline.host.corpora.rows import Row


def columns(file: Path) -> tuple[str, ...]:
    """The fields of the first line, none of an empty file."""
    return next((tuple(row.values) for row in rows(file)), ())


def rows(file: Path) -> Iterator[Row]:
    """Every line's object; blank lines are passed over. A UsageError names the line that is none."""
    try:
        with open_regular(file) as stream:
            for line, value in json_objects(stream, file):
                yield Row(value, line.where, line.number)
    except OSError as error:
        raise UsageError(f"{file}: can't be read ({error.strerror})") from error
