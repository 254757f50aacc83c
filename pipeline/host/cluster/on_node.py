"""What runs on a node of the cluster, in a task of Ray's: the launchers and the preparation of a single machine, over
the node's own cache and a folder that goes with the job."""

import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from pipeline import codec
from pipeline.analysis.failures import read_tail
from pipeline.catalog import Catalog
from pipeline.choices import resolve_choices
from pipeline.errors import BenchmarkError
from pipeline.files import write_json
from pipeline.gpus import VISIBLE, detect_gpus
from pipeline.hardware import Hardware
from pipeline.host.arguments import Arguments
from pipeline.host.cluster.events import Batch, Documents, Ended, Event, Line, Started
from pipeline.host.cluster.node_folders import files_left, place_documents, scratch_folder
from pipeline.host.cluster.ray import Shared, fetch, this_node
from pipeline.host.cluster.tail import Tail
from pipeline.host.launchers import Exit, Launcher, Place
from pipeline.host.launchers.choose import open_launcher
from pipeline.host.limits import Limits
from pipeline.host.prepare import Preparation, Prepared
from pipeline.host.stopping import Stop
from pipeline.job_folder import JOB_FILE
from pipeline.machine import os_name
from pipeline.plan import REPOSITORY, Selected
from pipeline.results import DOCUMENTS_FILE, LOG_FILE
from pipeline.spec import Job

PERIOD_S = 0.2
BATCH = 256
DOCUMENTS_BYTES = 1 << 16
"""Of what is small enough for Ray to send at once, past the node's object store."""


@dataclass(frozen=True)
class Survey:
    """What a node is. launcher: what its jobs run in, docker or process; remark: why, where that is worth knowing.

    reasons: by image and variant, why it can't run them. memory_bytes: of its GPU; None on a CPU.
    """

    hardware: Hardware
    launcher: str
    remark: str | None
    reasons: dict[tuple[str, str], str | None]
    memory_bytes: int | None


@dataclass(frozen=True)
class Workplace:
    """How jobs run on a node. arguments: the command's, with the node's launcher and cache."""

    arguments: Arguments
    catalog: Catalog
    hardware: Hardware

    def launcher(self, data: Path, results: Path) -> Launcher:
        """The node's launcher, over these folders, with what died before swept."""
        uuids = tuple(gpu.uuid for gpu in detect_gpus()) if self.hardware.gpu.device == "cuda" else ()
        arguments = replace(self.arguments, data=data, results=results)
        launcher, _ = open_launcher(arguments, self.catalog, replace(self.hardware, uuids=uuids))
        launcher.clean()
        return launcher

    def prepare(
        self, launcher: Launcher, planned: Sequence[Selected], logs: Path, say: Callable[[str], None]
    ) -> Prepared:
        """Environments and weights for these experiments, made where they aren't there."""
        arguments = self.arguments
        preparation = Preparation(
            self.catalog,
            launcher,
            self.hardware,
            arguments.variants,
            arguments.cache,
            logs,
            Announcer(say),
            arguments.allow_pickle,
        )
        return preparation.prepare(planned)


@dataclass(frozen=True)
class NodeJob:
    """A job for a node. documents: the dataset's file, whose SHA-256 is documents_sha256; earlier:
    lines of documents.jsonl that are done already. gpus: how many GPUs Ray gives it."""

    workplace: Workplace
    job: Job
    item: Selected
    limits: Limits
    gpus: int
    documents: Shared
    documents_sha256: str
    earlier: Shared


class Announcer:
    """Takes the place of a Watcher where nobody watches but through a job's log."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.note = self.trouble = say

    def preparing(self, what: str) -> nullcontext[None]:
        self.note(what)
        return nullcontext()


def survey(arguments: Arguments, catalog: Catalog, hypothetical: bool) -> Iterator[Survey]:
    """What this node is, found by the same code as a single machine's."""
    with _all_gpus():
        hardware = resolve_choices(arguments, catalog, hypothetical=hypothetical).hardware
        memory = {gpu.uuid: gpu.memory_bytes for gpu in detect_gpus()}
        launcher, remark = open_launcher(arguments, catalog, hardware)
        reasons = {
            (image.name, variant.name): launcher.why_not(image, variant)
            for image in catalog.images.values()
            for variant in image.variants
        }
    size = next((memory[uuid] for uuid in hardware.uuids), None)
    # the GPU that was found stands for its kind: Ray says which one a job gets
    yield Survey(replace(hardware, uuids=()), launcher.name, remark, reasons, size)


def prepare(workplace: Workplace, planned: Sequence[Selected]) -> Iterator[tuple[Prepared, dict[str, str]]]:
    """Environments and weights on this node, and by their names the ends of the logs of what could not be made."""
    with scratch_folder() as scratch:
        launcher = workplace.launcher(REPOSITORY / "data", scratch)
        prepared = workplace.prepare(launcher, planned, scratch, lambda text: None)
        yield prepared, {path.name: read_tail(path) for path in scratch.glob("*.txt")}


