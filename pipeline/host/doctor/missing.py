"""What a session's experiments lack on this machine: images or environments, weights, documents."""

from collections.abc import Iterator
from dataclasses import replace

from pipeline.analysis.memory import files_bytes
from pipeline.datasets import Dataset, NotPrepared, load_datasets
from pipeline.entries import Image, Variant
from pipeline.host.doctor.disk import GB, Need
from pipeline.host.doctor.hub import Repository
from pipeline.host.session import Session
from pipeline.plan import Selected, formats_needed, preparing_variant
from pipeline.spec import JobWeights
from pipeline.weights import opened_bytes, read_weights

IMAGES = "Docker's images"
"""The name of the place where the engine keeps them."""

MB = 10**6


def find_missing(session: Session, dataset: Dataset | NotPrepared | None) -> dict[str, tuple[Need, ...]]:
    """By experiment, in the order of the run: what has to be built, installed or fetched for it."""
    documents = tuple(_documents(session)) if isinstance(dataset, NotPrepared) else ()
    return {item.experiment.name: (*documents, *_of(item, session)) for item in _selected(session)}


def prepared_bytes(session: Session) -> dict[str, int]:
    """Sizes of the weights that are there, by format."""
    forms = {item.experiment.weights for item in _selected(session)} - {None}
    there = {form: _prepared(session, form) for form in forms if form is not None}
    return {form: opened_bytes(session.arguments.cache, weights) for form, weights in there.items() if weights}


def repositories_to_fetch(session: Session) -> list[Repository]:
    """The gated ones, each with the experiments that need it."""
    found: dict[str, Repository] = {}
    for item in _selected(session):
        for form in formats_needed([item], session.model):
            source = session.model.weights[form]
            if source.gated and source.repo is not None and _prepared(session, form) is None:
                before = found.get(source.repo, Repository(source.repo, source.revision))
                found[source.repo] = replace(before, experiments=(*before.experiments, item.experiment.name))
    return list(found.values())


def _of(item: Selected, session: Session) -> Iterator[Need]:
    yield from _environment(item.image, item.variant, session)
    chosen = {other.image.name: other.variant for other in _selected(session)}
    for form, image_name in formats_needed([item], session.model).items():
        if _prepared(session, form) is not None:
            continue
        size = files_bytes(session.model, session.model.weights[form])
        yield Need(f"{form} weights of {session.model.name}", "cache", size)
        image = session.catalog.images[image_name]
        variant = chosen.get(image_name) or preparing_variant(
            image, session.hardware, session.launcher.why_not, session.arguments.variants
        )
        if variant is not None:
            yield from _environment(image, variant, session)


def _environment(image: Image, variant: Variant, session: Session) -> Iterator[Need]:
    if session.launcher.ready(image, variant):
        return
    containers = session.launcher.name == "docker"
    what = f"{'image' if containers else 'environment'} {image.name} ({variant.name})"
    size = None if variant.size_gb is None else round(variant.size_gb * GB)
    yield Need(what, IMAGES if containers else "cache", size)


def _documents(session: Session) -> Iterator[Need]:
    """Of a dataset on the Hub: its files there, and about as much again as plain text."""
    entry = load_datasets().get(session.choices.dataset)
    listed = entry.hub.download_mb if entry is not None and entry.hub is not None else None
    size = None if listed is None else listed * MB
    yield Need(f"dataset {session.choices.dataset}", "cache", size)
    yield Need(f"documents of {session.choices.dataset}", "data", size)


def _prepared(session: Session, form: str) -> JobWeights | None:
    return read_weights(session.catalog, session.model.name, form, session.arguments.cache)


def _selected(session: Session) -> list[Selected]:
    return [item for item in session.planned if isinstance(item, Selected)]
