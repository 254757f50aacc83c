"""Run every way of running a language model over the same documents, one after another, and report what came of it."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import codec
from pipeline.catalog import Catalog, load_catalog
from pipeline.datasets import NotPrepared, describe, load_datasets
from pipeline.errors import BenchmarkError, UsageError
from pipeline.files import write_atomically
from pipeline.host.arguments import Arguments, parse
from pipeline.host.execute import Execution, Policy, exit_status
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.prepare import Preparation, Prepared
from pipeline.host.preview import preview
from pipeline.host.runs import REPORT_FILE, RunFolder, host_facts
from pipeline.host.session import Session, find_dataset, make_request, open_session, prepare_dataset
from pipeline.report import markdown, terminal
from pipeline.report.environments import machines, software
from pipeline.report.listing import catalog_listing, plan_listing
from pipeline.report.table import rank
from pipeline.report.watch import LineWatcher
from pipeline.results import now_utc, to_json


def main(argv: Sequence[str]) -> int:
    """Exit status: 0 all that could run did, 1 something failed or nothing ran, 2 bad usage, 130 interrupted."""
    actions = {"list": show_catalog, "plan": show_plan, "prepare": prepare_only, "run": run}
    try:
        catalog = load_catalog()
        arguments = parse(argv, catalog, LAUNCHERS)
        return actions[arguments.action](arguments, catalog)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130


def run(arguments: Arguments, catalog: Catalog) -> int:
    """The main job: plan, prepare, run each experiment, report."""
    session = open_session(arguments, catalog)
    watcher = LineWatcher()
    request = make_request(session, prepare_dataset(session, watcher))
    folder = RunFolder(arguments.results, request.run)
    folder.make()
    with folder.lock():
        folder.record(arguments.command, arguments.label)
        prepared = prepare(session, folder.path / "prepare", watcher)
        execution = Execution(
            launcher=session.launcher,
            results=arguments.results,
            hardware=session.hardware,
            host=host_facts(),
            policy=Policy(arguments.rerun, arguments.fail_fast, arguments.timeout_s),
            watcher=watcher,
        )
        outcomes = execution.run_all(session.planned, request, prepared)
        report(folder, arguments)
    return exit_status(outcomes, asked_by_name=not arguments.all)


def prepare(session: Session, logs: Path, watcher: LineWatcher) -> Prepared:
    """Environments and weights of everything planned, once nothing is left of commands that died."""
    if session.remark:
        watcher.note(session.remark)
    session.launcher.clean()
    arguments = session.arguments
    preparation = Preparation(
        session.catalog, session.launcher, session.hardware, arguments.variants, arguments.cache, logs, watcher
    )
    return preparation.prepare(session.planned, session.model)


def report(folder: RunFolder, arguments: Arguments) -> None:
    """Write report.md over all results of the run, and show the tables."""
    results = folder.results_of_all_jobs()
    tables, label = rank(results), folder.label()
    meta = markdown.Meta(
        run=folder.name,
        command=arguments.command,
        created=now_utc(),
        machines=machines(results),
        software=software(results),
        label=label,
    )
    path = folder.path / REPORT_FILE
    write_atomically(path, markdown.render(tables, meta))
    if arguments.json:
        print_json({"run": folder.name, "report": str(path), "results": [to_json(result) for result in results]})
        return
    terminal.show(tables, label)
    print(f"Results: {folder.path}\nReport:  {path}")


def show_plan(arguments: Arguments, catalog: Catalog) -> int:
    """What would run and what not, and why; nothing is started or fetched."""
    session = open_session(arguments, catalog)
    dataset = find_dataset(session)
    request = None if isinstance(dataset, NotPrepared) else make_request(session, dataset)
    rows = preview(session, request)
    if arguments.json:
        print_json(
            {
                "gpu": codec.encode(session.hardware),
                "model": session.model.name,
                "launcher": session.launcher.name,
                "plan": codec.encode(rows),
            }
        )
        return 0
    work = dataset.description if isinstance(dataset, NotPrepared) else f"{dataset.name}, {dataset.documents} documents"
    launcher = session.remark or f"launcher {session.launcher.name}"
    absent = "" if session.hardware.present else ", planned for as listed: it was not found on this machine"
    print(plan_listing(f"{session.hardware.description}{absent}; model {session.model.name}; {launcher}", work, rows))
    return 0


def prepare_only(arguments: Arguments, catalog: Catalog) -> int:
    """Fetch documents, make environments and weights, and stop."""
    session = open_session(arguments, catalog)
    watcher = LineWatcher()
    dataset = prepare_dataset(session, watcher)
    prepared = prepare(session, arguments.cache / "logs", watcher)
    print(f"documents: {dataset.name}, {dataset.documents} in {arguments.data / dataset.path}")
    return 1 if prepared.broken() else 0


def show_catalog(arguments: Arguments, catalog: Catalog) -> int:
    """Everything that can be named."""
    known = load_datasets()
    if arguments.json:
        print_json({"catalog": codec.encode(catalog), "datasets": codec.encode(known)})
        return 0
    print(catalog_listing(catalog, {name: describe(entry) for name, entry in known.items()}))
    return 0


def print_json(value: Any) -> None:
    """On standard output, for another program to read."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
