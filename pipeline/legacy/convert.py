"""From the bytes of a pair's two files to an imported job: parsed, timed and scored anew."""

import hashlib
from collections.abc import Mapping, Sequence
from math import sqrt

from pipeline.analysis import degeneracy, metrics, quality
from pipeline.analysis.quality import RougeScores
from pipeline.article_ids import article_id
from pipeline.entries import Experiment
from pipeline.files import sha256_json
from pipeline.legacy.content import OldDocument, Totals, parse_documents, parse_totals
from pipeline.legacy.pairs import PairName
from pipeline.legacy.result import Imported, ImportedDocument, ImportedJob, ImportedResult, ScoreCheck, SourceFile
from pipeline.legacy.timing import OldSpeed, contradictions, speed_of
from pipeline.measures import Metrics, Quality, Timing, UsedSettings
from pipeline.names import check_name

BOOTSTRAP_OFF = 0.004
"""How far the median of a bootstrap of ROUGE-1 was seen off the plain mean, at BOOTSTRAP_DOCS documents."""
BOOTSTRAP_DOCS = 10


def import_pair(
    pair: PairName, data: bytes, results: bytes, experiments: Mapping[str, Experiment], run: str
) -> tuple[ImportedResult, tuple[ImportedDocument, ...]]:
    """The job that the pair's files tell of, and its documents in the file's order.

    experiments: this benchmark's own, to find the name among. A UsageError names the file, the field and the mend.
    """
    old = parse_documents(data, pair.file("data"))
    totals = parse_totals(results, pair.file("results"))
    documents = _scored(old)
    speed = speed_of(old, totals, pair.batch_size)
    scored = _quality(documents)
    assert scored.rouge1_f1 is not None
    experiment = pair.experiment(experiments)
    sources = [
        SourceFile(pair.file(kind), hashlib.sha256(content).hexdigest())
        for kind, content in (("data", data), ("results", results))
    ]
    result = ImportedResult(
        job=ImportedJob(
            key=sha256_json([pair.stem, *(source.sha256 for source in sources)]),
            run=run,
            experiment=check_name(experiment, pair.file("data")),
            optimization=experiments[experiment].optimization if experiment in experiments else experiment,
            gpu=check_name(pair.gpu.lower(), pair.file("data")),
            scenario=speed.scenario,
        ),
        imported=Imported(
            id=pair.id,
            name=pair.name,
            data=sources[0],
            results=sources[1],
            stored=totals,
            score=check_score(totals.pred_score, scored.rouge1_f1, len(old)),
            stored_docs_per_s=speed.stored_docs_per_s,
            speed_from=speed.source,
            batches_s=speed.batches_s,
            urls_sha256=_urls_sha256(old),
            document_tokens_mean=_document_tokens(old, totals),
        ),
        metrics=_metrics(old, speed),
        quality=scored,
        timing=Timing(generate_s=speed.generate_s),
        settings=UsedSettings(batch_size_asked=pair.batch_size, batch_size_used=speed.batch_size),
        warnings=contradictions(old, totals, speed, pair.batch_size),
    )
    return result, documents


def check_score(stored: float | None, recomputed: float, docs: int) -> ScoreCheck | None:
    """A stored bootstrap median of ROUGE-1 F1 beside the plain mean over as many documents; None where none was stored.

    What it may lie off shrinks with the root of the number of documents, as the spread of a bootstrap's means does.
    """
    if stored is None:
        return None
    expected = BOOTSTRAP_OFF * sqrt(BOOTSTRAP_DOCS / docs)
    difference = stored - recomputed
    return ScoreCheck(stored, recomputed, difference, expected, flagged=abs(difference) > expected)


def _scored(old: Sequence[OldDocument]) -> tuple[ImportedDocument, ...]:
    pairs = [(item.pred_summary, item.gt_summary) for item in old]
    taken: dict[str, str] = {}
    scores = quality.score(pairs, quality.processes_for(pairs, len(pairs)))
    return tuple(
        _document(item, rouge, f"document-{number}" if item.url is None else article_id(item.url, taken))
        for number, (item, rouge) in enumerate(zip(old, scores, strict=True), start=1)
    )


def _document(item: OldDocument, rouge: RougeScores, name: str) -> ImportedDocument:
    return ImportedDocument(
        id=name,
        text=item.pred_summary,
        url=item.url,
        reference=item.gt_summary,
        rouge1_f1=rouge.rouge1_f1,
        rouge2_f1=rouge.rouge2_f1,
        rougeL_f1=rouge.rougeL_f1,
        rougeLsum_f1=rouge.rougeLsum_f1,
        latency_s=item.alone_s,
        batch_id=item.batch_id,
        batch_s=item.batch_inference_time,
        document_tokens=item.num_doc_tokens,
        repetition=degeneracy.repetition(degeneracy.split_words(item.pred_summary)),
    )


def _quality(documents: Sequence[ImportedDocument]) -> Quality:
    """What the texts and references alone tell; copies can't be told without the articles."""
    return Quality(
        rouge1_f1=metrics.mean([item.rouge1_f1 for item in documents]),
        rouge2_f1=metrics.mean([item.rouge2_f1 for item in documents]),
        rougeL_f1=metrics.mean([item.rougeL_f1 for item in documents]),
        rougeLsum_f1=metrics.mean([item.rougeLsum_f1 for item in documents]),
        output_words_mean=metrics.mean([len(item.text.split()) for item in documents]),
        empty_outputs=sum(not item.text.strip() for item in documents),
        repetition_mean=metrics.mean_of_known(item.repetition for item in documents),
        settings=quality.scoring_settings(),
    )


def _metrics(old: Sequence[OldDocument], speed: OldSpeed) -> Metrics:
    latency = metrics.distribution(item.alone_s for item in old)
    return Metrics(docs=len(old), docs_per_s=speed.docs_per_s, latency_s=latency)


def _urls_sha256(old: Sequence[OldDocument]) -> str | None:
    urls = [item.url for item in old if item.url is not None]
    return sha256_json(sorted(urls)) if len(urls) == len(old) else None


def _document_tokens(old: Sequence[OldDocument], totals: Totals) -> float | None:
    counted = metrics.mean_if_known([item.num_doc_tokens for item in old])
    return totals.avg_doc_tokens if counted is None else counted
