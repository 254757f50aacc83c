"""A user's own files of any kind, turned into documents; a row that can't be used is an error that names it."""

import os
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import NamedTuple

from pipeline.datasets import JSON_LINES
from pipeline.documents import comparable, usable_text
from pipeline.errors import UsageError
from pipeline.host.corpora import json_lines, parquet, tables
from pipeline.host.corpora.rows import Row, missing, options_by_field, path_of, text_at
from pipeline.host.dataset_options import FieldChoice
from pipeline.lazy import repeated
from pipeline.plain import shown
from pipeline.prepared import Fields

ID = "id"


class Source(NamedTuple):
    """A file, and its name in ids and the manifest: without the folders that all files of a pattern have in common."""

    name: str
    file: Path


@dataclass(frozen=True)
class _Kind:
    """How files of some kind are read."""

    columns: Callable[[Path], tuple[str, ...]]
    rows: Callable[[Path, Sequence[str]], Iterator[Row]]


_TABLE = _Kind(tables.columns, lambda file, _: tables.rows(file))
_LINES = _Kind(json_lines.columns, lambda file, _: json_lines.rows(file))
_KINDS = {
    **dict.fromkeys(JSON_LINES, _LINES),
    **dict.fromkeys(tables.SEPARATORS, _TABLE),
    ".parquet": _Kind(parquet.columns, parquet.rows),
}


def is_pattern(given: str) -> bool:
    """Whether --dataset gave a pattern of files' names; a file of just that name goes first."""
    return has_magic(given) and not os.path.lexists(given)


def sources(given: str) -> list[Source]:
    """The files that a pattern matches, or the one that is named, in the order of their names.

    A UsageError for a pattern that matches none, and for a file of a kind that isn't read.
    """
    found = sorted(glob(given, recursive=True)) if is_pattern(given) else [given]  # noqa: PTH207 - may be absolute
    files = [Path(name) for name in found if not (is_pattern(given) and Path(name).is_dir())]
    if not files:
        raise UsageError(f"--dataset {shown(given)}: no file matches; correct the pattern, and quote it for the shell")
    for file in files:
        if file.suffix.lower() not in _KINDS and file.exists():
            raise UsageError(f"{file}: not a kind that is read ({', '.join(_KINDS)}); narrow the pattern, or rename it")
    common = _common_folder(files)
    return [Source(file.relative_to(common).as_posix(), file) for file in files]


def title(given: str, files: Sequence[Source]) -> Path:
    """What the documents are named after: the file, or the folder that a pattern's files have in common."""
    if not is_pattern(given):
        return Path(given)
    return Path(f"{_common_folder([source.file for source in files]).absolute().name}.jsonl")


def _common_folder(files: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([file.parent for file in files]))


def settle_fields(files: Sequence[Source], choice: FieldChoice) -> Fields:
    """The fields as they were given or as they are usually called, held against each file's columns."""
    read = {source.file: _kind(source).columns(source.file) for source in files}
    by_file = {file: columns for file, columns in read.items() if columns}  # a file without a line has none to miss
    identifier = choice.id
    if identifier is None and any(ID in columns for columns in by_file.values()):
        identifier = ID
    fields = Fields(choice.document or "document", choice.summary or "summary", identifier)
    for file, columns in by_file.items():
        for name, option in options_by_field(fields).items():
            first = path_of(name, columns).names[0]
            if first not in columns:
                raise missing(str(file), first, columns, option)
        if _KINDS[file.suffix.lower()] is _KINDS[".parquet"]:
            parquet.require_texts(file, fields, options_by_field(fields))
    return fields


def records(files: Sequence[Source], fields: Fields) -> Iterator[dict[str, str]]:
    """One {id, document, summary} a row, in the files' order; of each, some 8 bytes are held.

    Without a field for it, an id is the file's name and the row's number (of JSON lines, the line's).
    A UsageError names the file and row of an empty field, of another type than text, and of an id that stood before,
    and files without any document.
    """
    hashes = array("q")
    for _, record in _records(files, fields):
        hashes.append(hash(comparable(record[ID])))
        yield record
    if not hashes:
        others = f" and {len(files) - 1} more" if len(files) > 1 else ""
        raise UsageError(f"{files[0].file}{others}: no document in it; it needs a row for each")
    if twice := repeated(hashes):
        _require_unique(_records(files, fields), twice)


def _records(files: Sequence[Source], fields: Fields) -> Iterator[tuple[Row, dict[str, str]]]:
    options = options_by_field(fields)
    for source in files:
        for row in _kind(source).rows(source.file, list(options)):
            made = f"{source.name}:{row.number}"
            identifier = made if fields.id is None else _text(row, fields.id, options[fields.id], numbers=True)
            document = _text(row, fields.document, options[fields.document])
            yield row, {ID: identifier, "document": document, "summary": _text(row, fields.summary, "--summary-field")}


def _text(row: Row, name: str, option: str, *, numbers: bool = False) -> str:
    path = path_of(name, row.values)
    if path.names[0] not in row.values:
        raise missing(row.where, path.names[0], tuple(row.values), option)
    try:
        text = text_at(row.values, path, numbers=numbers)
    except UsageError as error:
        raise UsageError(f"{row.where}: field {name!r}: {error}; name another with {option}") from error
    return usable_text(text or "", name, row.where)


def _require_unique(read: Iterator[tuple[Row, dict[str, str]]], hashes: Collection[int]) -> None:
    """Raise a UsageError for the first id that stood there before. hashes: of those that may."""
    seen: dict[str, str] = {}
    for row, record in read:
        same = comparable(record[ID])
        if hash(same) not in hashes:
            continue
        if same in seen:
            raise UsageError(
                f"{row.where}: id {shown(record[ID])} stands in {seen[same]} already, white space and Unicode forms "
                "apart; make ids unique, or name another field with --id-field"
            )
        seen[same] = row.where


def _kind(source: Source) -> _Kind:
    return _KINDS[source.file.suffix.lower()]
