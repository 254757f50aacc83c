"""What a plan comes to, for people who want to see it before anything starts."""

import dataclasses
from collections.abc import Sequence

from pipeline.entries import Model
from pipeline.host.session import Session
from pipeline.job_folder import earlier_result
from pipeline.jobs import make_job, remarks
from pipeline.plan import Request, Selected, Skipped
from pipeline.spec import HostFacts, PlanRow
from pipeline.weights import read_weights


def preview(session: Session, requests: Sequence[Request] | None) -> list[PlanRow]:
    """A row for each experiment with each model. requests: None where the documents aren't fetched yet."""
    return [
        _row(item, plan.model, session, requests[number] if requests is not None else None)
        for number, plan in enumerate(session.plans)
        for item in plan.planned
    ]


def _row(item: Selected | Skipped, model: Model, session: Session, request: Request | None) -> PlanRow:
    form = item.experiment.weights
    row = PlanRow(item.experiment.name, "run", model.name if form else None)
    if isinstance(item, Skipped):
        return dataclasses.replace(row, action="skip", reason=item.reason)
    cache = session.arguments.cache
    weights = read_weights(session.catalog, model.name, form, cache) if form else None
    to_prepare = [] if session.launcher.ready(item.image, item.variant) else [f"image {item.image.name}"]
    if form and weights is None:
        to_prepare.append(f"{form} weights")
    row = dataclasses.replace(
        row,
        reason="; ".join(remarks(item, request)) or None if request else None,
        image=item.image.name,
        variant=item.variant.name,
        variant_reason=item.why,
        to_prepare=tuple(to_prepare),
        launches=session.arguments.launches,
    )
    if request is None or (form and weights is None):
        return row
    launches = [dataclasses.replace(request, launch=launch + 1) for launch in range(row.launches)]
    jobs = [make_job(item, launch, session.hardware, weights, HostFacts()) for launch in launches]
    found = [earlier_result(session.arguments.results, job.folder) for job in jobs]
    earlier = [result.status for result in found if result]
    kept = earlier.count("ok")
    return dataclasses.replace(
        row,
        action="keep" if kept == row.launches else "run",
        dtype=jobs[0].dtype if item.model else None,
        batch_size=jobs[0].batch_size,
        earlier=next((status for status in earlier if status != "ok"), "ok" if earlier else None),
        kept=kept,
    )
