"""What a command line comes to on this machine: hardware, model, documents, and the plan."""

from dataclasses import dataclass, replace

from pipeline import choices
from pipeline.catalog import Catalog
from pipeline.choices import Choices, resolve_choices
from pipeline.datasets import Dataset, NotPrepared
from pipeline.entries import Model
from pipeline.errors import UsageError
from pipeline.hardware import Hardware
from pipeline.host import datasets
from pipeline.host.arguments import Arguments
from pipeline.host.cluster.options import RAY
from pipeline.host.cluster.session import open_on_cluster
from pipeline.host.launchers import Launcher
from pipeline.host.launchers.choose import open_launcher
from pipeline.host.watcher import Watcher
from pipeline.plan import Request, Selected, Skipped, select


@dataclass(frozen=True)
class Session:
    """A command line, resolved. planned: in the order of the command or the catalogue.

    remark: why `--launcher auto` came to this launcher, where that is worth knowing.
    """

    arguments: Arguments
    catalog: Catalog
    choices: Choices
    launcher: Launcher
    remark: str | None
    planned: tuple[Selected | Skipped, ...]

    @property
    def hardware(self) -> Hardware:
        """The device that the run is for."""
        return self.choices.hardware

    @property
    def model(self) -> Model:
        """The model of all experiments that have one."""
        return self.choices.model


def open_session(arguments: Arguments, catalog: Catalog) -> Session:
    """Resolve names against the catalogue and the machine; fetches and starts nothing."""
    hypothetical = arguments.action in ("plan", "prepare", "doctor")
    launcher: Launcher
    if arguments.launcher in RAY:
        chosen, launcher, remark = open_on_cluster(arguments, catalog, hypothetical=hypothetical)
    else:
        chosen = resolve_choices(arguments, catalog, hypothetical=hypothetical, numbers=arguments.gpus)
        launcher, remark = open_launcher(arguments, catalog, chosen.hardware)
    planned = select(
        arguments.experiments, catalog, chosen.model, chosen.hardware, launcher.why_not, arguments.variants
    )
    return Session(arguments, catalog, chosen, launcher, remark, tuple(planned))


def find_dataset(session: Session) -> Dataset | NotPrepared:
    """The dataset as it stands; nothing is fetched."""
    return datasets.resolve(session.choices.dataset, session.arguments.data, session.arguments.articles)


def prepare_dataset(session: Session, watcher: Watcher) -> Dataset:
    """The dataset, fetched first where it has to be; its licence and size are shown before."""
    arguments = session.arguments
    found = find_dataset(session)
    if isinstance(found, Dataset):
        return found
    with watcher.preparing(found.description):
        return datasets.prepare(
            session.choices.dataset, arguments.data, arguments.articles, cache=arguments.cache / "datasets"
        )


def make_request(session: Session, dataset: Dataset) -> Request:
    """The workload over that dataset, and what else the run's jobs have in common."""
    arguments = session.arguments
    request = choices.make_request(arguments, session.choices, dataset, arguments.data, session.launcher.name)
    docs = request.workload.docs
    if arguments.shards > docs:
        raise UsageError(f"--shards {arguments.shards}: there are {docs} documents to split; lower it, or raise --docs")
    request = replace(request, shards=arguments.shards)
    if arguments.tune is None or arguments.run is not None:
        return request
    return replace(request, run=f"{request.run}-tune-{arguments.tune}")  # a tuning's trials are a run of their own
