"""What a command line comes to on this machine: hardware, models, documents, and the plan."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline import choices
from pipeline.catalog import Catalog
from pipeline.choices import Choices, ChosenModel, resolve_choices
from pipeline.datasets import Dataset, NotPrepared
from pipeline.entries import Model
from pipeline.errors import UsageError
from pipeline.hardware import Hardware
from pipeline.host import datasets
from pipeline.host.arguments import Arguments
from pipeline.host.cluster.launcher import RayLauncher
from pipeline.host.cluster.options import RAY
from pipeline.host.cluster.session import open_on_cluster
from pipeline.host.launchers import Launcher
from pipeline.host.launchers.choose import open_launcher
from pipeline.host.watcher import Watcher
from pipeline.plan import PlannedJob, Request, Selected, Skipped, select


@dataclass(frozen=True)
class ModelPlan:
    """What is planned with one model, in the order of the command or the catalogue.

    An experiment without a model, which its prompt alone could tell apart, stands with the first of that prompt.
    """

    chosen: ChosenModel
    planned: tuple[Selected | Skipped, ...]

    @property
    def model(self) -> Model:
        """The model of those that have one."""
        return self.chosen.model

    @property
    def selected(self) -> list[Selected]:
        """Those that can run here."""
        return [item for item in self.planned if isinstance(item, Selected)]


@dataclass(frozen=True)
class Session:
    """A command line, resolved. plans: one for each model, in the order of the command.

    remark: why `--launcher auto` came to this launcher, where that is worth knowing.
    """

    arguments: Arguments
    catalog: Catalog
    choices: Choices
    launcher: Launcher
    remark: str | None
    plans: tuple[ModelPlan, ...]

    @property
    def hardware(self) -> Hardware:
        """The device that the run is for."""
        return self.choices.hardware

    @property
    def cluster(self) -> RayLauncher | None:
        """The launcher, where it is a cluster's."""
        return self.launcher if isinstance(self.launcher, RayLauncher) else None

    @property
    def planned(self) -> tuple[Selected | Skipped, ...]:
        """Everything, model by model."""
        return tuple(item for plan in self.plans for item in plan.planned)

    @property
    def selected(self) -> list[Selected]:
        """What of it can run here."""
        return [item for plan in self.plans for item in plan.selected]

    def jobs(self, requests: Sequence[Request]) -> list[PlannedJob]:
        """Everything that is planned, with the request that it is part of. requests: one for each plan."""
        pairs = zip(self.plans, requests, strict=True)
        return [(item, request) for plan, request in pairs for item in plan.planned]


def open_session(arguments: Arguments, catalog: Catalog) -> Session:
    """Resolve names against the catalogue and the machine; fetches and starts nothing."""
    hypothetical = arguments.action in ("plan", "prepare", "doctor")
    launcher: Launcher
    if arguments.launcher in RAY:
        chosen, launcher, remark = open_on_cluster(arguments, catalog, hypothetical=hypothetical)
    else:
        chosen = resolve_choices(arguments, catalog, hypothetical=hypothetical, numbers=arguments.gpus)
        launcher, remark = open_launcher(arguments, catalog, chosen.hardware)
    plans: list[ModelPlan] = []
    for item in chosen.models:
        planned = select(
            arguments.experiments, catalog, item.model, chosen.hardware, launcher.why_not, arguments.variants
        )
        apart = item.model.name if len(chosen.models) > 1 else None
        same_prompt = any(plan.chosen.prompt == item.prompt for plan in plans)
        kept = [
            replace(one, apart=apart if one.experiment.weights is not None else None)
            for one in planned
            if one.experiment.weights is not None or not same_prompt
        ]
        plans.append(ModelPlan(item, tuple(kept)))
    return Session(arguments, catalog, chosen, launcher, remark, tuple(plans))


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


def make_requests(session: Session, dataset: Dataset) -> tuple[Request, ...]:
    """For each plan, the workload over that dataset and what else its jobs have in common; all are of one run."""
    arguments = session.arguments
    requests = choices.make_requests(arguments, session.choices, dataset, arguments.data, session.launcher.name)
    docs = requests[0].workload.docs
    if arguments.shards > docs:
        raise UsageError(f"--shards {arguments.shards}: there are {docs} documents to split; lower it, or raise --docs")
    requests = tuple(replace(request, shards=arguments.shards) for request in requests)
    if arguments.tune is None or arguments.run is not None:
        return requests
    # a tuning's trials are a run of their own
    return tuple(replace(request, run=f"{request.run}-tune-{arguments.tune}") for request in requests)
