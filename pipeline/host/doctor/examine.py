"""The checks put together: for --doctor, and before a run."""

import dataclasses
from collections.abc import Mapping, Sequence

from pipeline.catalog import Catalog
from pipeline.datasets import Dataset, NotPrepared
from pipeline.errors import UsageError
from pipeline.host.arguments import Arguments
from pipeline.host.cluster.launcher import RayLauncher
from pipeline.host.docker.engine import EngineError
from pipeline.host.doctor.cluster import cluster_checks, node_memory
from pipeline.host.doctor.containers import builder_checks, docker_checks
from pipeline.host.doctor.disk import disk_checks
from pipeline.host.doctor.folders import folder_checks, is_writable, limit_checks
from pipeline.host.doctor.gather import Facts, gather
from pipeline.host.doctor.gpu import driver_checks, gpu_checks
from pipeline.host.doctor.hub import hub_checks
from pipeline.host.doctor.memory import Memory, memory_checks
from pipeline.host.session import Session, find_dataset, make_requests, open_session
from pipeline.plan import Request, Selected, Skipped
from pipeline.spec import Check


def diagnose(arguments: Arguments, catalog: Catalog) -> list[Check]:
    """Everything about a command line on this machine; names that don't exist are still UsageErrors."""
    try:
        session = open_session(arguments, catalog)
    except EngineError:  # --launcher docker, and no engine answers: a finding, beside which the rest is worth knowing
        without = open_session(dataclasses.replace(arguments, launcher="process"), catalog)
        session = dataclasses.replace(without, arguments=arguments)
    dataset: Dataset | NotPrepared | UsageError
    requests = None
    try:
        dataset = find_dataset(session)
        requests = make_requests(session, dataset) if isinstance(dataset, Dataset) else None
    except UsageError as error:
        dataset = error
    found = None if isinstance(dataset, UsageError) else dataset
    return [*dataset_checks(session.choices.dataset, dataset), *_examine_here(session, found, requests)]


def preflight(session: Session, dataset: Dataset | NotPrepared, requests: Sequence[Request] | None) -> list[Check]:
    """What a run looks at before it begins. requests: of the plans; None for documents that have yet to be fetched."""
    return _examine_here(session, dataset, requests)


def _examine_here(
    session: Session, dataset: Dataset | NotPrepared | None, requests: Sequence[Request] | None
) -> list[Check]:
    if session.cluster is not None:
        return examine_cluster(session, requests, session.cluster)
    return examine(session, requests, gather(session, dataset))


def examine_cluster(session: Session, requests: Sequence[Request] | None, launcher: RayLauncher) -> list[Check]:
    """What can be told before a job is on its node, which looks at its disk and engine itself."""
    results = {"results": is_writable(session.arguments.results)}
    return [
        *cluster_checks(launcher),
        *driver_checks(session.hardware, session.selected),
        *experiment_checks(session.planned, by_name=not session.arguments.all),
        *_memory_checks(session, requests, node_memory(session, launcher), {}),
        *folder_checks(results, to_fill=False),
    ]


def examine(session: Session, requests: Sequence[Request] | None, facts: Facts) -> list[Check]:
    """All checks but the documents', over the facts of any machine. requests: see preflight."""
    arguments, hardware, selected = session.arguments, session.hardware, session.selected
    checks = gpu_checks(hardware, arguments.gpu, facts.cards, facts.silent_card, selected)
    if facts.docker is not None:
        insisted = arguments.launcher == "docker"
        checks += docker_checks(facts.docker, insisted=insisted, gpu=bool(hardware.uuids))
    if facts.builds:
        checks += builder_checks(facts.builder_fault, facts.builds)
    checks += driver_checks(hardware, selected)
    checks += experiment_checks(session.planned, by_name=not arguments.all)
    checks += _memory_checks(session, requests, facts.memory, facts.opened_bytes)
    checks += disk_checks(facts.needs, facts.places)
    checks += hub_checks(facts.gated)
    checks += folder_checks(facts.writable, to_fill=any(facts.needs.values()))
    checks += limit_checks(facts.limits, processes=session.launcher.name == "process")
    return checks


def _memory_checks(
    session: Session, requests: Sequence[Request] | None, memory: Memory, opened_bytes: Mapping[tuple[str, str], int]
) -> list[Check]:
    checks = []
    for number, plan in enumerate(session.plans):
        request = requests[number] if requests is not None else None
        checks += memory_checks(plan.selected, session.hardware, memory, request, opened_bytes)
    return checks


def experiment_checks(planned: Sequence[Selected | Skipped], *, by_name: bool) -> list[Check]:
    """Which can run here, and in which variant. by_name: a skipped one is then a failure, as in a run."""
    checks = []
    for item in planned:
        name = item.title
        if isinstance(item, Selected):
            message = f"image {item.image.name} ({item.variant.name}), {item.why}"
            checks.append(Check("experiment", name, "pass", message))
        elif by_name:
            mend = item.mend or "provide what it needs, or leave it out; --all does so by itself"
            checks.append(Check("experiment", name, "fail", item.reason, mend, (name,)))
        else:
            checks.append(Check("experiment", name, "skip", item.reason, item.mend))
    return checks


def dataset_checks(name: str, found: Dataset | NotPrepared | UsageError) -> list[Check]:
    """found: what the data folder has of it, or what is wrong there."""
    if isinstance(found, UsageError):
        message, _, mend = str(found).rpartition("; ")
        return [Check("dataset", name, "fail", message or str(found), mend if message else None)]
    if isinstance(found, NotPrepared):
        mend = "a run fetches it first, and so does --prepare"
        return [Check("dataset", name, "warn", f"{found.reason}: {found.description}", mend)]
    return [Check("dataset", found.name, "pass", f"{found.documents} documents in {found.path}, as recorded")]


def without_hopeless(session: Session, checks: Sequence[Check]) -> Session:
    """The session, with what a failed check stops skipped for the first such reason."""
    why = {name: check for check in reversed(checks) if check.status == "fail" for name in check.stops}
    plans = [
        dataclasses.replace(plan, planned=tuple(_skipped(item, why) for item in plan.planned)) for plan in session.plans
    ]
    return dataclasses.replace(session, plans=tuple(plans))


def _skipped(item: Selected | Skipped, why: dict[str, Check]) -> Selected | Skipped:
    check = why.get(item.title)
    if check is None or isinstance(item, Skipped):
        return item
    return Skipped(item.experiment, f"{check.check}, {check.subject}: {check.message}", check.mend, item.apart)
