"""Rows of CSV and TSV files in UTF-8, one in memory at a time. The first row names the columns."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.documents import LONGEST_LINE_BYTES, require_text_format
from pipeline.errors import UsageError
from pipeline.files import open_regular
from pipeline.host.corpora.rows import Row

SEPARATORS = {".csv": ",", ".tsv": "\t"}
PROBED_BYTES = 8
"""Enough to know files of other kinds by."""


def columns(file: Path) -> tuple[str, ...]:
    """What the first row names. A UsageError for a file without rows, and for a name that stands twice."""
    with _opened(file) as lines:
        return _header(lines, file)


def rows(file: Path) -> Iterator[Row]:
    """Every row as its texts by column; blank lines are passed over.

    A UsageError names the row that has more or fewer values than there are columns, or whose quotes don't end.
    """
    with _opened(file) as lines:
        names = _header(lines, file)
        number = 0
        for values in lines:
            if not values:
                continue
            number += 1
            where = f"{file}: row {number}, line {lines.line_num}"
            if len(values) != len(names):
                raise UsageError(
                    f"{where}: has {len(values)} values, and there are {len(names)} columns; put texts with a "
                    f"{'tab' if lines.dialect.delimiter == SEPARATORS['.tsv'] else 'comma'} in them in quotes"
                )
            yield Row(dict(zip(names, values, strict=True)), where, number)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    csv.field_size_limit(LONGEST_LINE_BYTES)
    lines = None
    try:
        with open_regular(file) as stream:
            require_text_format(stream.read(PROBED_BYTES), file)
            stream.seek(0)
            text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
            lines = csv.reader(text, delimiter=SEPARATORS[file.suffix.lower()], strict=True)
            yield lines
    except OSError as error:
        raise UsageError(f"{file}: can't be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        after = lines.line_num if lines is not None else 0
        raise UsageError(f"{file}: not UTF-8 ({error.reason} after line {after}); save the file as UTF-8") from error
    except csv.Error as error:
        after = lines.line_num if lines is not None else 0
        raise UsageError(
            f"{file}: line {after}: not a row of {file.suffix.lower()[1:].upper()} ({error}); end its quotes, and "
            'double those inside a quoted text ("")'
        ) from error


def _header(lines: Iterator[list[str]], file: Path) -> tuple[str, ...]:
    names = tuple(next(lines, ()))
    if not any(names):
        raise UsageError(f"{file}: the file is empty; its first row has to name the columns")
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{file}: column {name!r} stands twice in the first row; rename one")
    return names
