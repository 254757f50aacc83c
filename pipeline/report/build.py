"""From stored runs to a report's values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeline.comparison.gate import MARGIN
from pipeline.documents import Document as Article
from pipeline.figures import number
from pipeline.report import figures
from pipeline.report.across import across_gpus
from pipeline.report.answer import answer_of, overall_answer
from pipeline.report.beside import beside_measured
from pipeline.report.compare import Entry, find_baseline, hold_against
from pipeline.report.environments import machines, software
from pipeline.report.groups import Group, rows_of, tables_of
from pipeline.report.model import BASELINE, Document, Note, Output, Report, Row, Standing, Table
from pipeline.report.notes import notes_on
from pipeline.report.published import PublishedTables, beside_published
from pipeline.report.rows import make_row
from pipeline.report.shards import shard_rows
from pipeline.report.stored import StoredJob, StoredRun, Texts
from pipeline.report.times import command_times, job_times

ORDER: tuple[Standing, ...] = ("ranked", "below", "unranked", "reference", "failed", "skipped")


@dataclass(frozen=True)
class Options:
    """How to read the results.

    margin: the loss of a score, as a share of the baseline's, that the accuracy gate allows. prices: an hour's, by the
    GPU's name; price: of any other machine, None where it isn't known. texts: whether the report holds those of the
    documents, their references and their summaries.
    """

    baseline: str = BASELINE
    margin: float = MARGIN
    price: float | None = None
    prices: Mapping[str, float] = field(default_factory=dict)
    currency: str = "USD"
    texts: bool = True

    def price_per_hour(self, gpu: str) -> float | None:
        """Of that GPU; None without one."""
        return self.prices.get(gpu, self.price)


def build(
    runs: Sequence[StoredRun], texts: Texts, published: PublishedTables, options: Options, created: str
) -> Report:
    """The report over these runs. texts: the documents that are at hand. created: as it is shown."""
    jobs = [job for run in runs for job in run.jobs]
    results = [job.result for job in jobs]
    groups = tables_of(jobs)
    made = {group: _entries(members, group, options) for group, members in groups.items()}
    tables = tuple(_table(group, entries, groups, texts, options) for group, entries in made.items())
    measured = [entry for entries in made.values() for entry in entries]
    imported = beside_measured([one for run in runs for one in run.imported], measured)
    used = {options.price_per_hour(group.gpu) for group in groups}
    return Report(
        runs=tuple(run.name for run in runs),
        labels=tuple(dict.fromkeys(run.label for run in runs if run.label)),
        commands=tuple(dict.fromkeys(command for run in runs for command in run.commands)),
        created=created,
        answer=overall_answer(tables, imported=len(imported)),
        tables=tables,
        across=across_gpus(tables),
        published=beside_published(published, measured),
        machines=machines(results),
        software=software(results),
        price_per_hour=next(iter(used)) if len(used) == 1 else None,
        currency=options.currency if used - {None} else None,
        texts=options.texts,
        job_times=job_times(runs),
        command_times=command_times(runs),
        shards=shard_rows(runs),
        imported=imported,
    )


def _entries(jobs: Sequence[StoredJob], group: Group, options: Options) -> list[Entry]:
    """The table's rows in their order."""
    price = options.price_per_hour(group.gpu)
    entries = [Entry(make_row(name, launches, price), tuple(launches)) for name, launches in rows_of(jobs).items()]
    held = hold_against(entries, find_baseline(entries, options.baseline), options.margin)
    return sorted(held, key=lambda entry: _position(entry.row))


def _position(row: Row) -> tuple[int, float]:
    """Kinds in their order; fastest first, those of unknown speed last."""
    return ORDER.index(row.standing), -row.docs_per_s.value if row.docs_per_s else float("inf")


def _table(
    group: Group,
    entries: Sequence[Entry],
    groups: Mapping[Group, Sequence[StoredJob]],
    texts: Texts,
    options: Options,
) -> Table:
    work = entries[0].launches[0].result.job.workload
    baseline = find_baseline(entries, options.baseline)
    rows = tuple(entry.row for entry in entries)
    price = options.price_per_hour(group.gpu)
    each = " for each GPU that shards ran on" if group.shards > 1 else ""
    cost = [] if price is None else [Note(f"cost at {number(price, 2)} {options.currency} an hour{each}")]
    documents = _documents(entries, texts.get(work.documents_sha256, {}))
    table = Table(
        scenario=group.scenario,
        model=group.model,
        synthetic=group.synthetic,
        gpu=_gpu_name(group, groups),
        workload=work,
        launcher=group.launcher,
        runs=tuple(dict.fromkeys(job.result.job.run for job in groups[group])),
        rows=rows,
        notes=(*notes_on(entries), *cost),
        answer="",
        baseline=baseline.row.experiment if baseline else None,
        documents=documents if options.texts else _without_texts(documents),
    )
    return replace(table, answer=answer_of(table, options.baseline))


def _gpu_name(group: Group, groups: Mapping[Group, object]) -> str:
    """As --gpu takes it; with the machine where the report holds several that are called so, and with its shards."""
    alike = {other.site for other in groups if other.gpu == group.gpu}
    name = group.gpu if len(alike) == 1 or group.site is None else f"{group.gpu} ({group.site.name})"
    return name if group.shards == 1 else f"{name}, {figures.plural(group.shards, 'shard')}"


def _documents(entries: Sequence[Entry], articles: Mapping[str, Article]) -> tuple[Document, ...]:
    """What each row's first launch made of the documents to show, in the dataset's order where that is known."""
    outputs: dict[str, dict[str, Output]] = {name: {} for name in articles}
    for entry in entries:
        for item, scores in entry.first.generated.shown_with_scores() if entry.first.generated else ():
            outputs.setdefault(item.id, {})[entry.row.experiment] = Output(
                text=item.text,
                finish_reason=item.finish_reason,
                output_tokens=item.output_tokens,
                latency_s=item.latency_s,
                ttft_s=item.ttft_s,
                scores=scores,
                tpot_s=item.tpot_s,
            )
    return tuple(
        Document(
            id=name,
            document=articles[name].document if name in articles else None,
            reference=articles[name].summary if name in articles else None,
            outputs=made,
        )
        for name, made in outputs.items()
        if made
    )


def _without_texts(documents: Sequence[Document]) -> tuple[Document, ...]:
    """Their figures alone; each is called by its place, since an id may be a title or an address."""
    return tuple(
        Document(
            id=str(place),
            document=None,
            reference=None,
            outputs={name: replace(output, text=None) for name, output in document.outputs.items()},
        )
        for place, document in enumerate(documents, start=1)
    )
