"""An imported job as its files hold it: result.json and documents.jsonl, with null for all that old files don't tell.

The fields are those of a measured job (pipeline/results.py, pipeline/measures.py), so that a program reads both alike.
It is a type of its own, so that nothing which ranks or compares measured jobs can be handed one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipeline import codec
from pipeline.entries import Scenario
from pipeline.errors import UsageError
from pipeline.files import LARGEST_JSON_BYTES, read_bytes, write_atomically, write_json
from pipeline.legacy.content import Totals
from pipeline.legacy.timing import SpeedFrom
from pipeline.measures import Metrics, Quality, Timing, UsedSettings
from pipeline.names import Name, Sha256
from pipeline.plain import parse_json
from pipeline.results import (
    DOCUMENTS_FILE,
    IMPORTED,
    RESULT_FILE,
    SCHEMA_VERSION,
    OtherKind,
    read_versioned,
)

FOLDER_PREFIX = "imported."
"""Of an imported job's folder in its run."""
ARTICLES_FILE = "articles.txt"
"""The documents' URLs, as far as they were stored, one a line as --articles takes them."""


@dataclass(frozen=True)
class ImportedJob:
    """As JobSummary. optimization: the experiment's, or its name where it is none of this benchmark's.

    key: over the pair's name and both files. workload: neither prompt, limit nor dataset stands in the files.
    """

    key: Sha256
    run: Name
    experiment: Name
    optimization: str
    gpu: Name
    scenario: Scenario | None
    ranked: Literal[False] = False
    backend: None = None
    model: None = None
    model_revision: None = None
    image: None = None
    variant: None = None
    launcher: None = None
    launch: None = None
    workload: None = None
    command: None = None
    repeats: None = None
    preset: None = None
    synthetic: None = None
    tuned: None = None
    gpus: None = None
    shards: None = None
    shard: None = None


@dataclass(frozen=True)
class SourceFile:
    """One of the two files, by its name in the folder that was imported."""

    name: str
    sha256: Sha256


@dataclass(frozen=True)
class ScoreCheck:
    """ROUGE-1 F1 as it was stored, and as it is computed here from the same texts: the plain mean over documents.

    expected: how far a stored bootstrap median may lie off the mean. flagged: whether it lies further.
    """

    stored: float
    recomputed: float
    difference: float
    expected: float
    flagged: bool


@dataclass(frozen=True)
class Imported:
    """Where a job was imported from, and what its files say that a measured result has no place for.

    id, name: of the file names. stored: the results file as it stood. score: None where no score was stored.
    stored_docs_per_s, speed_from, batches_s: see OldSpeed. urls_sha256: over the URLs in any order, so that two pairs
    over the same articles have the same one; None where not every document has one. document_tokens_mean: of the
    articles, without the prompt.
    """

    id: str
    name: str
    data: SourceFile
    results: SourceFile
    stored: Totals
    score: ScoreCheck | None
    stored_docs_per_s: float | None
    speed_from: SpeedFrom | None
    batches_s: tuple[float, ...]
    urls_sha256: Sha256 | None
    document_tokens_mean: float | None


@dataclass(frozen=True)
class ImportedResult:
    """As Result. Without an environment: the files have no word on it."""

    job: ImportedJob
    imported: Imported
    metrics: Metrics
    quality: Quality
    timing: Timing = field(default_factory=Timing)
    settings: UsedSettings = field(default_factory=UsedSettings)
    status: Literal["ok"] = "ok"
    failure: None = None
    weights: None = None
    prompt_ids_sha256: None = None
    environment: None = None
    roofline: None = None
    roofline_measured: None = None
    warnings: tuple[str, ...] = ()
    finished_at: None = None
    attempts: None = None
    shards: None = None
    devices: None = None
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class ImportedDocument:
    """One line of an imported documents.jsonl; see DocumentResult.

    id: as the prepared WikiLingua has it, or the document's place where no URL was stored. latency_s: where the
    document was timed alone. batch_s: of its whole batch. document_tokens: of the article, without the prompt.
    """

    id: str
    text: str
    url: str | None
    reference: str
    rouge1_f1: float
    rouge2_f1: float
    rougeL_f1: float
    rougeLsum_f1: float
    latency_s: float | None = None
    batch_id: int | None = None
    batch_s: float | None = None
    document_tokens: int | None = None
    repetition: float | None = None
    finish_reason: None = None
    prompt_tokens: None = None
    output_tokens: None = None
    ttft_s: None = None
    tpot_s: None = None
    prompt_sha256: None = None
    coverage: None = None
    density: None = None


def to_json(result: ImportedResult) -> dict[str, Any]:
    """An imported result as plain values."""
    value: dict[str, Any] = codec.encode(result)
    return {"schema_version": value.pop("schema_version"), **value}


def write_imported(folder: Path, result: ImportedResult, documents: Sequence[ImportedDocument]) -> None:
    """Write the job's files in place of those that are there.

    result.json goes first and comes last, so that a folder that holds one is whole however the writing ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT_FILE).unlink(missing_ok=True)
    lines = (json.dumps(codec.encode(item), ensure_ascii=False, allow_nan=False) for item in documents)
    write_atomically(folder / DOCUMENTS_FILE, "".join(f"{line}\n" for line in lines))
    write_atomically(folder / ARTICLES_FILE, "".join(f"{item.url}\n" for item in documents if item.url))
    write_json(folder / RESULT_FILE, to_json(result))


def read_imported(path: Path) -> ImportedResult:
    """Read an imported result.json. OtherKind for a measured one, another UsageError for any other file."""
    value = read_versioned(path)
    if IMPORTED not in value:
        raise OtherKind(f"{path}: was measured here, not imported")
    return codec.decode(ImportedResult, value, str(path))


def read_imported_documents(folder: Path, result: ImportedResult) -> tuple[ImportedDocument, ...]:
    """All documents of an imported job; a UsageError where the file is damaged or holds another number of them."""
    path = folder / DOCUMENTS_FILE
    lines = read_bytes(path, LARGEST_JSON_BYTES).splitlines()
    if len(lines) != result.metrics.docs:
        raise UsageError(
            f"{path}: holds {len(lines)} documents instead of {result.metrics.docs}; import the pair again"
        )
    places = ((f"{path}: line {number}", line) for number, line in enumerate(lines, start=1))
    return tuple(codec.decode(ImportedDocument, parse_json(line, where), where) for where, line in places)
