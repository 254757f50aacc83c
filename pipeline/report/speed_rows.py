"""The rows that a speed can be explained with: those that a report ranks, with what they ran with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.catalog import Catalog
from pipeline.comparison.gate import MARGIN
from pipeline.comparison.speed_configuration import Configuration, configuration
from pipeline.comparison.speed_factors import Measured, Row
from pipeline.report import figures
from pipeline.report.compare import Entry, find_baseline, hold_against
from pipeline.report.groups import Site, rows_of, tables_of
from pipeline.report.rows import make_row
from pipeline.report.stored import StoredJob
from pipeline.results import Result

Ground = tuple[tuple[str, str], ...]
"""What rows must have in common to be compared, by name."""


@dataclass(frozen=True)
class LeftOut:
    """A row that no factor is of, and why."""

    row: str
    why: str


@dataclass(frozen=True)
class Pair:
    """A row as the report has it and as factors are made of it."""

    entry: Entry
    measured: Measured

    @property
    def result(self) -> Result:
        """The first launch's that came through."""
        return self.entry.first.result

    @property
    def ground(self) -> Ground:
        """Named as the options that set them, where there are such."""
        job, site = self.result.job, Site.of(self.result.environment)
        return (
            ("model", str(job.model)),
            ("weights", "random" if job.synthetic else "real"),
            ("dtype", str(self.result.settings.dtype)),
            ("GPU", job.gpu),
            ("machine", site.name if site else "not known"),
            ("launcher", job.launcher),
            ("shards", str(job.shards)),
            ("dataset", job.workload.dataset),
            ("prompt", job.workload.prompt.template),
            ("new tokens at most", str(job.workload.max_new_tokens)),
        )


def label(row: Row) -> str:
    """Such as "vllm at batch 100"."""
    return f"{row.experiment} at batch {row.configuration.batch}"


def ranked_rows(jobs: Sequence[StoredJob], baseline: str, catalog: Catalog) -> tuple[list[Pair], list[LeftOut]]:
    """The rows that compete, table by table as in a report, and why others don't. baseline: an experiment."""
    pairs, left = [], []
    for members in tables_of(jobs).values():
        table = [Entry(make_row(name, launches, None), tuple(launches)) for name, launches in rows_of(members).items()]
        for entry in hold_against(table, find_baseline(table, baseline), MARGIN):
            found = _configuration(entry, catalog) if (why := _why_not(entry)) is None else why
            if isinstance(found, str):
                left.append(LeftOut(_name(entry), found))
            else:
                pairs.append(Pair(entry, _measured(entry, found, catalog)))
    return pairs, left


def on_ground(pairs: Sequence[Pair], ground: Ground) -> tuple[list[Pair], list[LeftOut]]:
    """The rows that have all of it in common, and what others have instead."""
    left = []
    for pair in pairs:
        apart = [f"{name} {value}" for (name, value), its in zip(pair.ground, ground, strict=True) if value != its[1]]
        if apart:
            told = figures.one_line("; ".join(apart), 200)
            left.append(LeftOut(_name(pair.entry), f"can't be compared with the others: {told}"))
    return [pair for pair in pairs if pair.ground == ground], left


def one_of_each(pairs: Sequence[Pair]) -> tuple[list[Pair], list[LeftOut]]:
    """Of rows that ran with the same the one over the most documents, then of the most repeats; by name."""
    kept: dict[Configuration, Pair] = {}
    left = []
    order = sorted(pairs, key=lambda pair: (-pair.measured.documents, -pair.measured.repeats, _name(pair.entry)))
    for pair in order:
        other = kept.setdefault(pair.measured.configuration, pair)
        if other is not pair:
            left.append(LeftOut(_name(pair.entry), f"ran with the same as {_name(other.entry)}, which stands for both"))
    return sorted(kept.values(), key=lambda pair: label(pair.measured)), left


def called_by_its_batch(pair: Pair) -> Entry:
    """The entry under a name that no other row of the run has."""
    return replace(pair.entry, row=replace(pair.entry.row, experiment=label(pair.measured)))


def _name(entry: Entry) -> str:
    job = entry.first.result.job
    return f"{entry.row.experiment}, {job.scenario}, {figures.plural(job.workload.docs, 'document')}"


def _why_not(entry: Entry) -> str | None:
    row = entry.row
    if row.status != "ok":
        return f"{figures.status(row)}: {figures.reason(row.failure)}"
    if row.standing != "ranked":
        usual = {"reference": "runs no model", "unranked": "not ranked"}
        return row.below_because or usual[row.standing]
    return "its speed is not known" if row.docs_per_s is None else None


def _configuration(entry: Entry, catalog: Catalog) -> Configuration | str:
    """What the row ran with, or why that isn't known."""
    result = entry.first.result
    experiment = catalog.experiments.get(result.job.experiment)
    if experiment is None:
        return "its experiment is not in experiments.yaml, so its options are not known"
    return configuration(result, experiment) or "what its engine ran with is not recorded"


def _measured(entry: Entry, found: Configuration, catalog: Catalog) -> Measured:
    result, row = entry.first.result, entry.row
    work = result.job.workload
    done = [job.result for job in entry.launches if job.docs_per_s is not None]
    single = [rate for one in done for rate in _rates(one)]
    return Measured(
        experiment=result.job.experiment,
        configuration=found,
        launches={job.result.job.launch: rate for job in entry.launches if (rate := job.docs_per_s) is not None},
        documents=row.docs_completed or 0,
        repeats=sum(max(1, len(one.timing.repeats)) for one in done),
        spread=(min(single), max(single)) if len(single) > 1 else None,
        # of documents that were too long for the model nobody knows here which they are
        chosen_from=f"{work.dataset}, seed {work.seed}" if row.docs_completed == row.docs_asked else None,
        scenario=result.job.scenario,
        prompt_tokens_mean=row.prompt_tokens_mean,
        output_tokens_mean=row.output_tokens_mean,
        software=_software(result, catalog),
    )


def _rates(result: Result) -> list[float]:
    """Docs/s of each repeat."""
    docs = result.metrics.docs if result.metrics else 0
    return [docs / seconds for seconds in result.timing.repeats if seconds > 0]


def _software(result: Result, catalog: Catalog) -> Mapping[str, str]:
    """The engine and what else the image says that its jobs import, as far as they are recorded."""
    image = catalog.images.get(result.job.image)
    names = {"torch", image.engine, *image.needs_packages} if image else set()
    packages = result.environment.packages
    return {name: version for name, version in sorted(packages.items()) if name in names}
