"""Articles in sections, as Parquet files on the Hugging Face Hub: fetched, read in batches and flattened."""

import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from pipeline.article_ids import article_id
from pipeline.datasets import Columns, HubParquet
from pipeline.errors import BenchmarkError, UsageError

MISSING_SHOWN = 3


def download(hub: HubParquet, cache: Path | None) -> list[Path]:
    """Fetch the files into the Hub library's cache (cache: another folder for it), or find them there.

    A BenchmarkError says what to do when the Hub can't be reached or refuses.
    """
    from huggingface_hub import hf_hub_download

    try:
        return [
            Path(hf_hub_download(hub.repo, file, repo_type="dataset", revision=hub.revision, cache_dir=cache))
            for file in hub.files
        ]
    # the library's own errors, offline mode included, are OSErrors, as is a full disk
    except OSError as error:
        cause = f"{error} ({error.__cause__})" if error.__cause__ else f"{error}"
        raise BenchmarkError(
            f"{hub.repo} at {hub.revision} could not be fetched from the Hugging Face Hub: {cause}; check the network "
            "and the proxy settings, name a mirror in HF_ENDPOINT, or do without: --dataset sample or --dataset FILE"
        ) from error


@dataclass
class Flattener:
    """Turns sections into one document with one summary per article, and counts what it leaves out.

    selection: the URLs to keep, None for all. dropped: articles left out, by reason.
    """

    columns: Columns
    selection: Collection[str] | None = None
    dropped: Counter[str] = field(default_factory=Counter)
    _kept: set[str] = field(default_factory=set)
    _ids: dict[str, str] = field(default_factory=dict)

    def records(self, files: Sequence[Path]) -> Iterator[dict[str, str]]:
        """One {id, url, document, summary} per article, in the files' order, a batch of rows in memory at a time.

        A UsageError names a file that is no Parquet or has other columns, and URLs of the selection without an article.
        """
        for file in files:
            for row in _rows(file, self.columns):
                record = self._flatten(row)
                if record is not None:
                    yield record
        missing = sorted(set(self.selection or ()) - self._kept)
        if missing:
            raise UsageError(
                f"{len(missing)} of the {len(self.selection or ())} listed articles are not in the dataset, or have no "
                f"text or summary there: {', '.join(missing[:MISSING_SHOWN])}{', …' * (len(missing) > MISSING_SHOWN)}; "
                "remove them from the list"
            )

    def _flatten(self, row: Mapping[str, Any]) -> dict[str, str] | None:
        url = (row[self.columns.url] or "").strip()
        identifier = article_id(url, self._ids)  # of all, so that a selection changes no id
        if self.selection is not None and url not in self.selection:
            return None
        sections = row[self.columns.sections]
        document = _joined(sections, self.columns.document)
        summary = _joined(sections, self.columns.summary)
        reason = self._reason_to_drop(url, document, summary)
        if reason is not None:
            self.dropped[reason] += 1
            return None
        self._kept.add(url)
        return {"id": identifier, "url": url, "document": document, "summary": summary}

    def _reason_to_drop(self, url: str, document: str, summary: str) -> str | None:
        if not url:
            return "no_url"
        if not document:
            return "empty_document"
        if not summary:
            return "empty_summary"
        return "duplicate_url" if url in self._kept else None


def _joined(sections: Any, name: str) -> str:
    """The sections' texts as one line, from a struct of lists or from a list of structs."""
    texts = (sections or {}).get(name) if isinstance(sections, dict) else [section[name] for section in sections or ()]
    lines = (line.strip() for text in texts or () for line in (text or "").splitlines())
    return " ".join(line for line in lines if line)


def _rows(file: Path, columns: Columns) -> Iterator[Mapping[str, Any]]:
    import datasets
    import pyarrow.dataset as arrow

    # pre-buffering would keep the whole file in memory
    scan_options = arrow.ParquetFragmentScanOptions(pre_buffer=False)
    # streaming reads row group by row group and converts nothing on disk; the library still wants a folder for locks
    with tempfile.TemporaryDirectory() as scratch:
        try:
            rows = datasets.load_dataset(
                "parquet",
                data_files={"train": [str(file)]},
                split="train",
                streaming=True,
                cache_dir=scratch,
                fragment_scan_options=scan_options,
            )
            _check_columns(rows.features, columns, file)
            yield from rows
        # pyarrow's errors are ValueErrors
        except (ValueError, OSError) as error:
            raise UsageError(f"{file}: not a readable Parquet file ({error}); fetch it again") from error


def _check_columns(features: Mapping[str, Any], columns: Columns, file: Path) -> None:
    from datasets import LargeList, List

    def refuse(column: str, expected: str, found: object) -> NoReturn:
        raise UsageError(f"{file}: column {column!r}: expected {expected}, found {found}")

    for name in (columns.url, columns.sections):
        if name not in features:
            refuse(name, "it in the file", f"only {', '.join(features)}")
    if not _is_text(features[columns.url]):
        refuse(columns.url, "text", features[columns.url])
    sections = features[columns.sections]
    in_lists = isinstance(sections, dict)
    members = sections if in_lists else getattr(sections, "feature", None)
    if not isinstance(members, dict):
        refuse(columns.sections, "a struct of lists or a list of structs", sections)
    for name in (columns.document, columns.summary):
        place = f"{columns.sections}.{name}"
        if name not in members:
            refuse(place, "it in the file", f"only {', '.join(members)}")
        member = members[name]
        if in_lists and not isinstance(member, List | LargeList):
            refuse(place, "a list of texts", member)
        if not _is_text(member.feature if in_lists else member):
            refuse(place, "text", member)


def _is_text(feature: Any) -> bool:
    from datasets import Value

    return isinstance(feature, Value) and feature.dtype in ("string", "large_string")
