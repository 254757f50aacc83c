"""Results as pandas DataFrames, for whoever wants to look further than the report: docs/results.ipynb shows how.

Columns are named as in the files that they come from; what is not known is missing (NaN or None), never 0.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import codec
from pipeline.host.runs import open_runs
from pipeline.measures import DocumentResult
from pipeline.report import csv_file
from pipeline.report.generated import generated_documents
from pipeline.report.make import Options, read_contents, read_runs, report_on
from pipeline.report.model import Report, Row, Table
from pipeline.report.stored import StoredJob
from pipeline.results import DOCUMENTS_FILE, to_json

JOB = ("run", "experiment", "gpu", "launch", "folder")
"""The columns that tell jobs apart, first in the frames of what was measured."""
LAUNCHES = ("table", "gpu", "experiment", "run", "launch", "status", "docs_per_s", "folder")
_MEANS = ("documents", "value", "baseline_value", "difference", "low", "high")
DIFFERENCES = ("table", "gpu", "experiment", "baseline", "score", *_MEANS, "p_adjusted", "detectable")


@dataclass(frozen=True)
class Frames:
    """What was measured, whether or not it can be compared:

    jobs: a line a job, failed and skipped ones included; the fields of result.json, those within others by their path
    (`metrics.docs_per_s`). documents: a line a document of a job, as in documents.jsonl. repeats: a line a repeat of a
    job's timed section, its generate_s and docs_per_s.

    And what the report makes of it, `table` being the number of the report's table, from 1. answer: its first sentence.
    ranking: a line a row, in the report's order, with the columns of report.csv. launches: a line a launch of a row,
    with its job's folder.
    differences: a line a score of each row that is held against its table's baseline: paired, with interval and
    p-value.

    left_out: what could not be read, and why.
    """

    jobs: pd.DataFrame
    documents: pd.DataFrame
    repeats: pd.DataFrame
    answer: str
    ranking: pd.DataFrame
    launches: pd.DataFrame
    differences: pd.DataFrame
    left_out: tuple[str, ...]


def load(runs: Sequence[str], results: Path, data: Path, options: Options | None = None) -> Frames:
    """The runs of those names in the folder `results`, or with those folders, together.

    data: the folder with the datasets. options: the report's, such as another baseline. A UsageError for a run that
    isn't there.
    """
    contents, unreadable = read_contents(open_runs(runs, results))
    stored, missing = read_runs(contents, results / "report")
    report, absent = report_on(stored, data, options or Options())
    jobs = [job for run in stored for job in run.jobs]
    folders = [folder for content in contents for folder in content.results]
    return Frames(
        jobs=_frame(pd.json_normalize([_names(job) | to_json(job.result) for job in jobs], max_level=1)),
        documents=_frame(
            (
                _names(job) | codec.encode(document)
                for folder, job in zip(folders, jobs, strict=True)
                if job.generated
                for document in generated_documents(folder / DOCUMENTS_FILE)
            ),
            [*JOB, *(field.name for field in fields(DocumentResult))],
        ),
        repeats=_frame((line for job in jobs for line in _repeats(job)), [*JOB, "repeat", "generate_s", "docs_per_s"]),
        answer=report.answer,
        ranking=_frame(_ranking(report)),
        launches=_frame(_launches(report), LAUNCHES),
        differences=_frame(_differences(report), DIFFERENCES),
        left_out=(*unreadable, *missing, *absent),
    )


def _names(job: StoredJob) -> dict[str, Any]:
    one = job.result.job
    return dict(zip(JOB, (one.run, one.experiment, one.gpu, one.launch, job.folder), strict=True))


def _repeats(job: StoredJob) -> Iterator[dict[str, Any]]:
    docs = job.result.metrics.docs if job.result.metrics else None
    for number, seconds in enumerate(job.result.timing.repeats, start=1):
        rate = docs / seconds if docs is not None and seconds else None
        yield _names(job) | {"repeat": number, "generate_s": seconds, "docs_per_s": rate}


def _rows(report: Report) -> Iterator[tuple[int, Table, Row]]:
    for number, table in enumerate(report.tables, start=1):
        for row in table.rows:
            yield number, table, row


def _ranking(report: Report) -> Iterator[dict[str, Any]]:
    for (number, _, _), record in zip(_rows(report), csv_file.records(report), strict=True):
        yield {"table": number} | record


def _launches(report: Report) -> Iterator[tuple[Any, ...]]:
    for number, _, row in _rows(report):
        for one in row.launches:
            yield number, row.gpu, row.experiment, one.run, one.launch, one.status, one.docs_per_s, one.folder


def _differences(report: Report) -> Iterator[tuple[Any, ...]]:
    for number, table, row in _rows(report):
        for found in row.differences.values():
            interval = found.difference.interval
            low, high = (interval.low, interval.high) if interval else (None, None)
            means = (found.n, found.value, found.baseline_value, found.difference.value, low, high)
            yield (
                number,
                row.gpu,
                row.experiment,
                table.baseline,
                found.score,
                *means,
                found.p_adjusted,
                found.detectable,
            )


def _frame(lines: Iterable[Any], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A frame in which a column of which nothing is known holds NaN, so that it can be computed and plotted with."""
    frame = pd.DataFrame(lines, columns=columns)
    unknown = [name for name in frame if frame[name].isna().all()]
    return frame.astype(dict.fromkeys(unknown, float))
