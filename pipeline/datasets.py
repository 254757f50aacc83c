"""The datasets that a run can use, as they lie in the data folder: bundled, prepared, or a user's own file.

Jobs read documents from the data folder alone. Nothing is fetched here; pipeline/host/datasets.py does that.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.catalog import CONFIG, find, read_entries
from pipeline.documents import read_documents
from pipeline.errors import UsageError
from pipeline.files import read_bytes, sha256_file, sha256_json
from pipeline.names import Name, RelativePath, RepoId, Revision, Sha256
from pipeline.plain import shown, spelt
from pipeline.prepared import Fields, manifest_path, verified

SHORT_HASH = 8
READABLE_CHARACTERS = 64
LARGEST_ARTICLES_BYTES = 1 << 28
JSON_LINES = (".jsonl", ".ndjson", ".json")
CONVERTED = (".csv", ".tsv", ".parquet")
"""How files end that have to be written as JSON lines before a job can read them."""


@dataclass(frozen=True)
class HubParquet:
    """A dataset's Parquet files in a repository on the Hub, at a commit.

    files_sha256: of each, None where nobody has recorded them. download_mb: as the Hub lists it, None where it isn't
    recorded.
    """

    repo: RepoId
    revision: Revision
    files: tuple[RelativePath, ...]
    split: str
    fields: Fields
    files_sha256: tuple[Sha256, ...] | None = None
    download_mb: int | None = None


@dataclass(frozen=True)
class DatasetEntry:
    """An entry of config/datasets.yaml.

    path: relative to the data folder: the bundled file, or the one that prepare writes.
    hub: where hub_parquet is fetched from; None for bundled. sha256: of the bundled file.
    """

    name: Name
    description: str
    licence: str
    source: Literal["bundled", "hub_parquet"]
    path: RelativePath
    hub: HubParquet | None = None
    sha256: Sha256 | None = None


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


OwnFile = Callable[[str, Path], Dataset | NotPrepared]
"""What becomes of anything but a dataset's name, such as a user's own file; given --dataset and the data folder."""


def load_datasets(config: Path = CONFIG) -> dict[str, DatasetEntry]:
    """The datasets known by name, in the order of the file."""
    path = config / "datasets.yaml"
    entries = read_entries(DatasetEntry, path, "datasets")
    for entry in entries.values():
        if (entry.source == "hub_parquet") != (entry.hub is not None):
            raise UsageError(f"{path}: {entry.name}: hub belongs to source hub_parquet, and that needs it")
        if entry.hub is not None and len(entry.hub.files_sha256 or entry.hub.files) != len(entry.hub.files):
            raise UsageError(f"{path}: {entry.name}.hub.files_sha256: needs one for each of files, or leave it out")
    return entries


def describe(entry: DatasetEntry) -> str:
    """One line: what it is, its licence and, where it is fetched, from where and how much."""
    line = f"{entry.name}: {entry.description}; licence {entry.licence}"
    if entry.hub is None:
        return line
    size = "" if entry.hub.download_mb is None else f", {entry.hub.download_mb} MB"
    return f"{line}; from {entry.hub.repo} at {entry.hub.revision[:SHORT_HASH]} on the Hugging Face Hub{size}"


def resolve(name_or_path: str, data: Path, own_file: OwnFile, articles: Path | None = None) -> Dataset | NotPrepared:
    """The dataset of that name, or what own_file makes of a user's file, checked; nothing is fetched.

    articles: a file with one URL a line, the part of a fetched dataset that
    is wanted.
    Raises UsageError for an unknown name, a malformed file, and a prepared file that was changed.
    """
    entry = load_datasets().get(name_or_path)
    if entry is not None and entry.hub is not None and (articles is None or entry.hub.fields.url is not None):
        return find_prepared(entry, data, read_articles(articles))
    if articles is not None:
        raise UsageError(f"--articles chooses from a fetched dataset by URL; it can't be used with {name_or_path!r}")
    if entry is None:
        return own_file(name_or_path, data)
    path = data / entry.path
    if not path.is_file():
        raise UsageError(
            f"{path}: the dataset can't be read: it isn't there; take the repository's data folder, which it comes "
            "with, or a file of your own with --dataset FILE"
        )
    if entry.sha256 not in (None, sha256_file(path)):
        raise UsageError(
            f"{path}: changed (not the sha256 of datasets.yaml); take the repository's file again (git checkout), or "
            "name yours with --dataset FILE"
        )
    return Dataset(entry.name, entry.path, len(read_documents(path)))


def in_place(given: str, data: Path) -> Dataset:
    """A user's file that lies in the data folder, used where it is; given: relative to that folder or absolute.

    A file with a manifest beside it was prepared before, and is the dataset that the manifest names.
    """
    try:
        folder, path = data.resolve(), (data / given).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a link to itself, a NUL character
        raise UsageError(f"--dataset {shown(given)}: not a file's name ({error})") from error
    if not path.is_relative_to(folder):
        raise UsageError(
            f"--dataset {spelt(given)}: lies outside the data folder {data}, which is all that is read here; put the "
            f"file there and name it relative to the folder, e.g. --dataset {spelt(path.name)}"
        )
    if path.suffix.lower() in CONVERTED and _is_file(path):
        raise UsageError(
            f"--dataset {spelt(given)}: only JSON lines are read here; write it as such with `python orchestrator.py "
            "--prepare --dataset FILE` of the repository, and name the file that this says it is in"
        )
    digest = own_file_sha256(given, path)
    relative = path.relative_to(folder).as_posix()
    if manifest_path(path).exists():
        manifest = verified(path)
        return Dataset(manifest.name, relative, manifest.documents)
    return Dataset(own_file_name(path, digest), relative, len(read_documents(path)))


def own_file_sha256(given: str, path: Path) -> str:
    """SHA-256 of a user's file, which --dataset gave so; a UsageError if it is none, or a dataset's name misspelt."""
    if not _is_file(path):
        known = load_datasets()
        exists = os.path.lexists(path)
        if exists or Path(given).suffix or len(Path(given).parts) > 1:
            what = "not a file" if exists else "no such file"
            raise UsageError(f"{given}: {what}; --dataset takes a JSONL file or one of {', '.join(known)}")
        find(known, given, "dataset")
    try:
        return sha256_file(path)
    except OSError as error:
        raise UsageError(f"{given}: can't be read ({error.strerror})") from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, a folder that can't be searched
        return False


def own_file_name(path: Path, digest: str) -> str:
    """What a user's file is called as a dataset: another content, another name."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).lstrip("._-")[:READABLE_CHARACTERS]
    return f"{readable or 'documents'}-{digest[:SHORT_HASH]}"


