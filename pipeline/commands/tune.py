"""--tune: the search, what the quality gate says of it, and the tuned preset that comes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipeline import codec
from pipeline.catalog import Catalog
from pipeline.commands.output import print_json
from pipeline.commands.reports import reading_of, write_report
from pipeline.commands.work import at_work
from pipeline.files import write_atomically
from pipeline.host import tune as tuning
from pipeline.host.arguments import Arguments
from pipeline.host.runs import RunFolder
from pipeline.report import terminal
from pipeline.report import tuning as tuned
from pipeline.tuning.record import Judged


def tune(arguments: Arguments, catalog: Catalog) -> int:
    """Search for an experiment's fastest settings, and keep those that pass the quality gate as a preset."""
    from pipeline.comparison.statistics import LEAST_DOCUMENTS

    reporting = replace(arguments.reporting, baseline=arguments.reporting.baseline or arguments.tune)
    arguments = replace(arguments, reporting=reporting)
    with at_work(arguments, catalog) as work:
        watcher = work.execution.watcher
        tuner = tuning.tuner(work, arguments)
        if tuner.real_weights and tuner.request.workload.docs < LEAST_DOCUMENTS:
            watcher.note(f"below {LEAST_DOCUMENTS} documents the quality gate decides nothing, so no preset is made")
        found = tuner.run(lambda names: judge(work.folder, arguments, names))
        found = tuning.keep(found, tuner, arguments.results)
        work.report_with(lambda: write_report([work.folder], work.folder.path, arguments, watcher))
        path = work.folder.path / tuned.DOCUMENT
        write_atomically(path, tuned.document(found))
    if arguments.json:
        print_json(codec.encode(found))
    else:
        terminal.show_sections([tuned.answer(found), tuned.searched(found)], tuned.sections(found))
        print(f"Document: {path}\nResults: {work.folder.path}")
    return 0 if found.best is not None else 1


def judge(folder: RunFolder, arguments: Arguments, names: Sequence[str]) -> Mapping[str, Judged]:
    """What the quality gate says of these rows of the run against the one that is tuned."""
    from pipeline.report.make import make_report, read_contents

    assert arguments.tune is not None
    runs, _ = read_contents([folder])
    against_untuned = replace(arguments.reporting, baseline=arguments.tune)  # whatever the report is to compare with
    made, _ = make_report(runs, folder.path, arguments.data, reading_of(against_untuned))
    return tuned.verdicts(made, arguments.tune, names)
