"""Run every way of running a language model over the same documents, one after another, and report what came of it."""

import io
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline import codec
from pipeline.catalog import Catalog, load_catalog, under_preset, with_weights
from pipeline.current import in_environment
from pipeline.datasets import NotPrepared, describe, load_datasets
from pipeline.errors import BenchmarkError, UsageError
from pipeline.figures import printable
from pipeline.files import require_writable
from pipeline.host import bertscore
from pipeline.host.arguments import Arguments, parse
from pipeline.host.doctor.examine import diagnose, preflight, without_hopeless
from pipeline.host.execute import Execution, Policy, exit_status
from pipeline.host.explain import explain
from pipeline.host.gpu_turn import GpuTurn
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.prepare import Preparation, Prepared
from pipeline.host.preview import preview
from pipeline.host.runs import RunFolder, host_facts, open_runs
from pipeline.host.session import Session, find_dataset, make_request, open_session, prepare_dataset
from pipeline.host.watcher import Watcher
from pipeline.job_folder import restore_interrupted
from pipeline.plan import Request
from pipeline.redact import redact
from pipeline.report import bertscore as bertscored
from pipeline.report import explain as explained
from pipeline.report import terminal
from pipeline.report.doctor import as_json, doctor_listing, troubles
from pipeline.report.listing import catalog_listing, plan_listing
from pipeline.report.live import choose_watcher
from pipeline.report.model import BASELINE, Report
from pipeline.results import Result, to_json


