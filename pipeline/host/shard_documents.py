"""The documents of a job's shards as one stream in the workload's order, of which one document a shard is held."""

from array import array
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.lazy import repeated
from pipeline.measures import DocumentResult
from pipeline.results import DOCUMENTS_FILE, documents_with_lines
from pipeline.spec import Job

MEND = "delete this shard's folder, and the same command does it again"


def in_workload_order(results: Path, shards: Sequence[Job]) -> Iterator[tuple[bytes, DocumentResult]]:
    """What became of each document, with its line. shards: all of a job's, in order.

    A UsageError names the shard's file where that is damaged, holds fewer or more documents than are the shard's, or
    one that another shard has too; the last is found once all are read, and takes 8 bytes a document.
    """
    paths = [results / shard.folder / DOCUMENTS_FILE for shard in shards]
    ids = array("q")
    with ExitStack() as stack:
        streams = [stack.enter_context(closing(_documents(path))) for path in paths]
        for position in range(shards[0].workload.docs):
            place = position % len(shards)
            found = next(streams[place], None)
            if found is None:
                done, due = position // len(shards), shards[place].docs
                raise UsageError(f"{paths[place]}: ends after {done} of its {due} documents; {MEND}")
            ids.append(hash(found[1].id))
            yield found
        for path, stream, shard in zip(paths, streams, shards, strict=True):
            if next(stream, None) is not None:
                raise UsageError(f"{path}: holds more than its {shard.docs} documents; {MEND}")
    if twice := repeated(ids):
        _require_unique(paths, twice)


def _documents(path: Path) -> Generator[tuple[bytes, DocumentResult], None, None]:
    if path.is_symlink():  # left by a job, to have another file read
        raise UsageError(f"{path}: a link, which no job leaves; {MEND}")
    yield from documents_with_lines(path)


def _require_unique(paths: Sequence[Path], hashes: set[int]) -> None:
    """Raise a UsageError for the first id that stood there before. hashes: of those that may."""
    seen: dict[str, str] = {}
    for path in paths:
        for number, (_, document) in enumerate(documents_with_lines(path), start=1):
            if hash(document.id) not in hashes:
                continue
            where = f"{path}: line {number}"
            if document.id in seen:
                raise UsageError(f"{where}: document {document.id!r} stands in {seen[document.id]} already; {MEND}")
            seen[document.id] = where