def run_job(task: NodeJob) -> Iterator[Batch]:
    """Run the job, and tell of it as it goes. Nothing is left of it on the node, however this ends."""
    yield [Started(this_node())]
    with scratch_folder() as scratch:
        said: list[Event] = []
        cache, relative = task.workplace.arguments.cache, task.job.workload.documents
        data = place_documents(cache, relative, task.documents, task.documents_sha256)
        launcher = task.workplace.launcher(data, scratch)
        try:
            _require_prepared(task, launcher, scratch / "prepare", lambda text: said.append(Line(text)))
        finally:
            yield said
        folder = scratch / task.job.folder
        earlier = b"".join(fetch(task.earlier))
        _begin(task, launcher, folder, earlier)
        tail = Tail(folder / DOCUMENTS_FILE, earlier)
        try:
            ended = yield from _follow(task, launcher, folder, tail)
        finally:
            tail.close()
        yield from files_left(folder)
        yield [Ended(ended)]


def _follow(task: NodeJob, launcher: Launcher, folder: Path, tail: Tail) -> Generator[Batch, None, Exit]:
    """Run the job in a thread, since this one has to be free for Ray's interrupt, which ends the job in good order."""
    events: SimpleQueue[Event] = SimpleQueue()
    outcome: list[Exit | BaseException] = []
    stop = Stop()
    place = Place(task.gpus, tuple(gpu.uuid for gpu in detect_gpus())[: task.gpus] if task.gpus else ())

    def work() -> None:
        try:
            outcome.append(
                launcher.run(
                    task.item.image,
                    task.item.variant,
                    ["--job", f"{task.job.folder}/{JOB_FILE}"],
                    folder / LOG_FILE,
                    lambda text: events.put(Line(text)),
                    task.limits,
                    place=place,
                    stop=stop,
                )
            )
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=work, name="job")
    thread.start()
    try:
        while thread.is_alive():
            batch = _gather(events)
            if lines := tail.read(DOCUMENTS_BYTES):
                batch.append(Documents(lines))
            if batch:
                yield batch
        while lines := tail.read(DOCUMENTS_BYTES):
            yield [Documents(lines)]
        while batch := _gather(events, wait_s=0):
            yield batch
    except BaseException:  # Ray's interrupt; or the generator is closed, since whoever asked for the job is gone
        stop.ask()
        thread.join()
        raise
    [ended] = outcome
    if isinstance(ended, BaseException):
        raise ended
    return ended


def _gather(events: "SimpleQueue[Event]", wait_s: float = PERIOD_S) -> list[Event]:
    batch: list[Event] = []
    try:
        batch.append(events.get(timeout=wait_s) if wait_s else events.get_nowait())
        while len(batch) < BATCH:
            batch.append(events.get_nowait())
    except Empty:
        pass
    return batch


def _require_prepared(task: NodeJob, launcher: Launcher, logs: Path, say: Callable[[str], None]) -> None:
    """Prepare the job on this node. A BenchmarkError where that fails, or comes to other weights than the job's."""
    prepared = task.workplace.prepare(launcher, [task.item], logs, say)
    if obstacle := prepared.obstacle(task.item):
        if obstacle.log.exists():
            say(read_tail(obstacle.log))
        raise BenchmarkError(obstacle.message)
    weights, wanted = prepared.weights_of(task.item), task.job.weights
    if wanted is not None and (weights is None or weights.sha256 != wanted.sha256):
        raise BenchmarkError(
            f"the {wanted.format} weights on this node are not those that the job was planned for; share the cache "
            "folder between the nodes (--ray-cache), or copy it"
        )


def _begin(task: NodeJob, launcher: Launcher, folder: Path, earlier: bytes) -> None:
    """The job's folder as its worker expects it. What another node measured of itself is left out."""
    item = task.item
    host = replace(
        task.job.host,
        os=os_name(),
        image_digest=launcher.image_digest(item.image, item.variant),
        compile_cache=launcher.compile_cache(item.image, item.variant),
        rates=None,
        bandwidth_bytes_per_s=None,
    )
    resumes = task.job.resume_documents or bool(earlier)
    folder.mkdir(parents=True)
    if earlier:
        (folder / DOCUMENTS_FILE).write_bytes(earlier)
    write_json(folder / JOB_FILE, codec.encode(replace(task.job, host=host, resume_documents=resumes)))


@contextmanager
def _all_gpus() -> Iterator[None]:
    """Ray hides GPUs from a task that holds none."""
    hidden = os.environ.pop(VISIBLE, None)
    try:
        yield
    finally:
        if hidden is not None:
            os.environ[VISIBLE] = hidden
