"""Brings datasets into the data folder: fetches and flattens what comes from the Hub, copies or converts own files.

What they come to lies in the data folder's prepared/, each with a manifest beside it.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from pipeline import codec, datasets
from pipeline.datasets import (
    CONVERTED,
    Dataset,
    DatasetEntry,
    HubParquet,
    NotPrepared,
    articles_sha256,
    describe,
    find_prepared,
    load_datasets,
    own_file_name,
    own_file_sha256,
    prepared_path,
    read_articles,
)
from pipeline.documents import read_documents
from pipeline.errors import UsageError
from pipeline.files import sha256_file, sha256_json
from pipeline.host.corpora import own
from pipeline.host.corpora.download import Fetched, download, listed_bytes
from pipeline.host.corpora.flatten import Flattener, with_usual_id
from pipeline.host.corpora.hub_name import BYTES_PER_MB, PREFIX, look_up, parse_hub_name
from pipeline.host.corpora.rows import options_by_field
from pipeline.host.dataset_options import FieldChoice
from pipeline.prepared import ChangedError, Origin, verified, write_lines, write_manifest

PREPARED = "prepared"
AS_USUAL = FieldChoice()


def resolve(
    name_or_path: str, data: Path, articles: Path | None = None, fields: FieldChoice = AS_USUAL
) -> Dataset | NotPrepared:
    """As pipeline.datasets.resolve; a user's file is copied into the data folder as {id, document, summary}.

    fields: where those lie in a user's file, or in a dataset that is named by hub:.
    """
    if fields.made and name_or_path in load_datasets():
        raise UsageError(
            f"--document-field, --summary-field and --id-field say where texts lie in a file of your own or in "
            f"{PREFIX}OWNER/NAME; datasets.yaml says so of {name_or_path}; leave them out"
        )
    return datasets.resolve(name_or_path, data, partial(_other, fields=fields), articles)


def prepare(
    name_or_path: str,
    data: Path,
    articles: Path | None = None,
    *,
    fields: FieldChoice = AS_USUAL,
    cache: Path = Path("cache/datasets"),
    parquet_files: Sequence[Path] = (),
    announce: Callable[[str], AbstractContextManager[object]] = nullcontext,
) -> Dataset:
    """As resolve, but fetches and flattens what is not prepared, and makes anew what was changed.

    cache: where downloads are kept. parquet_files: local files to read instead of the Hub's; the manifest then names
    them and no revision. announce: is told licence and size before a download, and entered for as long as it takes.
    A BenchmarkError says what to do when the Hub can't be read.
    """
    if not parquet_files:
        try:
            state = resolve(name_or_path, data, articles, fields)
        except ChangedError:
            state = None
        if isinstance(state, Dataset):
            return state
    entry = _asked(name_or_path, fields, ask=not parquet_files)
    assert entry.hub is not None  # any other dataset is ready, or an error
    with announce(describe(entry)):
        files = [Fetched(file, sha256_file(file)) for file in parquet_files] or download(entry.hub, cache)
        return _flattened(entry, entry.hub, data, read_articles(articles), files, local=bool(parquet_files))


def copied(given: str, data: Path) -> Dataset:
    """A user's JSONL file, wherever it lies, checked and copied; one that was copied before is not written again."""
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


def converted(given: str, data: Path, choice: FieldChoice) -> Dataset:
    """A user's file of another kind or with other fields, or all that a pattern matches, as one JSONL file.

    Another content, other names of files or other fields make another file; one that is there is not written again.
    """
    files = own.sources(given)
    digests = tuple(own_file_sha256(str(source.file), source.file) for source in files)
    fields = own.settle_fields(files, choice)
    names = tuple(source.name for source in files)
    name = own_file_name(own.title(given, files), sha256_json([names, digests, codec.encode(fields)]))
    relative = f"{PREPARED}/{name}.jsonl"
    try:
        return Dataset(name, relative, verified(data / relative).documents)
    except ChangedError:
        documents = write_lines(data / relative, own.records(files, fields))
    write_manifest(data / relative, name, documents, Origin(names, digests, fields=fields))
    return Dataset(name, relative, documents)


def _other(given: str, data: Path, fields: FieldChoice) -> Dataset | NotPrepared:
    """What is no dataset's name."""
    if given.startswith(PREFIX):
        return find_prepared(parse_hub_name(given).entry(fields), data)
    if fields.made or own.is_pattern(given) or Path(given).suffix.lower() in CONVERTED:
        return converted(given, data, fields)
    return copied(given, data)


def _asked(name: str, fields: FieldChoice, *, ask: bool) -> DatasetEntry:
    """The dataset that is to be fetched. ask: the Hub, for what of it isn't recorded."""
    if name.startswith(PREFIX):
        return look_up(parse_hub_name(name), fields)
    entry = load_datasets()[name]
    if not ask or entry.hub is None or entry.hub.download_mb is not None:
        return entry
    size = listed_bytes(entry.hub)
    return replace(entry, hub=replace(entry.hub, download_mb=None if size is None else -(-size // BYTES_PER_MB)))


def _flattened(
    entry: DatasetEntry,
    hub: HubParquet,
    data: Path,
    wanted: frozenset[str] | None,
    files: Sequence[Fetched],
    *,
    local: bool,
) -> Dataset:
    """Write the documents of these files, the entry's own or local ones instead, with their manifest."""
    paths = [file.path for file in files]
    listed = entry.name in load_datasets()
    fields = hub.fields if listed else with_usual_id(hub.fields, paths)
    flattener = Flattener(fields, wanted, {} if listed else options_by_field(fields))
    relative = prepared_path(entry, wanted)
    documents = write_lines(data / relative, flattener.records(paths))
    origin = Origin(
        files=tuple(path.name for path in paths) if local else hub.files,
        files_sha256=tuple(file.sha256 for file in files),
        repo=None if local else hub.repo,
        revision=None if local else hub.revision,
        articles_sha256=articles_sha256(wanted),
        fields=fields,
    )
    write_manifest(data / relative, entry.name, documents, origin, entry.licence, flattener.dropped)
    return Dataset(entry.name, relative, documents)
