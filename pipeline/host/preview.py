"""What a plan comes to, for people who want to see it before anything starts."""

import dataclasses

from pipeline.host.session import Session
from pipeline.job_folder import earlier_result
from pipeline.jobs import make_job, remarks
from pipeline.plan import Request, Selected, Skipped
from pipeline.spec import HostFacts, PlanRow
from pipeline.weights import read_weights


def preview(session: Session, request: Request | None) -> list[PlanRow]:
    """A row for each experiment. request: None where the documents aren't fetched yet."""
    return [_row(item, session, request) for item in session.planned]


def _row(item: Selected | Skipped, session: Session, request: Request | None) -> PlanRow:
    if isinstance(item, Skipped):
        return PlanRow(item.experiment.name, "skip", item.reason)
    form = item.experiment.weights
    cache = session.arguments.cache
    weights = read_weights(session.catalog, item.model.name, form, cache) if item.model and form else None
    to_prepare = [] if session.launcher.ready(item.image, item.variant) else [f"image {item.image.name}"]
    if form and weights is None:
        to_prepare.append(f"{form} weights")
    row = PlanRow(
        item.experiment.name,
        "run",
        "; ".join(remarks(item, request)) or None if request else None,
        image=item.image.name,
        variant=item.variant.name,
        variant_reason=item.why,
        to_prepare=tuple(to_prepare),
    )
    if request is None or (form and weights is None):
        return row
    job = make_job(item, request, session.hardware, weights, HostFacts())
    earlier = earlier_result(session.arguments.results, job.folder)
    return dataclasses.replace(
        row,
        action="keep" if earlier and earlier.status == "ok" else "run",
        dtype=job.dtype if item.model else None,
        batch_size=job.batch_size,
        earlier=earlier.status if earlier else None,
    )
