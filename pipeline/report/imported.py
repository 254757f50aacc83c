"""Rows that were imported from old files, as they read beside measured ones."""

from collections.abc import Sequence

from pipeline.figures import speed
from pipeline.report import figures
from pipeline.report.figures import UNKNOWN, number
from pipeline.report.markup import Column
from pipeline.report.model import ImportedRow
from pipeline.report.section import Section

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
