"""What a command line comes to on this machine: hardware, model, documents, and the plan."""

from dataclasses import dataclass, replace

from pipeline import choices
from pipeline.catalog import Catalog
from pipeline.choices import Choices, resolve_choices
from pipeline.datasets import Dataset, NotPrepared
from pipeline.entries import Model
from pipeline.hardware import Hardware
from pipeline.host import datasets
from pipeline.host.arguments import Arguments
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
    chosen = resolve_choices(arguments, catalog, hypothetical=arguments.action in ("plan", "prepare", "doctor"))
    launcher, remark = open_launcher(arguments, catalog, chosen.hardware)
    planned = select(
        arguments.experiments, catalog, chosen.model, chosen.hardware, launcher.why_not, arguments.variants
    )
    return Session(arguments, catalog, chosen, launcher, remark, tuple(planned))


def find_dataset(session: Session) -> Dataset | NotPrepared:
    """The dataset as it stands; nothing is fetched."""
    arguments = session.arguments
    return datasets.resolve(session.choices.dataset, arguments.data, arguments.articles, arguments.fields)


def prepare_dataset(session: Session, watcher: Watcher) -> Dataset:
    """The dataset, fetched first where it has to be; its licence and size are shown before."""
    arguments = session.arguments
    return datasets.prepare(
        session.choices.dataset,
        arguments.data,
        arguments.articles,
        fields=arguments.fields,
        cache=arguments.cache / "datasets",
        announce=watcher.preparing,
    )


def make_request(session: Session, dataset: Dataset) -> Request:
    """The workload over that dataset, and what else the run's jobs have in common."""
    arguments = session.arguments
    request = choices.make_request(arguments, session.choices, dataset, arguments.data, session.launcher.name)
    if arguments.tune is None or arguments.run is not None:
        return request
    return replace(request, run=f"{request.run}-tune-{arguments.tune}")  # a tuning's trials are a run of their own
