"""Runs as they lie in a results folder, with what a report needs of the files beside each result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import codec
from pipeline.analysis.metrics import mean
from pipeline.bertscore import SCORES_FILE, BertScores, read_summary
from pipeline.comparison.estimates import ROUGE
from pipeline.documents import Document, choose, fingerprint
from pipeline.documents import read_documents as read_dataset
from pipeline.errors import UsageError
from pipeline.files import read_bytes, sha256_file
from pipeline.host.wall import Wall
from pipeline.legacy.result import ImportedResult, read_imported_documents
from pipeline.measures import DocumentResult, Quality
from pipeline.plain import parse_json
from pipeline.results import DOCUMENTS_FILE, LARGEST_DOCUMENTS_BYTES, LOG_FILE, Result, read_documents
from pipeline.spec import Workload

TOO_LONG = "too_long"


@dataclass(frozen=True)
class StoredJob:
    """A job's result and what lies beside it.

    folder: with forward slashes, relative to the folder that the report's own folder lies in. documents: those that
    were generated; empty where there are none, or they can't be read.
    """

    result: Result
    folder: str
    has_log: bool = False
    documents: tuple[DocumentResult, ...] = ()
    bertscore: Mapping[str, float] = field(default_factory=dict)

    @property
    def run_folder(self) -> str:
        """Its run's folder, reached from the same place: copies and other machines' runs may share the run's name."""
        return self.folder.rpartition("/")[0]

    @property
    def docs_per_s(self) -> float | None:
        """As measured; None where it isn't known."""
        return self.result.metrics.docs_per_s if self.result.metrics else None

    @property
    def scores(self) -> dict[str, float]:
        """Means by name (see Difference), those that are known."""
        scores = _rouge(self.result.quality) if self.result.quality else {}
        bertscore = mean(list(self.bertscore.values()))
        return scores if bertscore is None else {**scores, "bertscore_f1": bertscore}

    def scores_of(self, document: DocumentResult) -> dict[str, float]:
        """The same of one document."""
        scores = _rouge(document)
        if document.id in self.bertscore:
            scores["bertscore_f1"] = self.bertscore[document.id]
        return scores


def _rouge(scored: Quality | DocumentResult) -> dict[str, float]:
    values = {name: getattr(scored, name) for name in ROUGE}
    return {name: value for name, value in values.items() if value is not None}


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
"""The datasets' documents by id, by the fingerprint of a workload's documents; those at hand."""


def read_run(
    name: str, label: str | None, commands: Sequence[str], results: Mapping[Path, Result], beside: str
) -> tuple[StoredRun, list[str]]:
    """A run by its results, by their folders, and what is wrong with files beside them that can't be read.

    beside: how the run's folder is reached from the folder that the report's own lies in, with forward slashes.
    """
    jobs, faults = [], []
    for folder, result in results.items():
        documents: tuple[DocumentResult, ...] = ()
        bertscore: Mapping[str, float] = {}
        if result.status == "ok":
            try:
                documents = _generated(folder / DOCUMENTS_FILE, result)
                bertscore = _bertscore(folder)
            except UsageError as error:
                faults.append(str(error))
        log = folder / LOG_FILE
        has_log = log.is_file() and not log.is_symlink()
        jobs.append(StoredJob(result, f"{beside}/{folder.name}", has_log, documents, bertscore))
    return StoredRun(name, label, tuple(commands), tuple(jobs)), faults


def _generated(path: Path, result: Result) -> tuple[DocumentResult, ...]:
    """Those that the job completed, all of them: a part would pass for other documents than the other rows'."""
    if path.is_symlink():  # left by a job, to have another file read
        raise UsageError(f"{path}: a link, which no job leaves; delete the job's folder to run it again")
    found = tuple(item for item in read_documents(path) if item.finish_reason != TOO_LONG)
    if result.metrics and len(found) != result.metrics.docs:
        raise UsageError(
            f"{path}: does not hold the {result.metrics.docs} documents that the job completed, but {len(found)}; "
            "delete the job's folder to run it again"
        )
    return found


def _bertscore(folder: Path) -> Mapping[str, float]:
    """F1 by document; none where it wasn't computed, or of other outputs than those that lie there now."""
    summary = read_summary(folder)
    if summary is None or summary.documents_sha256 != sha256_file(folder / DOCUMENTS_FILE):
        return {}
    path = folder / SCORES_FILE
    lines = read_bytes(path, LARGEST_DOCUMENTS_BYTES).splitlines()
    places = ((f"{path}: line {number}", line) for number, line in enumerate(lines, start=1))
    scores = [codec.decode(BertScores, parse_json(line, where), where) for where, line in places]
    return {score.id: score.bertscore_f1 for score in scores}


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
    """The documents of the workloads that lie unchanged in the data folder, and why others' can't be shown."""
    texts: dict[str, Mapping[str, Document]] = {}
    faults = []
    for work in {item.documents_sha256: item for item in workloads}.values():
        try:
            chosen = choose(read_dataset(data / work.documents), work.docs, work.seed)
        except UsageError as error:
            faults.append(f"documents and references of {work.dataset} are not shown: {error}")
            continue
        if fingerprint(chosen) == work.documents_sha256:
            texts[work.documents_sha256] = {document.id: document for document in chosen}
        else:
            fault = f"{data / work.documents} holds others than those that were summarised"
            faults.append(f"documents and references of {work.dataset} are not shown: {fault}")
    return texts, faults
