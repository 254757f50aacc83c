"""Prepared dataset files: written whole, each with a manifest beside it, and checked against it before use."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pipeline import codec
from pipeline.errors import UsageError
from pipeline.files import open_atomically, read_json, sha256_file, write_json
from pipeline.names import Name


@dataclass(frozen=True)
class Fields:
    """Where a document lies in a row. Dots reach into nested fields; of a list there, the texts are joined, unless a
    number in brackets takes one of them: article.document[0] is the first section's.

    id: None where it is made of the file's name and the row's number. url: instead of an id, which is its last part.
    """

    document: str
    summary: str
    id: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class Origin:
    """Where a prepared file came from.

    files: names in the repository, or of local files where repo is None. files_sha256: of each. articles_sha256: of the
    sorted URLs that were asked for, None for all. fields: that were read, None for id, document and summary.
    """

    files: tuple[str, ...]
    files_sha256: tuple[str, ...]
    repo: str | None = None
    revision: str | None = None
    articles_sha256: str | None = None
    fields: Fields | None = None


@dataclass(frozen=True)
class Manifest:
    """What stands beside a prepared file. bytes, sha256: of that file. dropped: articles left out, by reason."""

    name: Name
    documents: int
    bytes: int
    sha256: str
    prepared_at: str
    origin: Origin
    licence: str | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)


class ChangedError(UsageError):
    """A prepared file that is not as its manifest says."""


def write_lines(path: Path, records: Iterable[Mapping[str, str]]) -> int:
    """Write records as they come, one JSON object a line; returns their number. None at all is a UsageError."""
    documents = 0
    try:
        with open_atomically(path) as stream:
            for record in records:
                stream.write(json.dumps(record, ensure_ascii=False) + "\n")
                documents += 1
            if not documents:
                raise UsageError(f"{path}: no article is left to write; check the source files")
    except OSError as error:
        raise UsageError(f"{path}: can't be written ({error}); name another data folder or mend its rights") from error
    return documents


def manifest_path(path: Path) -> Path:
    """Where the manifest of a prepared file lies."""
    return path.with_suffix(".manifest.json")


def write_manifest(
    path: Path,
    name: str,
    documents: int,
    origin: Origin,
    licence: str | None = None,
    dropped: Mapping[str, int] | None = None,
) -> None:
    """Record what was just written to path."""
    manifest = Manifest(
        name=name,
        documents=documents,
        bytes=path.stat().st_size,
        sha256=sha256_file(path),
        prepared_at=datetime.now(UTC).isoformat(timespec="seconds"),
        origin=origin,
        licence=licence,
        dropped=dropped or {},
    )
    write_json(manifest_path(path), codec.encode(manifest))


def verified(path: Path) -> Manifest:
    """The manifest of a prepared file, once the file is found to be as it was written; ChangedError otherwise."""
    try:
        manifest = codec.decode(Manifest, read_json(manifest_path(path)), str(manifest_path(path)))
        unchanged = path.stat().st_size == manifest.bytes and sha256_file(path) == manifest.sha256
    except (UsageError, OSError) as error:
        raise ChangedError(f"{path}: damaged ({error}); run --prepare again") from error
    if not unchanged:
        raise ChangedError(f"{path}: changed since it was prepared (not the manifest's sha256); run --prepare again")
    return manifest
