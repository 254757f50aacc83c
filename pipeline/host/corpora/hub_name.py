"""Any dataset of the Hugging Face Hub by its name there: hub:OWNER/NAME[@REVISION][:[CONFIG/]SPLIT]."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from pipeline import codec
from pipeline.datasets import DatasetEntry, HubParquet, own_file_name
from pipeline.errors import UsageError
from pipeline.files import sha256_json
from pipeline.host.corpora.download import reaching
from pipeline.host.dataset_options import FieldChoice
from pipeline.names import RepoId, Revision
from pipeline.plain import shown
from pipeline.prepared import Fields

PREFIX = "hub:"
FORM = "hub:OWNER/NAME[@REVISION][:[CONFIG/]SPLIT]"
CONVERTED_BRANCH = "refs/convert/parquet"
"""Where the Hub keeps a conversion of datasets that are something else."""
BYTES_PER_MB = 10**6
_PARTS = re.compile(r"hub:(?P<repo>[^@:]+)(?:@(?P<revision>[^:]+))?(?::(?:(?P<config>[^/:]+)/)?(?P<split>[^/:]+))?")
_SPLIT = re.compile(r"(?P<split>.+?)(?:-\d{5}-of-\d{5}.*)?")
_DEFAULT_CONFIGS = ("", "data", "default")


@dataclass(frozen=True)
class HubName:
    """The parts of the name. None for what wasn't said."""

    repo: RepoId
    revision: Revision | None = None
    config: str | None = None
    split: str | None = None

    def entry(self, choice: FieldChoice, hub: HubParquet | None = None, licence: str | None = None) -> DatasetEntry:
        """As an entry of the catalogue. hub, licence: as the Hub says, None before it was asked."""
        fields = settled(choice)
        digest = sha256_json([codec.encode(self), codec.encode(fields)])
        readable = "-".join(part for part in (self.repo.replace("/", "-"), self.config, self.split) if part)
        name = own_file_name(Path(f"{readable}.jsonl"), digest)
        return DatasetEntry(
            name=name,
            description=f"dataset {self.repo}",
            licence=licence or "unknown until the Hub is asked",
            source="hub_parquet",
            path=f"prepared/{name}.jsonl",
            hub=hub,
        )


def settled(choice: FieldChoice) -> Fields:
    """The fields as they were given or as they are usually called; without --id-field ids are made."""
    return Fields(choice.document or "document", choice.summary or "summary", choice.id)


def parse_hub_name(given: str) -> HubName:
    """The parts of what --dataset gave. A UsageError shows the form that they have."""
    parts = _PARTS.fullmatch(given)
    if parts is None:
        raise UsageError(f"--dataset {shown(given)}: write {FORM}, such as hub:abisee/cnn_dailymail:3.0.0/test")
    return codec.decode(HubName, parts.groupdict(), f"--dataset {shown(given)}")


def look_up(name: HubName, choice: FieldChoice) -> DatasetEntry:
    """The dataset as the Hub has it now: its commit, the split's files with their size and sha256, its licence.

    A UsageError lists the splits where the name leaves a choice or names one that isn't there; a BenchmarkError says
    what to do when the Hub can't be asked.
    """
    from huggingface_hub import HfApi

    asked: dict[str, Any] = {"files_metadata": True}
    with reaching(name.repo, name.revision):
        info = HfApi().dataset_info(name.repo, revision=name.revision, **asked)
        listed = list(_parquet_files(info))
        licence = (info.card_data or {}).get("license")
        if not listed and name.revision is None:
            info = HfApi().dataset_info(name.repo, revision=CONVERTED_BRANCH, **asked)
            listed = list(_parquet_files(info))
    chosen = _choose(name, listed)
    hashes = [file.sha256 for file in chosen]
    found = {
        "repo": name.repo,
        "revision": info.sha,
        "files": [file.path for file in chosen],
        "split": chosen[0].split,
        "fields": codec.encode(settled(choice)),
        "files_sha256": None if None in hashes else hashes,
        "download_mb": -(-sum(file.bytes for file in chosen) // BYTES_PER_MB),
    }
    hub = codec.decode(HubParquet, found, f"what the Hub says of {name.repo}")
    named = licence if isinstance(licence, str) else ", ".join(map(str, licence or ()))
    return name.entry(choice, hub, named or "unknown (the dataset's card names none)")


class _File(NamedTuple):
    path: str
    config: str
    split: str
    bytes: int
    sha256: str | None


def _parquet_files(info: Any) -> Iterator[_File]:
    """With what their names say: CONFIG/SPLIT-00000-of-00001.parquet, or CONFIG/SPLIT/0000.parquet in conversions."""
    for sibling in info.siblings or ():
        path = PurePosixPath(sibling.rfilename)
        if path.suffix != ".parquet":
            continue
        folders = list(path.parts[:-1])
        split = path.stem
        if split.isdecimal() and folders:
            split = folders.pop()
        elif parts := _SPLIT.fullmatch(split):
            split = parts["split"]
        config = "/".join(folders)
        sha256 = None if sibling.lfs is None else sibling.lfs.sha256
        yield _File(str(path), "" if config in _DEFAULT_CONFIGS else config, split, sibling.size or 0, sha256)


def _choose(name: HubName, listed: Sequence[_File]) -> list[_File]:
    """The files of the one split that the name leaves, in the order of their names."""
    if not listed:
        raise UsageError(f"{name.repo}: no Parquet files, nor a conversion of the Hub's; fetch it and give its files")
    config = "" if name.config in _DEFAULT_CONFIGS else name.config
    fitting = [
        file
        for file in listed
        if (config is None or file.config == config) and (name.split is None or file.split == name.split)
    ]
    splits = {(file.config, file.split) for file in fitting}
    if len(splits) == 1:
        return sorted(fitting)
    what = "has several splits" if splits else f"has no split {'/'.join(filter(None, (name.config, name.split)))}"
    raise UsageError(
        f"{name.repo}: {what}; name one, such as {PREFIX}{name.repo}:{_spelt(splits or _all(listed))[0]}; there are "
        f"{', '.join(_spelt(_all(listed)))}"
    )


def _all(listed: Sequence[_File]) -> set[tuple[str, str]]:
    return {(file.config, file.split) for file in listed}


def _spelt(splits: Collection[tuple[str, str]]) -> list[str]:
    return ["/".join(filter(None, split)) for split in sorted(splits)]
