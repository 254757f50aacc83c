"""Brings datasets into the data folder: fetches and flattens what comes from the Hub, copies a user's own file.

What they come to lies in the data folder's prepared/, each with a manifest beside it.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline import codec, datasets
from pipeline.datasets import (
    Dataset,
    DatasetEntry,
    HubParquet,
    NotPrepared,
    articles_sha256,
    load_datasets,
    own_file_name,
    own_file_sha256,
    prepared_path,
    read_articles,
)
from pipeline.documents import read_documents
from pipeline.files import sha256_file
from pipeline.host.hub_parquet import Flattener, download
from pipeline.prepared import ChangedError, Origin, verified, write_lines, write_manifest

PREPARED = "prepared"


def resolve(name_or_path: str, data: Path, articles: Path | None = None) -> Dataset | NotPrepared:
    """As pipeline.datasets.resolve; a user's file is copied into the data folder as {id, document, summary}."""
    return datasets.resolve(name_or_path, data, copied, articles)


def prepare(
    name_or_path: str,
    data: Path,
    articles: Path | None = None,
    *,
    cache: Path | None = None,
    parquet_files: Sequence[Path] = (),
) -> Dataset:
    """As resolve, but fetches and flattens what is not prepared, and makes anew what was changed.

    cache: where downloads are kept, by default the Hub library's own folder. parquet_files: local files to read
    instead of the Hub's; the manifest then names them and no revision.
    A BenchmarkError says what to do when the Hub can't be read.
    """
    entry = load_datasets().get(name_or_path)
    fetchable = entry is not None and entry.hub is not None
    if not (fetchable and parquet_files):
        try:
            state = resolve(name_or_path, data, articles)
        except ChangedError:
            state = None
        if isinstance(state, Dataset):
            return state
    assert entry is not None and entry.hub is not None  # any other dataset is ready, or an error
    return _fetch(entry, entry.hub, data, read_articles(articles), cache, parquet_files)


def copied(given: str, data: Path) -> Dataset:
    """A user's file, wherever it lies, checked and copied; one that was copied before is not written again."""
    path = Path(given)
    digest = own_file_sha256(given, path)
    name = own_file_name(path, digest)
    relative = f"{PREPARED}/{name}.jsonl"
    try:
        return Dataset(name, relative, verified(data / relative).documents)
    except ChangedError:
        documents = read_documents(path)
    write_lines(data / relative, map(codec.encode, documents))
    write_manifest(data / relative, name, len(documents), Origin((path.name,), (digest,)))
    return Dataset(name, relative, len(documents))


def _fetch(
    entry: DatasetEntry,
    hub: HubParquet,
    data: Path,
    wanted: frozenset[str] | None,
    cache: Path | None,
    parquet_files: Sequence[Path],
) -> Dataset:
    files = list(parquet_files) or download(hub, cache)
    flattener = Flattener(hub.columns, wanted)
    relative = prepared_path(entry, wanted)
    documents = write_lines(data / relative, flattener.records(files))
    origin = Origin(
        files=tuple(file.name for file in parquet_files) or hub.files,
        files_sha256=tuple(map(sha256_file, files)),
        repo=None if parquet_files else hub.repo,
        revision=None if parquet_files else hub.revision,
        articles_sha256=articles_sha256(wanted),
    )
    write_manifest(data / relative, entry.name, documents, origin, entry.licence, flattener.dropped)
    return Dataset(entry.name, relative, documents)
