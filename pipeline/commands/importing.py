"""--import: read the published experiments' own files into a run, and report on it."""

import sys
from pathlib import Path

from pipeline.catalog import Catalog
from pipeline.commands.output import print_json
from pipeline.commands.reports import show_report, write_report
from pipeline.figures import printable
from pipeline.host import importing
from pipeline.host.arguments import Arguments
from pipeline.host.runs import RunFolder
from pipeline.legacy.result import to_json
from pipeline.redact import redact
from pipeline.report.live import choose_watcher


def import_results(arguments: Arguments, catalog: Catalog) -> int:
    """Import what can be; exit status 1 if anything in the folder could not be. Nothing is started."""
    assert arguments.import_from is not None
    source = Path(arguments.import_from)
    folder = RunFolder(arguments.results, arguments.run or importing.run_name(source))
    pairs, faults = importing.read_pairs(source, catalog.experiments, folder.name)
    for fault in faults:
        print(f"error: not imported: {redact(printable(fault))}", file=sys.stderr)
    if pairs:
        folder.make()
        with folder.lock():
            folder.record(arguments.command, arguments.label)
            importing.write_pairs(folder, pairs)
            _show(folder, pairs, faults, arguments)
    elif arguments.json:
        print_json({"run": None, "imported": [], "faults": faults})
    return 1 if faults else 0


def _show(
    folder: RunFolder, pairs: list[importing.ImportedPair], faults: tuple[str, ...], arguments: Arguments
) -> None:
    watcher = choose_watcher(as_json=arguments.json, stream=sys.stderr)
    _, made, files = write_report([folder], folder.path, arguments, watcher)
    if arguments.json:
        print_json({"run": folder.name, "imported": [to_json(pair.result) for pair in pairs], "faults": faults})
        return
    show_report(made, files)
    print(f"Results: {folder.path}")
