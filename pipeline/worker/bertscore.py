"""BERTScore of a finished run's documents, through bert-score itself, in the image that holds it.

Nothing of a job's own is touched: the scores are files of their own beside documents.jsonl (pipeline/bertscore.py).
"""

import contextlib
import csv
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from pipeline.bertscore import (
    FORMAT,
    BertScores,
    BertScoreSettings,
    BertScoreSummary,
    Scorer,
    read_scorer,
    read_summary,
    write_scores,
)
from pipeline.catalog import Catalog
from pipeline.errors import BenchmarkError, UsageError
from pipeline.figures import printable
from pipeline.files import sha256_file
from pipeline.measures import DocumentResult
from pipeline.names import check_name, require_inside
from pipeline.pickles import pickles_in, require_safe
from pipeline.plain import shown
from pipeline.redact import redact
from pipeline.results import DOCUMENTS_FILE, RESULT_FILE, JobSummary, documents_with_offsets, read_result
from pipeline.weights import read_weights
from pipeline.worker.runner import Roots, load_documents
from pipeline.worker.surroundings import Surroundings

PACKAGES = ("bert-score", "transformers", "torch")
BATCH_SIZE = 64

Compare = Callable[[Sequence[str], Sequence[str]], Sequence[tuple[float, float, float]]]
"""Precision, recall and F1 of each output against the reference at the same place."""


@dataclass(frozen=True)
class Finished:
    """A job that is to be scored. outputs: in the order of documents.jsonl, those that were generated."""

    folder: Path
    documents_sha256: str
    outputs: Sequence[DocumentResult]
    references: Sequence[str]


def score_run(run: str, catalog: Catalog, surroundings: Surroundings, roots: Roots) -> int:
    """Score every job of the run that came through and isn't scored yet; the exit status: 1 where one could not be.

    Raises BenchmarkError where this is not the image for it, or the model isn't prepared.
    """
    scorer = read_scorer()
    if surroundings.image.name != scorer.image:
        raise UsageError(f"--bertscore: image {scorer.image} does it, this is {surroundings.image.name}")
    weights = read_weights(scorer.catalog(catalog), scorer.model, FORMAT, roots.cache)
    if weights is None:
        raise BenchmarkError(f"{scorer.model} is not in the cache; run --prepare {scorer.model} in this image first")
    path = roots.cache / weights.path
    require_safe(pickles_in(path), False, path)
    settings = BertScoreSettings(
        model=scorer.model,
        model_revision=weights.revision,
        weights_sha256=weights.sha256,
        layer=scorer.layer,
        max_tokens=scorer.max_tokens,
        device=surroundings.variant.device,
        packages={name: version(name) for name in PACKAGES},
        baseline=read_baseline(scorer),
    )
    return score_jobs(run, roots, settings, lambda: load(path, scorer.layer, surroundings.variant.device))


def score_jobs(run: str, roots: Roots, settings: BertScoreSettings, load_compare: Callable[[], Compare]) -> int:
    """As score_run. load_compare: called once, if there is work."""
    folder = require_inside(roots.results / check_name(run, "--bertscore"), roots.results, "--bertscore")
    paths = sorted(folder.glob(f"*/{RESULT_FILE}"))
    if not paths:
        raise UsageError(f"--bertscore {run}: {folder} holds no result; name a run that is finished")
    compare, faults = None, 0
    for path in paths:
        try:
            job = _finished(path.parent, roots, settings)
            if job is None:
                continue
            compare = compare or load_compare()
            _score(job, compare, settings)
        except BenchmarkError as error:
            faults += 1
            print(redact(printable(f"error: {path.parent.name}: {error}")), file=sys.stderr, flush=True)
        else:
            print(f"BERTScore {path.parent.name}: {len(job.outputs)} documents", flush=True)
    return 1 if faults else 0


def read_baseline(scorer: Scorer) -> dict[str, float] | None:
    """The row of bert-score's own table for that layer, where the scorer names a table."""
    if scorer.baseline is None:
        return None
    import bert_score

    table = Path(bert_score.__file__).parent / "rescale_baseline" / scorer.baseline
    with table.open(encoding="utf-8", newline="") as stream:
        rows = {int(row["LAYER"]): row for row in csv.DictReader(stream)}
    row = rows[scorer.layer]
    return {"precision": float(row["P"]), "recall": float(row["R"]), "f1": float(row["F"])}


def load(weights: Path, layer: int, device: str) -> Compare:
    """bert-score's own scorer over the model in that folder, without idf weights and not rescaled."""
    from bert_score import BERTScorer

    # it takes models by their names, and a folder whose path has "t5" in it for that architecture
    with contextlib.chdir(weights):
        scorer = BERTScorer(model_type=".", num_layers=layer, batch_size=BATCH_SIZE, device=device, lang="en")

    def compare(outputs: Sequence[str], references: Sequence[str]) -> list[tuple[float, float, float]]:
        precision, recall, f1 = (part.tolist() for part in scorer.score(list(outputs), list(references)))
        return list(zip(precision, recall, f1, strict=True))

    return compare


def _finished(folder: Path, roots: Roots, settings: BertScoreSettings) -> Finished | None:
    """A job with outputs that weren't scored with those settings; None for any other, also for one on random weights.

    A UsageError where its documents are missing, or are another workload's.
    """
    path = require_inside(folder / DOCUMENTS_FILE, roots.results, "--bertscore")
    job = read_result(folder / RESULT_FILE)
    if job.status != "ok" or job.job.synthetic:
        return None
    try:
        sha256 = sha256_file(path)
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror})") from error
    earlier = read_summary(folder)
    if earlier and (earlier.settings, earlier.documents_sha256) == (settings, sha256):
        return None
    outputs = [document for _, document in documents_with_offsets(path) if document.finish_reason != "too_long"]
    return Finished(folder, sha256, outputs, _references(job.job, outputs, path, roots)) if outputs else None


def _references(job: JobSummary, outputs: Sequence[DocumentResult], path: Path, roots: Roots) -> list[str]:
    require_inside(roots.data / job.workload.documents, roots.data, "result.json: workload.documents")
    summaries = {document.id: document.summary for document in load_documents(job, roots)}
    for output in outputs:
        if output.id not in summaries:
            raise UsageError(f"{path}: document {shown(output.id)} is not of this workload; run its job again")
    return [summaries[output.id] for output in outputs]


def _score(job: Finished, compare: Compare, settings: BertScoreSettings) -> None:
    found = compare([output.text for output in job.outputs], job.references)
    scores = [BertScores(output.id, *values) for output, values in zip(job.outputs, found, strict=True)]
    precision, recall, f1 = (math.fsum(values) / len(found) for values in zip(*found, strict=True))
    baseline = settings.baseline
    summary = BertScoreSummary(
        settings=settings,
        documents_sha256=job.documents_sha256,
        documents=len(scores),
        precision_mean=precision,
        recall_mean=recall,
        f1_mean=f1,
        f1_rescaled_mean=(f1 - baseline["f1"]) / (1 - baseline["f1"]) if baseline else None,
    )
    write_scores(job.folder, scores, summary)