def read_articles(path: Path | None) -> frozenset[str] | None:
    """The URLs in a file, one a line, in any order; None for no file, which means all articles."""
    if path is None:
        return None
    try:
        lines = read_bytes(path, LARGEST_ARTICLES_BYTES).decode("utf-8-sig").splitlines()
    except (UsageError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: the list of articles can't be read ({error}); it needs one URL a line") from error
    urls = frozenset(line.strip() for line in lines if line.strip())
    if not urls:
        raise UsageError(f"{path}: the list of articles is empty; it needs one URL a line")
    return urls


def prepared_path(entry: DatasetEntry, wanted: frozenset[str] | None) -> str:
    """Where the prepared file lies in the data folder.

    A choice of articles is a file of its own, so that it never stands in for the whole dataset.
    """
    digest = articles_sha256(wanted)
    return entry.path if digest is None else f"{entry.path.removesuffix('.jsonl')}-{digest[:SHORT_HASH]}.jsonl"


def articles_sha256(wanted: frozenset[str] | None) -> str | None:
    """Fingerprint of a choice of articles; None for all."""
    return None if wanted is None else sha256_json(sorted(wanted))


def find_prepared(entry: DatasetEntry, data: Path, wanted: frozenset[str] | None = None) -> Dataset | NotPrepared:
    """A fetched dataset, or that part of it, as it lies in the data folder."""
    relative = prepared_path(entry, wanted)
    if not (data / relative).exists() or not manifest_path(data / relative).exists():
        return NotPrepared(entry.name, "not fetched yet", describe(entry))
    manifest = verified(data / relative)
    origin, hub = manifest.origin, entry.hub
    # local Parquet files were given on purpose and are taken as they are
    if hub is not None and origin.repo is not None:
        asked = (hub.repo, hub.revision, hub.files, hub.fields)
        if (origin.repo, origin.revision, origin.files, origin.fields) != asked:
            return NotPrepared(entry.name, f"fetched from {origin.repo} at {origin.revision} before", describe(entry))
    return Dataset(entry.name, relative, manifest.documents)
