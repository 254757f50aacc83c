"""The datasets that a run can use: bundled, fetched and flattened beforehand, or a user's own file.

Jobs read documents from the data folder alone, so whatever comes from elsewhere is written to its prepared/ folder.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline import codec
from pipeline.catalog import CONFIG, find, read_entries
from pipeline.documents import read_documents
from pipeline.errors import UsageError
from pipeline.files import sha256_file, sha256_json
from pipeline.host.hub_parquet import Flattener, HubParquet, download
from pipeline.host.prepared import ChangedError, Origin, manifest_path, verified, write_lines, write_manifest

PREPARED = "prepared"
SHORT_HASH = 8


@dataclass(frozen=True)
class DatasetEntry:
    """An entry of config/datasets.yaml.

    path: relative to the data folder: the bundled file, or the one that prepare writes.
    hub: where hub_parquet is fetched from; None for bundled.
    """

    name: str
    description: str
    licence: str
    source: Literal["bundled", "hub_parquet"]
    path: str
    hub: HubParquet | None = None


@dataclass(frozen=True)
class Dataset:
    """A checked dataset that jobs can read. path: relative to the data folder, with forward slashes."""

    name: str
    path: str
    documents: int


@dataclass(frozen=True)
class NotPrepared:
    """A known dataset that has to be fetched first. description: what, its licence and its size, to be shown before."""

    name: str
    reason: str
    description: str


def load_datasets(config: Path = CONFIG) -> dict[str, DatasetEntry]:
    """The datasets known by name, in the order of the file."""
    path = config / "datasets.yaml"
    entries = read_entries(DatasetEntry, path, "datasets")
    for entry in entries.values():
        if (entry.source == "hub_parquet") != (entry.hub is not None):
            raise UsageError(f"{path}: {entry.name}: hub belongs to source hub_parquet, and that needs it")
    return entries


def describe(entry: DatasetEntry) -> str:
    """One line: what it is, its licence and, where it is fetched, from where and how much."""
    line = f"{entry.name}: {entry.description}; licence {entry.licence}"
    if entry.hub is None:
        return line
    size = "" if entry.hub.download_mb is None else f", {entry.hub.download_mb} MB"
    return f"{line}; from {entry.hub.repo} at {entry.hub.revision[:SHORT_HASH]} on the Hugging Face Hub{size}"


def resolve(name_or_path: str, data: Path, articles: Path | None = None) -> Dataset | NotPrepared:
    """The dataset of that name, or the user's JSONL file of that path, checked; nothing is fetched.

    A file is validated and copied into the data folder as {id, document, summary}. articles: a file with one URL a
    line, the part of a fetched dataset that is wanted.
    Raises UsageError for an unknown name, a malformed file, and a prepared file that was changed.
    """
    entries = load_datasets()
    entry = entries.get(name_or_path)
    if entry is None or entry.hub is None:
        return _local(name_or_path, data, articles, entries)
    return _prepared(entry, entry.hub, data, read_articles(articles))


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
    entries = load_datasets()
    entry = entries.get(name_or_path)
    if entry is None or entry.hub is None:
        return _local(name_or_path, data, articles, entries)
    wanted = read_articles(articles)
    if not parquet_files:
        try:
            state = _prepared(entry, entry.hub, data, wanted)
        except ChangedError:
            state = None
        if isinstance(state, Dataset):
            return state
    return _fetch(entry, entry.hub, data, wanted, cache, parquet_files)


def read_articles(path: Path | None) -> frozenset[str] | None:
    """The URLs in a file, one a line, in any order; None for no file, which means all articles."""
    if path is None:
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: the list of articles can't be read ({error}); it needs one URL a line") from error
    urls = frozenset(line.strip() for line in lines if line.strip())
    if not urls:
        raise UsageError(f"{path}: the list of articles is empty; it needs one URL a line")
    return urls


def _local(name_or_path: str, data: Path, articles: Path | None, entries: Mapping[str, DatasetEntry]) -> Dataset:
    if articles is not None:
        raise UsageError(f"--articles chooses from a fetched dataset by URL; it can't be used with {name_or_path!r}")
    if name_or_path not in entries:
        return _own_file(name_or_path, data, entries)
    entry = entries[name_or_path]
    return Dataset(entry.name, entry.path, len(read_documents(data / entry.path)))


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
    relative = _relative_path(entry, wanted)
    documents = write_lines(data / relative, flattener.records(files))
    origin = Origin(
        files=tuple(file.name for file in parquet_files) or hub.files,
        files_sha256=tuple(map(sha256_file, files)),
        repo=None if parquet_files else hub.repo,
        revision=None if parquet_files else hub.revision,
        articles_sha256=_articles_sha256(wanted),
    )
    write_manifest(data / relative, entry.name, documents, origin, entry.licence, flattener.dropped)
    return Dataset(entry.name, relative, documents)


def _prepared(entry: DatasetEntry, hub: HubParquet, data: Path, wanted: frozenset[str] | None) -> Dataset | NotPrepared:
    relative = _relative_path(entry, wanted)
    if not (data / relative).exists() or not manifest_path(data / relative).exists():
        return NotPrepared(entry.name, "not fetched yet", describe(entry))
    manifest = verified(data / relative)
    origin = manifest.origin
    # local Parquet files were given on purpose and are taken as they are
    if origin.repo is not None and (origin.repo, origin.revision, origin.files) != (hub.repo, hub.revision, hub.files):
        return NotPrepared(entry.name, f"fetched from {origin.repo} at {origin.revision} before", describe(entry))
    return Dataset(entry.name, relative, manifest.documents)


def _own_file(given: str, data: Path, entries: Mapping[str, DatasetEntry]) -> Dataset:
    path = Path(given)
    if not path.is_file():
        if path.exists() or path.suffix or len(path.parts) > 1:
            what = "not a file" if path.exists() else "no such file"
            raise UsageError(f"{given}: {what}; --dataset takes a JSONL file or one of {', '.join(entries)}")
        find(entries, given, "dataset")
    try:
        digest = sha256_file(path)
    except OSError as error:
        raise UsageError(f"{given}: can't be read ({error.strerror})") from error
    name = re.sub(r"[^\w.-]+", "-", path.stem) + f"-{digest[:SHORT_HASH]}"
    relative = f"{PREPARED}/{name}.jsonl"
    try:
        return Dataset(name, relative, verified(data / relative).documents)
    except ChangedError:
        documents = read_documents(path)
    write_lines(data / relative, map(codec.encode, documents))
    write_manifest(data / relative, name, len(documents), Origin((path.name,), (digest,)))
    return Dataset(name, relative, len(documents))


def _relative_path(entry: DatasetEntry, wanted: frozenset[str] | None) -> str:
    """A choice of articles is a file of its own, so that it never stands in for the whole dataset."""
    digest = _articles_sha256(wanted)
    return entry.path if digest is None else f"{entry.path.removesuffix('.jsonl')}-{digest[:SHORT_HASH]}.jsonl"


def _articles_sha256(wanted: frozenset[str] | None) -> str | None:
    return None if wanted is None else sha256_json(sorted(wanted))
