"""Rows of Parquet files: only the columns, row groups and rows that are wanted, a few rows in memory at a time."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.files import open_regular
from pipeline.host.corpora.rows import Row, missing, path_of, text_at
from pipeline.prepared import Fields

ROWS_AT_ONCE = 128
KEYS_AT_ONCE = 4096
TEXTS = ("string", "large_string", "string_view")
NUMBERS = ("integer",)
BUFFER_BYTES = 1 << 20
"""Of a column that is being read; without it pyarrow holds a row group's whole column."""


def columns(file: Path) -> tuple[str, ...]:
    """The names of the file's columns. A UsageError for a file that is no Parquet."""
    with _opened(file) as parquet:
        return tuple(parquet.schema_arrow.names)


def require_texts(file: Path, fields: Fields, options: Mapping[str, str]) -> None:
    """Raise a UsageError that names the file and the field unless each leads to text, or to lists of texts.

    An id may be a whole number. options: what on the command line names a field, by the field.
    """
    with _opened(file) as parquet:
        for name in (fields.url, fields.id, fields.document, fields.summary):
            if name is not None:
                kinds = (*TEXTS, *NUMBERS) if name == fields.id else TEXTS
                _require(kinds, parquet.schema_arrow, name, str(file), options.get(name))


def keys(file: Path, name: str) -> Iterator[str | None]:
    """One column's texts or whole numbers, of all rows, without reading any other column."""
    with _opened(file) as parquet:
        path = path_of(name, parquet.schema_arrow.names)
        within = path._replace(names=path.names[1:])
        for batch in parquet.iter_batches(KEYS_AT_ONCE, columns=[path.names[0]]):
            for value in batch.column(0).to_pylist():
                yield text_at(value, within, numbers=True)


def rows(file: Path, names: Sequence[str], wanted: Sequence[int] | None = None) -> Iterator[Row]:
    """Rows with the columns that these fields need, in the file's order.

    wanted: positions from 0, in order, None for all; texts are made of these rows alone, and a row group without any
    isn't read.
    """
    with _opened(file) as parquet:
        tops = list(dict.fromkeys(path_of(name, parquet.schema_arrow.names).names[0] for name in names))
        begin = 0
        for group in range(parquet.num_row_groups):
            end = begin + parquet.metadata.row_group(group).num_rows
            if _within(wanted, begin, end):
                yield from _of_group(parquet, group, tops, begin, wanted, file)
            begin = end


def _of_group(
    parquet: Any, group: int, tops: list[str], begin: int, wanted: Sequence[int] | None, file: Path
) -> Iterator[Row]:
    """begin: the position of the row group's first row."""
    import pyarrow

    for batch in parquet.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=tops):
        here = _within(wanted, begin, begin + batch.num_rows)
        chosen = batch if wanted is None else batch.take(pyarrow.array([at - begin for at in here], pyarrow.int64()))
        for at, values in zip(here, chosen.to_pylist(), strict=True):
            yield Row(values, f"{file}: row {at + 1}", at + 1)
        begin += batch.num_rows
        if wanted is not None and wanted[-1] < begin:
            return


def _within(wanted: Sequence[int] | None, begin: int, end: int) -> Sequence[int]:
    """The positions from begin to before end that are wanted."""
    if wanted is None:
        return range(begin, end)
    return wanted[bisect_left(wanted, begin) : bisect_left(wanted, end)]


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    import pyarrow
    import pyarrow.parquet

    try:
        reading = {"buffer_size": BUFFER_BYTES, "pre_buffer": False}  # that would hold a row group's whole columns
        with open_regular(file) as stream, pyarrow.parquet.ParquetFile(stream, **reading) as parquet:
            yield parquet
    # pyarrow's errors are these, or one of these too
    except (ValueError, OSError, pyarrow.ArrowException, MemoryError) as error:
        raise UsageError(f"{file}: not a readable Parquet file ({error}); fetch or write it again") from error


def _require(kinds: Sequence[str], schema: Any, name: str, where: str, option: str | None) -> None:
    first, *others = path_of(name, schema.names).names
    if first not in schema.names:
        raise missing(where, first, schema.names, option)
    if schema.names.count(first) > 1:
        raise UsageError(f"{where}: column {first!r} stands twice; rename one")
    kind, place = _without_lists(schema.field(first).type), first
    for inner in others:
        if not _is_any(["struct"], kind):
            expected = "a struct of lists or a list of structs"
            raise UsageError(f"{where}: column {place!r}: expected {expected} with {inner!r}, found {kind}")
        names = [field.name for field in kind]
        place = f"{place}.{inner}"
        if inner not in names:
            raise missing(where, place, [f"{place.rpartition('.')[0]}.{one}" for one in names], option)
        kind = _without_lists(kind.field(inner).type)
    if not _is_any(kinds, kind):
        mend = f"; name another with {option}" if option else ""
        raise UsageError(f"{where}: column {place!r}: expected text, found {kind}{mend}")


def _without_lists(kind: Any) -> Any:
    while hasattr(kind, "value_type"):  # of lists of any kind, and of a dictionary of texts
        kind = kind.value_type
    return kind


def _is_any(kinds: Sequence[str], kind: Any) -> bool:
    """kinds: as pyarrow.types calls them."""
    from pyarrow import types

    return any(getattr(types, f"is_{name}")(kind) for name in kinds)
