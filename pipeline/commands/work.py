"""From a command line to a run that is ready to go: planned, locked and prepared."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pipeline.catalog import Catalog
from pipeline.datasets import NotPrepared
from pipeline.host import read_ahead
from pipeline.host.arguments import Arguments
from pipeline.host.cluster.preparing import prepare_on_cluster
from pipeline.host.doctor.examine import preflight, without_hopeless
from pipeline.host.execute import Execution, Policy
from pipeline.host.own.adopt import lay_out_folders
from pipeline.host.prepare import Preparation, Prepared
from pipeline.host.runs import RunFolder, host_facts
from pipeline.host.seats import ClusterSeats, Seats, seats_of
from pipeline.host.session import Session, find_dataset, make_requests, open_session, prepare_dataset
from pipeline.host.wall import Clock
from pipeline.host.watcher import Watcher
from pipeline.host.work import Work
from pipeline.job_folder import restore_interrupted
from pipeline.plan import Request
from pipeline.report.doctor import troubles
from pipeline.report.live import choose_watcher


@contextmanager
def at_work(arguments: Arguments, catalog: Catalog) -> Iterator[Work]:
    """Plan and prepare, with the run's folder locked until the end; what it all took is noted, however it ends."""
    watcher, clock = choose_watcher(as_json=arguments.json), Clock()
    session, requests = look_ahead(open_session(arguments, catalog), watcher, clock)
    folder = RunFolder(arguments.results, requests[0].run)
    folder.make()
    with folder.lock():
        if damaged := folder.noted()[1]:
            watcher.note(f"set aside, with the label and commands in it: {damaged}")
        number = folder.record(arguments.command, arguments.label)
        restore_interrupted(folder.path)
        try:
            with clock.part("prepare"):
                prepared = prepare(session, folder.path / "prepare", watcher)
            seats = take_seats(session, watcher)
            execution = Execution(
                launcher=session.launcher,
                results=arguments.results,
                hardware=session.hardware,
                host=replace(host_facts(), command=number),
                policy=Policy(arguments.rerun, arguments.fail_fast, arguments.limits, launches=arguments.launches),
                watcher=watcher,
                seats=seats,
                clock=clock,
                ahead=read_ahead.for_run(
                    session.hardware,
                    resumes=arguments.resume_documents or arguments.shards > 1,
                    side_by_side=seats.at_once > 1,
                ),
            )
            yield Work(session, requests, prepared, execution, folder, number)
        finally:
            folder.note_wall(number, clock.read())


def take_seats(session: Session, watcher: Watcher) -> Seats:
    """What the jobs compute on: what the cluster gives them, or what this host has."""
    if session.cluster is not None:
        return ClusterSeats()
    arguments = session.arguments
    return seats_of(session.hardware, watcher, shards=arguments.shards, exclusive=arguments.exclusive)


def look_ahead(session: Session, watcher: Watcher, clock: Clock) -> tuple[Session, tuple[Request, ...]]:
    """The session without the experiments that can't work here, and each plan's request; documents are fetched last."""
    found = find_dataset(session)
    requests = None if isinstance(found, NotPrepared) else make_requests(session, found)
    checks = preflight(session, found, requests)
    for line in troubles(checks):
        watcher.note(line)
    session = without_hopeless(session, checks)
    if requests is None:
        with clock.part("prepare"):
            dataset = prepare_dataset(session, watcher)
        requests = make_requests(session, dataset)
    return session, requests


def prepare(session: Session, logs: Path, watcher: Watcher) -> Prepared:
    """Environments and weights of everything planned, once nothing is left of commands that died."""
    if session.remark:
        watcher.note(session.remark)
    session.launcher.clean()
    arguments = session.arguments
    lay_out_folders([plan.model for plan in session.plans], arguments.cache)
    if session.cluster is not None:
        everywhere = arguments.action == "prepare"
        return prepare_on_cluster(session.cluster, session.selected, watcher, logs, everywhere=everywhere)
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
    return preparation.prepare(session.planned)
