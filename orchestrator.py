"""Run every way of running a language model over the same documents, one after another, and report what came of it."""

import io
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from pipeline import codec
from pipeline.catalog import Catalog, load_catalog, under_preset, with_weights
from pipeline.commands import importing, reports, tune
from pipeline.commands.output import print_json
from pipeline.commands.work import at_work, prepare
from pipeline.current import in_environment
from pipeline.datasets import NotPrepared, describe, load_datasets
from pipeline.errors import BenchmarkError, UsageError
from pipeline.figures import printable
from pipeline.host import bertscore
from pipeline.host.arguments import Arguments, parse, results_folder
from pipeline.host.doctor.examine import diagnose
from pipeline.host.doctor.hub import how_to_get
from pipeline.host.doctor.missing import repositories_to_fetch
from pipeline.host.execute import exit_status
from pipeline.host.explain import explain
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.own.adopt import adopt
from pipeline.host.preview import preview
from pipeline.host.session import find_dataset, make_requests, open_session, prepare_dataset
from pipeline.redact import redact
from pipeline.report import bertscore as bertscored
from pipeline.report import explain as explained
from pipeline.report.doctor import as_json, doctor_listing
from pipeline.report.listing import catalog_listing, plan_listing
from pipeline.report.live import choose_watcher
from pipeline.tuning.preset import with_presets


def main(argv: Sequence[str]) -> int:
    """Exit status: 0 all that could run did, 1 something failed or nothing ran, 2 bad usage, 130 interrupted."""
    actions = {
        "list": show_catalog,
        "plan": show_plan,
        "doctor": show_diagnosis,
        "explain": explain_log,
        "explain_speed": reports.explain_speed,
        "report": reports.report_only,
        "bertscore": add_bertscore,
        "import_from": importing.import_results,
        "tune": tune.tune,
        "prepare": prepare_only,
        "run": run,
    }
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a stream that isn't UTF-8 can't hold ends no run
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)  # ends as cleanly as Ctrl-C
    try:
        catalog = with_presets(load_catalog(), results_folder(argv))
        arguments, catalog = adopt(parse(argv, catalog, LAUNCHERS), catalog)
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
    with at_work(arguments, catalog) as work:
        outcomes = work.execution.run_all(work.session.jobs(work.requests), work.prepared)
        work.report_with(lambda: reports.report(work.folder, arguments, work.execution.watcher))
    return exit_status(outcomes, asked_by_name=not arguments.all)


def show_plan(arguments: Arguments, catalog: Catalog) -> int:
    """What would run and what not, and why; nothing is started or fetched."""
    session = open_session(arguments, catalog)
    dataset = find_dataset(session)
    requests = None if isinstance(dataset, NotPrepared) else make_requests(session, dataset)
    rows = preview(session, requests)
    models = [plan.model.name for plan in session.plans]
    gated = how_to_get(repositories_to_fetch(session))
    if arguments.json:
        print_json(
            {
                "gpu": codec.encode(session.hardware),
                "models": models,
                "launcher": session.launcher.name,
                "plan": codec.encode(rows),
                "gated": gated,
            }
        )
        return 0
    work = dataset.description if isinstance(dataset, NotPrepared) else f"{dataset.name}, {dataset.documents} documents"
    launcher = session.remark or f"launcher {session.launcher.name}"
    absent = "" if session.hardware.present else ", planned for as listed: it was not found on this machine"
    known = f"{'model' if len(models) == 1 else 'models'} {', '.join(models)}"
    machine = f"{session.hardware.description}{absent}; {known}; {launcher}"
    print(printable(plan_listing(machine, work, rows, gated)))
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
