"""What a session's experiments lack on this machine: images or environments, weights, documents."""

from collections.abc import Iterator
from dataclasses import replace

from pipeline.analysis.memory import files_bytes
from pipeline.datasets import Dataset, NotPrepared, load_datasets
from pipeline.entries import Image, Variant
from pipeline.host.doctor.disk import GB, Need
from pipeline.host.doctor.hub import Repository
from pipeline.host.session import Session
from pipeline.plan import Selected, WeightsNeeded, preparing_variant, weights_needed
from pipeline.spec import JobWeights
from pipeline.weights import opened_bytes, read_weights

IMAGES = "Docker's images"
"""The name of the place where the engine keeps them."""

MB = 10**6


def find_missing(session: Session, dataset: Dataset | NotPrepared | None) -> dict[str, tuple[Need, ...]]:
    """By experiment, in the order of the run: what has to be built, installed or fetched for it."""
    documents = tuple(_documents(session)) if isinstance(dataset, NotPrepared) else ()
    return {item.title: (*documents, *_of(item, session)) for item in session.selected}


def prepared_bytes(session: Session) -> dict[tuple[str, str], int]:
    """Sizes of the weights that are there, by model and format."""
    there = {needed.key: _prepared(session, needed) for needed in weights_needed(session.selected)}
    return {key: opened_bytes(session.arguments.cache, weights) for key, weights in there.items() if weights}


def repositories_to_fetch(session: Session) -> list[Repository]:
    """The gated ones, each with the experiments that need it."""
    found: dict[str, Repository] = {}
    for item in session.selected:
        for needed in weights_needed([item]):
            source = needed.model.weights[needed.form]
            if source.gated and source.repo is not None and _prepared(session, needed) is None:
                before = found.get(source.repo, Repository(source.repo, source.revision))
                found[source.repo] = replace(before, experiments=(*before.experiments, item.title))
    return list(found.values())


def _of(item: Selected, session: Session) -> Iterator[Need]:
    yield from _environment(item.image, item.variant, session)
    chosen = {other.image.name: other.variant for other in session.selected}
    for needed in weights_needed([item]):
        if _prepared(session, needed) is not None:
            continue
        size = files_bytes(needed.model, needed.model.weights[needed.form])
        yield Need(f"{needed.form} weights of {needed.model.name}", "cache", size)
        image = session.catalog.images[needed.image]
        variant = chosen.get(needed.image) or preparing_variant(
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


def _prepared(session: Session, needed: WeightsNeeded) -> JobWeights | None:
    return read_weights(session.catalog, needed.model.name, needed.form, session.arguments.cache)
