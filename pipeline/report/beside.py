"""Beside which measured row each that was imported from old files stands, and what sets the two apart."""

from collections.abc import Sequence

from pipeline.legacy.result import ImportedResult
from pipeline.report import figures
from pipeline.report.compare import Entry
from pipeline.report.figures import number
from pipeline.report.model import ImportedRow
from pipeline.report.stored import StoredImport


def beside_measured(imported: Sequence[StoredImport], entries: Sequence[Entry]) -> tuple[ImportedRow, ...]:
    """Each imported job with the row of the same experiment that differs in the fewest things, the first of several."""
    return tuple(_row(one, _closest(one, entries)) for one in imported)


def _closest(one: StoredImport, entries: Sequence[Entry]) -> Entry | None:
    same = [
        entry
        for entry in entries
        if entry.first.result.job.experiment == one.result.job.experiment
        and entry.row.docs_per_s
        and not entry.first.result.job.synthetic
    ]
    return min(same, key=lambda entry: len(_differs(one, entry)), default=None)


def _row(one: StoredImport, closest: Entry | None) -> ImportedRow:
    result = one.result
    score = result.imported.score
    rate = closest.row.docs_per_s if closest else None
    return ImportedRow(
        experiment=result.job.experiment,
        file=result.imported.data.name.removeprefix("data_").removesuffix(".json"),
        run=result.job.run,
        gpu=result.job.gpu,
        documents=result.metrics.docs,
        scenario=result.job.scenario,
        batch_size=_batch_size(result),
        docs_per_s=result.metrics.docs_per_s,
        stored_docs_per_s=result.imported.stored_docs_per_s,
        rouge1_f1=result.quality.rouge1_f1,
        stored_rouge1_f1=score.stored if score else None,
        score_difference=score.difference if score else None,
        score_flagged=score.flagged if score else None,
        output_words_mean=result.quality.output_words_mean,
        remarks=_remarks(result),
        closest=closest.row.experiment if closest else None,
        closest_ran=_ran(closest) if closest else None,
        closest_docs_per_s=rate.value if rate else None,
        closest_rouge1_f1=closest.row.score("rouge1_f1") if closest else None,
        differs=_differs(one, closest) if closest else (),
    )


def _ran(entry: Entry) -> str:
    """What the imported row's files have no word on, of a measured one."""
    job = entry.first.result.job
    return f"{job.model or 'no model'}, {job.preset or f'prompt {job.workload.prompt.name}'}"


def _batch_size(result: ImportedResult) -> int | None:
    settings = result.settings
    return settings.batch_size_asked if settings.batch_size_used is None else settings.batch_size_used


def _remarks(result: ImportedResult) -> tuple[str, ...]:
    score = result.imported.score
    if score is None or not score.flagged:
        return result.warnings
    told = (
        f"stored ROUGE-1 F1 {number(score.stored, 4)}, recomputed {number(score.recomputed, 4)}: "
        f"{score.difference:+.4f}, where up to {number(score.expected, 4)} is expected of a bootstrap's median"
    )
    return (told, *result.warnings)


def _differs(one: StoredImport, entry: Entry) -> tuple[str, ...]:
    """What is known to set the measured row apart from the imported one."""
    result, job = one.result, entry.first.result.job
    found = []
    if job.gpu != result.job.gpu:
        found.append(f"GPU: {job.gpu} instead of {result.job.gpu}")
    if result.job.scenario not in (None, job.scenario):
        found.append(f"scenario: {job.scenario} instead of {result.job.scenario}")
    batch, old = (1 if job.scenario == "single" else entry.row.batch_size), _batch_size(result)
    if old is not None and batch != old:
        found.append(f"batch size: {figures.name(batch)} instead of {old}")
    measured = entry.document_ids
    shared = int(measured.isin([hash(name) for name in one.ids]).sum())
    if not shared == len(one.ids) == len(measured):
        known = bool(len(one.ids) and len(measured))
        common = f", {shared} in common" if known else ", how many in common is not known"
        found.append(f"documents: {entry.row.docs_completed} instead of {result.metrics.docs}{common}")
    return tuple(found)
