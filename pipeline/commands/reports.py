"""The report at the end of a run, over runs that are there, and what explains a run's speed."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import codec
from pipeline.catalog import Catalog
from pipeline.commands.output import print_json
from pipeline.errors import UsageError
from pipeline.files import require_writable
from pipeline.host.arguments import Arguments
from pipeline.host.report_options import Reporting
from pipeline.host.runs import RunFolder, open_runs
from pipeline.host.watcher import Watcher
from pipeline.report import terminal
from pipeline.report.live import choose_watcher
from pipeline.report.model import BASELINE, Report
from pipeline.results import Result, to_json

if TYPE_CHECKING:
    from pipeline.report.make import Options


def report(folder: RunFolder, arguments: Arguments, watcher: Watcher) -> None:
    """Write the report over all results of the run, and show the tables."""
    results, made, files = write_report([folder], folder.path, arguments, watcher)
    if arguments.json:
        told = {"run": folder.name, "report": str(files["md"]) if "md" in files else None}
        print_json({**told, "results": [to_json(result) for result in results]})
        return
    show_report(made, files)
    print(f"Results: {folder.path}")


def report_only(arguments: Arguments, catalog: Catalog) -> int:
    """Report on runs that are there, one or several together; nothing is started."""
    folders = open_runs(arguments.report, arguments.results)
    output = arguments.reporting.output or folders[0].path
    require_writable(output, "the report's folder", "choose another with --output")
    _, made, files = write_report(folders, output, arguments, choose_watcher(as_json=arguments.json, stream=sys.stderr))
    if arguments.json:
        print_json(codec.encode(made))
        return 0
    show_report(made, files)
    return 0


def explain_speed(arguments: Arguments, catalog: Catalog) -> int:
    """Where the speed of a run that is there comes from; nothing is started."""
    from pipeline.report import speed_of_run as speed

    assert arguments.explain_speed is not None
    [folder] = open_runs([arguments.explain_speed], arguments.results)
    output = arguments.reporting.output
    if output is not None:
        speed.require_file(output)
    stored, faults = speed.read_one(folder)
    stored = speed.of_one_model(stored, arguments.models)
    watcher = choose_watcher(as_json=arguments.json, stream=sys.stderr)
    for fault in faults:
        watcher.note(fault)
    baseline = arguments.reporting.baseline or BASELINE
    made = speed.explain_speed(stored, catalog, baseline, speed.portable(arguments.command))
    if output is not None:
        speed.write_document(output, made)
    if arguments.json:
        print_json(codec.encode(made))
        return 0
    terminal.show_sections([made.answer, speed.holds_for(made)], speed.sections(made))
    if output is not None:
        print(f"Document: {output}")
    return 0


def show_report(made: Report, files: Mapping[str, Path]) -> None:
    """The tables, and where the files are."""
    terminal.show(made)
    for path in files.values():
        print(f"Report:  {path}")


def write_report(
    folders: Sequence[RunFolder], output: Path, arguments: Arguments, watcher: Watcher
) -> tuple[list[Result], Report, dict[str, Path]]:
    """The runs' results, the report over them, and its files in the folder; what can't be read is told and left out."""
    # what statistics and charts are made with takes a second to import, and most commands report nothing
    from pipeline.report.make import make_report, read_contents, why_no_pdf, write_files

    wanted = arguments.reporting
    runs, unreadable = read_contents(folders)
    for fault in unreadable:
        watcher.note(f"left out of the report: {fault}")
    results = [result for run in runs for result in run.results.values()]
    experiments = dict.fromkeys(result.job.experiment for result in results)
    if arguments.action == "report" and wanted.baseline not in (None, *experiments):
        raise UsageError(f"--baseline {wanted.baseline}: no result is of it; there are {', '.join(experiments)}")
    made, faults = make_report(runs, output, arguments.data, reading_of(wanted))
    for fault in faults:
        watcher.note(fault)
    files = write_files(made, output, wanted.formats)
    if "pdf" in wanted.formats and "pdf" not in files:
        watcher.note(why_no_pdf())
    return results, made, files


def reading_of(wanted: Reporting) -> "Options":
    """How the command line says that results are to be read."""
    from pipeline.report.make import MARGIN, Options

    return Options(
        baseline=wanted.baseline or BASELINE,
        margin=MARGIN if wanted.margin is None else wanted.margin,
        price=wanted.price,
        prices=wanted.prices,
        currency=wanted.currency,
        texts=wanted.texts,
    )
