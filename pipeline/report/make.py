"""From runs' folders to a report and its files. What statistics and charts are made with takes a second to import, so
whoever may need no report imports this where it does.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.comparison.gate import MARGIN as MARGIN
from pipeline.host.runs import RunFolder
from pipeline.host.wall import Wall
from pipeline.legacy.result import ImportedResult
from pipeline.report.build import Options as Options
from pipeline.report.build import build
from pipeline.report.files import why_no_pdf as why_no_pdf
from pipeline.report.files import write_files as write_files
from pipeline.report.model import Report
from pipeline.report.published import read_published
from pipeline.report.stored import StoredRun, read_imports, read_run, read_texts
from pipeline.results import Result, now_utc


@dataclass(frozen=True)
class RunContent:
    """A run's folder, and what was read of it: results by their folders."""

    path: Path
    label: str | None
    commands: tuple[str, ...]
    results: Mapping[Path, Result]
    walls: tuple[Wall | None, ...] = ()
    imported: Mapping[Path, ImportedResult] = field(default_factory=dict)


def read_contents(folders: Sequence[RunFolder]) -> tuple[list[RunContent], list[str]]:
    """What lies in the runs' folders, and what of it could not be read."""
    contents, faults = [], []
    for folder in folders:
        record, fault = folder.noted()
        results, unreadable = folder.results_of_all_jobs()
        imported, damaged = folder.imported_results()
        contents.append(RunContent(folder.path, record.label, record.typed, results, record.walls, imported))
        faults += [*filter(None, [fault]), *unreadable, *damaged]
    return contents, faults


def make_report(runs: Sequence[RunContent], output: Path, data: Path, options: Options) -> tuple[Report, list[str]]:
    """The report, and what could not be read for it.

    output: the folder that its files will lie in. data: the folder with the datasets.
    """
    stored, faults = read_runs(runs, output)
    report, absent = report_on(stored, data, options)
    return report, [*faults, *absent]


def read_runs(runs: Sequence[RunContent], output: Path) -> tuple[list[StoredRun], list[str]]:
    """The runs with what lies beside their results, and what of it could not be read. output: as make_report's."""
    stored, faults = [], []
    for run in runs:
        beside = Path(os.path.relpath(run.path, output.parent)).as_posix()
        one, found = read_run(run.path.name, run.label, run.commands, run.results, beside)
        imported, damaged = read_imports(run.imported)
        stored.append(replace(one, walls=run.walls, imported=imported))
        faults += [*found, *damaged]
    return stored, faults


def report_on(stored: Sequence[StoredRun], data: Path, options: Options) -> tuple[Report, list[str]]:
    """The report over runs that were read, and what of their datasets could not be."""
    workloads = [job.result.job.workload for run in stored for job in run.jobs] if options.texts else []
    texts, absent = read_texts(data, workloads)
    return build(stored, texts, read_published(), options, now_utc()), absent
