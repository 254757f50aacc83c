"""Runs as they lie in a results folder, with what a report needs of the files beside each result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from pipeline import codec
from pipeline.bertscore import SCORES_FILE, BertScores, read_summary
from pipeline.comparison.estimates import ROUGE
from pipeline.documents import Document, choose, fingerprint, read_documents
from pipeline.errors import UsageError
from pipeline.files import read_bytes, sha256_file
from pipeline.host.wall import Wall
from pipeline.legacy.result import ImportedResult, read_imported_documents
from pipeline.plain import parse_json, shown
from pipeline.report.generated import BERTSCORE, Generated, gather, generated_documents, is_shown
from pipeline.results import DOCUMENTS_FILE, LARGEST_DOCUMENTS_BYTES, LOG_FILE, Result
from pipeline.spec import Workload


@dataclass(frozen=True)
class StoredJob:
    """A job's result and what lies beside it.

    folder: with forward slashes, relative to the folder that the report's own folder lies in. generated: None where
    there is nothing, or it can't be read.
    """

    result: Result
    folder: str
    has_log: bool = False
    generated: Generated | None = None

    @property
    def run_folder(self) -> str:
        """Its run's folder, reached from the same place: copies and other machines' runs may share the run's name."""
        return self.folder.rpartition("/")[0]

    @property
    def docs_per_s(self) -> float | None:
        """As measured; None where it isn't known."""
        return self.result.metrics.docs_per_s if self.result.metrics else None

    @property
    def document_ids(self) -> pd.Index:
        """Of what it generated, by their hashes; empty where that isn't known."""
        return self.generated.scores.index if self.generated else pd.Index([], dtype="int64")

    @property
    def scores(self) -> dict[str, float]:
        """Means by name (see Difference), those that are known."""
        quality = self.result.quality
        scores = {name: getattr(quality, name) for name in ROUGE} if quality else {}
        if self.generated and BERTSCORE in self.generated.scores:
            scores[BERTSCORE] = float(self.generated.scores[BERTSCORE].mean())
        return {name: value for name, value in scores.items() if value is not None}


@dataclass(frozen=True)
class StoredImport:
    """An imported job. ids: of its documents; empty where they are not known."""

    result: ImportedResult
    ids: frozenset[str] = frozenset()


@dataclass(frozen=True)
class StoredRun:
    """A run's folder: its name, its label, the commands that made it and the current result of each job.

    walls: what each of the commands took, as far as it said so. imported: what old files were read into it.
    """

    name: str
    label: str | None = None
    commands: tuple[str, ...] = ()
    jobs: tuple[StoredJob, ...] = field(default_factory=tuple)
    walls: tuple[Wall | None, ...] = ()
    imported: tuple[StoredImport, ...] = ()


Texts = Mapping[str, Mapping[str, Document]]
"""The datasets' documents that are shown, by id, by the fingerprint of a workload's documents; those at hand."""


def read_run(
    name: str, label: str | None, commands: Sequence[str], results: Mapping[Path, Result], beside: str
) -> tuple[StoredRun, list[str]]:
    """A run by its results, by their folders, and what is wrong with files beside them that can't be read.

    beside: how the run's folder is reached from the folder that the report's own lies in, with forward slashes.
    """
    jobs, faults = [], []
    for folder, result in results.items():
        generated = None
        if result.status == "ok":
            try:
                generated = _generated(folder, result)
            except UsageError as error:
                faults.append(str(error))
        log = folder / LOG_FILE
        has_log = log.is_file() and not log.is_symlink()
        jobs.append(StoredJob(result, f"{beside}/{folder.name}", has_log, generated))
    return StoredRun(name, label, tuple(commands), tuple(jobs)), faults


def _generated(folder: Path, result: Result) -> Generated:
    """What the job completed, all of it: a part would pass for other documents than the other rows'."""
    path = folder / DOCUMENTS_FILE
    found = gather(generated_documents(path), result.job.workload.docs)
    ids = found.scores.index
    if not ids.is_unique:
        twice = ids[ids.duplicated()][0]
        name = next(item.id for item in generated_documents(path) if hash(item.id) == twice)
        fault = f"holds document {shown(name)} twice"
    elif result.metrics and len(ids) != result.metrics.docs:
        fault = f"does not hold the {result.metrics.docs} documents that the job completed, but {len(ids)}"
    else:
        return _with_bertscore(found, folder)
    raise UsageError(f"{path}: {fault}; delete the job's folder to run it again")


def _with_bertscore(found: Generated, folder: Path) -> Generated:
    """With F1 by document, unless it wasn't computed, or of other outputs than those that lie there now."""
    summary = read_summary(folder)
    if summary is None or summary.documents_sha256 != sha256_file(folder / DOCUMENTS_FILE):
        return found
    path = folder / SCORES_FILE
    lines = read_bytes(path, LARGEST_DOCUMENTS_BYTES).splitlines()
    places = ((f"{path}: line {number}", line) for number, line in enumerate(lines, start=1))
    scores = [codec.decode(BertScores, parse_json(line, where), where) for where, line in places]
    by_id = {hash(score.id): score.bertscore_f1 for score in scores}
    column = found.scores.index.map(by_id).astype(float)
    return replace(found, scores=found.scores.assign(**{BERTSCORE: column})) if column.notna().any() else found


def read_imports(results: Mapping[Path, ImportedResult]) -> tuple[tuple[StoredImport, ...], list[str]]:
    """Imported jobs by their folders, and what is wrong with documents that can't be read."""
    found, faults = [], []
    for folder, result in results.items():
        ids: frozenset[str] = frozenset()
        try:
            ids = frozenset(item.id for item in read_imported_documents(folder, result) if item.url)
        except UsageError as error:
            faults.append(str(error))
        found.append(StoredImport(result, ids))
    return tuple(found), faults


def read_texts(data: Path, workloads: Sequence[Workload]) -> tuple[Texts, list[str]]:
    """The documents to show of workloads that lie unchanged in the data folder, and why others' can't be shown."""
    texts: dict[str, Mapping[str, Document]] = {}
    faults = []
    for work in {item.documents_sha256: item for item in workloads}.values():
        try:
            chosen = choose(read_documents(data / work.documents), work.docs, work.seed)
        except UsageError as error:
            faults.append(f"documents and references of {work.dataset} are not shown: {error}")
            continue
        if fingerprint(chosen) == work.documents_sha256:
            texts[work.documents_sha256] = {
                document.id: document for document in chosen if is_shown(document.id, work.docs)
            }
        else:
            fault = f"{data / work.documents} holds others than those that were summarised"
            faults.append(f"documents and references of {work.dataset} are not shown: {fault}")
    return texts, faults
