"""The published tables (config/published.yaml), and a report's own rows beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import codec
from pipeline.catalog import CONFIG
from pipeline.names import Name
from pipeline.report.compare import Entry
from pipeline.report.model import PublishedRow
from pipeline.yaml_files import read_yaml

GB = 10**9
CARD_TOLERANCE = 0.15
"""Of a card's memory, which drivers report as somewhat more or less than its name says."""


@dataclass(frozen=True)
class PublishedEntry:
    """A published figure.

    gpu, memory_gb: as --gpu names it, and its memory where that was said. preset: the settings that it ran in, None for
    an experiment that is none here. batch_size: where one was said. docs_per_s: None for a test that failed.
    """

    experiment: Name
    gpu: Name
    documents: int
    docs_per_s: float | None = None
    rouge1_f1: float | None = None
    memory_gb: float | None = None
    preset: Name | None = None
    batch_size: int | None = None
    note: str | None = None


@dataclass(frozen=True)
class PublishedTables:
    """What all published rows have in common, and the rows. packages: versions, by name."""

    model: Name
    dataset: Name
    packages: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[PublishedEntry, ...] = ()


def read_published(path: Path = CONFIG / "published.yaml") -> PublishedTables:
    """A UsageError names the file, the row and the field."""
    return codec.decode(PublishedTables, read_yaml(path), str(path))


def beside_published(published: PublishedTables, entries: Sequence[Entry]) -> tuple[PublishedRow, ...]:
    """Each published row with the closest one of these. Empty where none ran the published model or settings.

    The closest is one of the same experiment that differs in the fewest things, the first of several.
    """
    related = [entry for entry in entries if _is_related(published, entry)]
    return tuple(_beside(published, row, related) for row in published.rows) if related else ()


def _is_related(published: PublishedTables, entry: Entry) -> bool:
    """Random weights are not: every document gets all its new tokens, where the published runs ended by themselves."""
    job = entry.first.result.job
    return not job.synthetic and (job.model == published.model or (job.model is not None and job.preset is not None))


def _beside(published: PublishedTables, row: PublishedEntry, entries: Sequence[Entry]) -> PublishedRow:
    same = [entry for entry in entries if entry.first.result.job.experiment == row.experiment and entry.row.docs_per_s]
    closest = min(same, key=lambda entry: len(_differs(published, row, entry)), default=None)
    rate = closest.row.docs_per_s if closest else None
    return PublishedRow(
        experiment=row.experiment,
        gpu=row.gpu if row.memory_gb is None else f"{row.gpu}-{row.memory_gb:g}gb",
        documents=row.documents,
        docs_per_s=row.docs_per_s,
        rouge1_f1=row.rouge1_f1,
        note="; ".join(filter(None, [f"batch size {row.batch_size}" if row.batch_size else None, row.note])) or None,
        reproduced_docs_per_s=rate.value if rate else None,
        reproduced_rouge1_f1=closest.row.score("rouge1_f1") if closest else None,
        differs=_differs(published, row, closest) if closest else (),
    )


def _differs(published: PublishedTables, row: PublishedEntry, entry: Entry) -> tuple[str, ...]:
    """What sets our row apart from the published one, the weightiest first."""
    result = entry.first.result
    job, environment = result.job, result.environment
    found = []
    if job.preset != row.preset:
        found.append(f"settings: {job.preset or 'this benchmark'}'s instead of {row.preset or 'unknown ones'}")
    if job.model != published.model:
        found.append(f"model: {job.model} instead of {published.model}")
    if job.gpu != row.gpu:
        found.append(f"GPU: {job.gpu} instead of {row.gpu}")
    elif row.memory_gb and environment.memory_bytes:
        memory = environment.memory_bytes / GB
        if abs(memory / row.memory_gb - 1) > CARD_TOLERANCE:
            found.append(f"GPU: of {memory:.0f} GB instead of {row.memory_gb:g}")
    if job.workload.dataset != published.dataset:
        found.append(f"dataset: {job.workload.dataset} instead of {published.dataset}")
    if job.workload.docs != row.documents:
        found.append(f"documents: {job.workload.docs} instead of {row.documents}")
    if row.batch_size is not None and entry.row.batch_size != row.batch_size:
        found.append(f"batch size: {entry.row.batch_size} instead of {row.batch_size}")
    software = [
        f"{name} {environment.packages[name]} instead of {version}"
        for name, version in published.packages.items()
        if not f"{environment.packages.get(name, version)}.".startswith(f"{version}.")
    ]
    return (*found, *([f"software: {', '.join(software)}"] if software else []))
