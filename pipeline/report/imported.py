"""Rows that were imported from old files: beside which measured row each stands, and how both read."""

from collections.abc import Sequence

from pipeline.figures import speed
from pipeline.legacy.result import ImportedResult
from pipeline.report import figures
from pipeline.report.compare import Entry
from pipeline.report.figures import UNKNOWN, number
from pipeline.report.markup import Column
from pipeline.report.model import ImportedRow
from pipeline.report.section import Section
from pipeline.report.stored import StoredImport

HEADING = "Imported results"
FLAG = " (!)"
"""Behind a difference of scores that is more than expected."""
NOTES = (
    "Read from old files with --import and never ranked. Neither the model, the prompt, the sampling, the software nor "
    "the limit of new tokens stands in these files, so all of these may differ from a measured row's, besides what is "
    "named.",
    "ROUGE-1 F1 is computed again from the stored texts, as the mean over documents; the stored score is a bootstrap's "
    "median, which lies up to 0.004 off it on 10 documents and less on more. docs/s is documents over the sum of their "
    "own times, or their batches', where these were stored.",
)


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
    if one.ids != entry.document_ids:
        known = bool(one.ids and entry.document_ids)
        common = f", {len(one.ids & entry.document_ids)} in common" if known else ", how many in common is not known"
        found.append(f"documents: {entry.row.docs_completed} instead of {result.metrics.docs}{common}")
    return tuple(found)


_NAME: Column[ImportedRow] = Column("experiment", lambda row: f"{row.experiment} (imported)", text=True)
_FIGURES: tuple[Column[ImportedRow], ...] = (
    Column("GPU", lambda row: row.gpu, text=True),
    Column("documents", lambda row: str(row.documents)),
    Column("batch size", lambda row: figures.name(row.batch_size)),
    Column("docs/s", lambda row: speed(row.docs_per_s)),
    Column("docs/s, stored", lambda row: speed(row.stored_docs_per_s)),
    Column("ROUGE-1 F1", lambda row: number(row.rouge1_f1, 4)),
    Column("ROUGE-1 F1, stored", lambda row: number(row.stored_rouge1_f1, 4)),
    Column("stored less recomputed", lambda row: _score_difference(row)),
    Column("measured row", lambda row: figures.name(row.closest), text=True),
    Column("its docs/s", lambda row: speed(row.closest_docs_per_s)),
    Column("its ROUGE-1 F1", lambda row: number(row.closest_rouge1_f1, 4)),
)
COLUMNS: tuple[Column[ImportedRow], ...] = (
    _NAME,
    Column("files", lambda row: row.file, text=True),
    *_FIGURES,
    Column("it ran", lambda row: figures.name(row.closest_ran), text=True),
    Column("what differs there", lambda row: _what_differs(row), text=True),
    Column("scenario", lambda row: figures.name(row.scenario), text=True),
    Column("words, mean", lambda row: number(row.output_words_mean, 1)),
)


def section(rows: Sequence[ImportedRow]) -> Section:
    """The rows, what to know of them, and where their files contradict themselves."""
    return Section(HEADING, columns=COLUMNS, items=rows, sentences=NOTES, entries=remarks(rows))


def terminal_section(rows: Sequence[ImportedRow]) -> Section:
    """The same with fewer columns; what differs stands below, since a column of words would be wrapped to shreds."""
    differing = [
        f"{row.file}, beside {row.closest} ({row.closest_ran}): {_what_differs(row)}" for row in rows if row.closest
    ]
    entries = [*differing, *remarks(rows)]
    return Section(HEADING, columns=(_NAME, *_FIGURES), items=rows, sentences=NOTES, entries=entries)


def remarks(rows: Sequence[ImportedRow]) -> list[str]:
    """Where files contradict themselves, or what is computed of them, in sentences."""
    return [f"{row.file}: {remark}" for row in rows for remark in row.remarks]


def _score_difference(row: ImportedRow) -> str:
    if row.score_difference is None:
        return UNKNOWN
    return f"{row.score_difference:+.4f}{FLAG if row.score_flagged else ''}"


def _what_differs(row: ImportedRow) -> str:
    if row.closest is None:
        return UNKNOWN
    return "; ".join(row.differs) or "nothing that the files tell of"
