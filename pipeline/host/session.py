"""What a command line comes to on this machine: hardware, model, documents, and the plan."""

from dataclasses import dataclass

from pipeline.catalog import Catalog, find
from pipeline.documents import choose, fingerprint, read_documents
from pipeline.gpus import detect_gpus
from pipeline.host import datasets
from pipeline.host.arguments import DEFAULT_DOCS, Arguments
from pipeline.host.datasets import Dataset, NotPrepared
from pipeline.host.hardware import Hardware, choose_hardware
from pipeline.host.launchers import Launcher
from pipeline.host.launchers.process import ProcessLauncher
from pipeline.host.plan import Request, Selected, Skipped, select
from pipeline.host.watcher import Watcher
from pipeline.spec import Model, Workload

LAUNCHERS = ("process",)


@dataclass(frozen=True)
class Session:
    """A command line, resolved. planned: in the order of the command or the catalogue."""

    arguments: Arguments
    catalog: Catalog
    hardware: Hardware
    model: Model
    launcher: Launcher
    dataset_name: str
    planned: tuple[Selected | Skipped, ...]


def open_session(arguments: Arguments, catalog: Catalog) -> Session:
    """Resolve names against the catalogue and the machine; fetches and starts nothing."""
    hardware = choose_hardware(
        arguments.gpu,
        catalog.gpus,
        detect_gpus(),
        force=arguments.force_gpu,
        hypothetical=arguments.action in ("plan", "prepare"),
    )
    defaults = catalog.defaults[hardware.gpu.device]
    model = find(catalog.models, arguments.model or defaults.model, "model")
    if arguments.prompt is not None:
        find(catalog.prompts, arguments.prompt, "prompt")
    launcher = ProcessLauncher(arguments.data, arguments.cache, arguments.results)
    return Session(
        arguments=arguments,
        catalog=catalog,
        hardware=hardware,
        model=model,
        launcher=launcher,
        dataset_name=arguments.dataset or defaults.dataset,
        planned=tuple(select(arguments.experiments, catalog, model, hardware, launcher.why_not)),
    )


def find_dataset(session: Session) -> Dataset | NotPrepared:
    """The dataset as it stands; nothing is fetched."""
    return datasets.resolve(session.dataset_name, session.arguments.data, session.arguments.articles)


def prepare_dataset(session: Session, watcher: Watcher) -> Dataset:
    """The dataset, fetched first where it has to be; its licence and size are shown before."""
    arguments = session.arguments
    found = find_dataset(session)
    if isinstance(found, Dataset):
        return found
    watcher.preparing(found.description)
    return datasets.prepare(
        session.dataset_name, arguments.data, arguments.articles, cache=arguments.cache / "datasets"
    )


def make_request(session: Session, dataset: Dataset) -> Request:
    """The workload over that dataset, and what else the run's jobs have in common."""
    arguments = session.arguments
    documents = read_documents(arguments.data / dataset.path)
    docs = arguments.docs if arguments.docs is not None else min(DEFAULT_DOCS, len(documents))
    workload = Workload(
        dataset=dataset.name,
        documents=dataset.path,
        documents_sha256=fingerprint(choose(documents, docs, arguments.seed)),
        docs=docs,
        seed=arguments.seed,
        prompt=find(session.catalog.prompts, arguments.prompt or session.model.prompt, "prompt"),
        max_new_tokens=arguments.max_new_tokens,
    )
    # Without a name the workload names the run, so that the same command finds what it did before.
    name = f"{session.hardware.gpu.name}-{session.model.name}-{dataset.name}-{docs}x{arguments.max_new_tokens}"
    return Request(
        run=arguments.run or name,
        scenario=arguments.scenario,
        batch_size=arguments.batch_size,
        workload=workload,
        model=session.model,
        launcher=session.launcher.name,
    )