def main(argv: Sequence[str]) -> int:
    """Exit status: 0 all that could run did, 1 something failed or nothing ran, 2 bad usage, 130 interrupted."""
    actions = {
        "list": show_catalog,
        "plan": show_plan,
        "doctor": show_diagnosis,
        "explain": explain_log,
        "explain_speed": explain_speed,
        "report": report_only,
        "bertscore": add_bertscore,
        "prepare": prepare_only,
        "run": run,
    }
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a stream that isn't UTF-8 can't hold ends no run
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)  # ends as cleanly as Ctrl-C
    try:
        catalog = load_catalog()
        arguments = parse(argv, catalog, LAUNCHERS)
        return actions[arguments.action](arguments, as_asked(catalog, arguments))
    except BenchmarkError as error:
        print(f"error: {redact(printable(str(error)))}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except OSError as error:  # a disk that is full or was taken away, also under what is not looked after by itself
        fault = redact(printable(str(error)))
        print(f"error: {fault}; mend it, and the same command goes on from here", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130


def as_asked(catalog: Catalog, arguments: Arguments) -> Catalog:
    """The catalogue as --preset, --weights and --env have it."""
    known = with_weights(under_preset(catalog, arguments.preset), arguments.weights)
    return in_environment(known, arguments.env)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run(arguments: Arguments, catalog: Catalog) -> int:
    """The main job: plan, prepare, run each experiment, report."""
    watcher = choose_watcher(as_json=arguments.json)
    session, request = look_ahead(open_session(arguments, catalog), watcher)
    folder = RunFolder(arguments.results, request.run)
    folder.make()
    with folder.lock():
        if damaged := folder.noted()[1]:
            watcher.note(f"set aside, with the label and commands in it: {damaged}")
        number = folder.record(arguments.command, arguments.label)
        restore_interrupted(folder.path)
        prepared = prepare(session, folder.path / "prepare", watcher)
        execution = Execution(
            launcher=session.launcher,
            results=arguments.results,
            hardware=session.hardware,
            host=replace(host_facts(), command=number),
            policy=Policy(arguments.rerun, arguments.fail_fast, arguments.limits, launches=arguments.launches),
            watcher=watcher,
            turn=GpuTurn(session.hardware.uuid, watcher),
        )
        outcomes = execution.run_all(session.planned, request, prepared)
        report(folder, arguments, watcher)
    return exit_status(outcomes, asked_by_name=not arguments.all)


def look_ahead(session: Session, watcher: Watcher) -> tuple[Session, Request]:
    """The session without the experiments that can't work here, and the run's request; documents are fetched last."""
    found = find_dataset(session)
    request = None if isinstance(found, NotPrepared) else make_request(session, found)
    checks = preflight(session, found, request)
    for line in troubles(checks):
        watcher.note(line)
    session = replace(session, planned=without_hopeless(session.planned, checks))
    return session, request or make_request(session, prepare_dataset(session, watcher))


def prepare(session: Session, logs: Path, watcher: Watcher) -> Prepared:
    """Environments and weights of everything planned, once nothing is left of commands that died."""
    if session.remark:
        watcher.note(session.remark)
    session.launcher.clean()
    arguments = session.arguments
    preparation = Preparation(
        session.catalog,
        session.launcher,
        session.hardware,
        arguments.variants,
        arguments.cache,
        logs,
        watcher,
        arguments.allow_pickle,
    )
    return preparation.prepare(session.planned, session.model)


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
    from pipeline.report.make import MARGIN, Options, make_report, read_contents, why_no_pdf, write_files

    wanted = arguments.reporting
    runs, unreadable = read_contents(folders)
    for fault in unreadable:
        watcher.note(f"left out of the report: {fault}")
    results = [result for run in runs for result in run.results.values()]
    experiments = dict.fromkeys(result.job.experiment for result in results)
    if arguments.action == "report" and wanted.baseline not in (None, *experiments):
        raise UsageError(f"--baseline {wanted.baseline}: no result is of it; there are {', '.join(experiments)}")
    options = Options(
        baseline=wanted.baseline or BASELINE,
        margin=MARGIN if wanted.margin is None else wanted.margin,
        price=wanted.price,
        prices=wanted.prices,
        currency=wanted.currency,
        texts=wanted.texts,
    )
    made, faults = make_report(runs, output, arguments.data, options)
    for fault in faults:
        watcher.note(fault)
    files = write_files(made, output, wanted.formats)
    if "pdf" in wanted.formats and "pdf" not in files:
        watcher.note(why_no_pdf())
    return results, made, files


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
    machine = f"{session.hardware.description}{absent}; model {session.model.name}; {launcher}"
    print(printable(plan_listing(machine, work, rows)))
    return 0


def show_diagnosis(arguments: Arguments, catalog: Catalog) -> int:
    """What this machine has and lacks for the command; exit status 1 if anything fails. Nothing is started."""
    checks = diagnose(arguments, catalog)
    if arguments.json:
        print_json({"checks": [as_json(check) for check in checks]})
    else:
        print(printable(doctor_listing(checks)))
    return 1 if any(check.status == "fail" for check in checks) else 0


def prepare_only(arguments: Arguments, catalog: Catalog) -> int:
    """Fetch documents, make environments and weights, and stop."""
    session = open_session(arguments, catalog)
    watcher = choose_watcher(as_json=arguments.json)
    dataset = prepare_dataset(session, watcher)
    prepared = prepare(session, arguments.cache / "logs", watcher)
    print(f"documents: {dataset.name}, {dataset.documents} in {arguments.data / dataset.path}")
    return 1 if prepared.broken() else 0


def explain_log(arguments: Arguments, catalog: Catalog) -> int:
    """What a log says about what broke, and the fix."""
    assert arguments.explain is not None
    found = explain(arguments.explain)
    if arguments.json:
        print_json(explained.as_json(found))
    else:
        print(explained.explanation(found))
    return 0


def add_bertscore(arguments: Arguments, catalog: Catalog) -> int:
    """Score a finished run's summaries with BERTScore, beside what its jobs hold."""
    assert arguments.bertscore is not None
    scored = bertscore.score_run(arguments, catalog, arguments.bertscore, choose_watcher(as_json=arguments.json))
    if arguments.json:
        print_json(bertscored.as_json(scored))
    else:
        print(printable(bertscored.listing(scored)))
    return 0


def show_catalog(arguments: Arguments, catalog: Catalog) -> int:
    """Everything that can be named."""
    known = load_datasets()
    if arguments.json:
        print_json({"catalog": codec.encode(catalog), "datasets": codec.encode(known)})
        return 0
    print(printable(catalog_listing(catalog, {name: describe(entry) for name, entry in known.items()})))
    return 0


def print_json(value: Any) -> None:
    """On standard output, for another program to read. In ASCII, so that it does nothing to a terminal either."""
    print(json.dumps(value, indent=2))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
