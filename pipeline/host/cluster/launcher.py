"""The Ray launcher: each job a task of its own on a node that has what the job needs, where it runs as on a single
machine; what it says and finishes comes back as it goes, and a job whose node is lost goes on elsewhere."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Literal

from pipeline import codec
from pipeline.entries import Image, Variant
from pipeline.errors import BenchmarkError
from pipeline.files import read_json, sha256_file
from pipeline.host.cluster import on_node
from pipeline.host.cluster.events import Documents, Ended, Event, Line, Piece, Started
from pipeline.host.cluster.nodes import Need
from pipeline.host.cluster.on_node import NodeJob, Survey, Workplace
from pipeline.host.cluster.ray import PERIOD_S, Cluster, LostError, Shared, Task, pieces_of
from pipeline.host.cluster.received import Received
from pipeline.host.launchers import ANYWHERE, Exit, OnLine, Place, Work
from pipeline.host.launchers.pump import Log
from pipeline.host.limits import NO_LIMITS, Limits
from pipeline.host.stopping import Stop
from pipeline.job_folder import JOB_FILE
from pipeline.plan import Selected
from pipeline.spec import Job, JobWeights

ATTEMPTS = 3
"""How many nodes may be lost under a job, less one, before it counts as failed."""
WAIT_TOLD_S = 10.0
"""How long a job waits for a node before that is said."""
ABSENT_S = 60.0
"""How long a job waits where no node of the cluster has what it needs, taken or not: one may be coming back."""
GONE = 1
"""The status of a job whose nodes were lost each time."""


@dataclass
class RayLauncher:
    """Runs jobs on a cluster. survey: of a node that has what they need; the others are taken to be alike. None where
    there is no such node, which can only be planned for.

    need: of a job, but for the number of its GPUs. note: where what is worth knowing goes. selected: what was prepared.
    """

    cluster: Cluster
    workplace: Workplace
    survey: Survey | None
    need: Need
    data: Path
    results: Path
    note: Callable[[str], None] = lambda text: None
    selected: list[Selected] = field(default_factory=list)
    _shared: dict[str, tuple[Shared, str]] = field(default_factory=dict)
    _sharing: Lock = field(default_factory=Lock)

    @property
    def name(self) -> str:
        """As --launcher takes it, with what jobs run in on their nodes."""
        return f"ray-{self.workplace.arguments.launcher}"

    def why_not(self, image: Image, variant: Variant) -> str | None:
        """The reason of the node that was asked; a single machine's."""
        return self.survey.reasons.get((image.name, variant.name)) if self.survey else None

    def ready(self, image: Image, variant: Variant) -> bool:
        """True: nodes make their environments themselves."""
        return True

    def compile_cache(self, image: Image, variant: Variant) -> Literal["cold", "warm"]:
        """Cold, as far as is known here: the node that a job comes to says it in the job's result."""
        return "cold"

    def files(self, image: Image, variant: Variant, weights: JobWeights | None) -> Iterable[Path]:
        """None: they lie on nodes."""
        return ()

    def image_digest(self, image: Image, variant: Variant) -> str | None:
        """None: the node that a job comes to says it in the job's result."""
        return None

    def how(self, image: Image, variant: Variant) -> str:
        """By nodes."""
        return "made by each node"

    def clean(self) -> None:
        """Nothing here: each node sweeps before its jobs, and Ray ends the tasks of commands that died."""

    def ensure(self, image: Image, variant: Variant, log: Path) -> None:
        """Nothing here: nodes make their environments themselves."""

    def preparing(self, selected: Sequence[Selected], *, everywhere: bool) -> list[Task]:
        """Have environments and weights made, on a node that Ray finds or on each that has what jobs need."""
        self.selected = list(selected)
        fitting = [node for node in self.cluster.nodes() if self.need.fits(node)]
        nodes = fitting if everywhere else [None]
        arguments = self.workplace, self.selected
        return [self.cluster.start(on_node.prepare, *arguments, need=self.need, node=node) for node in nodes]

    def run(
        self,
        image: Image,
        variant: Variant,
        arguments: Sequence[str],
        log: Path,
        on_line: OnLine,
        limits: Limits = NO_LIMITS,
        work: Work = "job",
        place: Place = ANYWHERE,
        stop: Stop | None = None,
    ) -> Exit:
        """Run the job of log's folder on place.gpus GPUs of a node. Nothing of it is left there when this returns or
        raises; its documents are in its folder as they were finished, and its files when it has ended.

        Raises BenchmarkError where no node can run it.
        """
        job = codec.decode(Job, read_json(log.with_name(JOB_FILE)), str(log.with_name(JOB_FILE)))
        need = replace(self.need, gpus=place.gpus)  # one without a model takes no GPU, and stays beside those that do
        running = _Running(self, job, need, stop or Stop(), Received(log.parent), on_line)
        with Log(log) as output:
            ended = running.run(self._node_job(job, image, limits, place), output)
        return replace(ended, log_fault=output.fault or ended.log_fault)

    def _node_job(self, job: Job, image: Image, limits: Limits, place: Place) -> NodeJob:
        item = next(item for item in self.selected if _is_of(item, job))
        documents, sha256 = self._documents(job.workload.documents)
        nothing = Shared(())
        return NodeJob(self.workplace, job, item, limits, place.gpus, documents, sha256, nothing)

    def _documents(self, path: str) -> tuple[Shared, str]:
        """The dataset's file, put into the object store once for all jobs, and its SHA-256."""
        with self._sharing:
            if path not in self._shared:
                whole = self.data / path
                self._shared[path] = self.cluster.share(pieces_of(whole)), sha256_file(whole)
            return self._shared[path]


def _is_of(item: Selected, job: Job) -> bool:
    """Whether that experiment's image and weights are the job's."""
    model, form = (job.model.name, job.weights.format) if job.model and job.weights else (None, None)
    found = (item.model.name, item.experiment.weights) if item.model else (None, None)
    return (item.image.name, *found) == (job.image, model, form)


@dataclass
class _Running:
    """A job on its way over one node or several. lost: the names of those that were lost under it."""

    launcher: RayLauncher
    job: Job
    need: Need
    stop: Stop
    received: Received
    on_line: OnLine
    lost: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    node: str | None = None
    started_s: float | None = None
    ran_s: float = 0.0

    def run(self, task: NodeJob, output: Log) -> Exit:
        """Until it ended on a node, or ATTEMPTS nodes are lost."""
        while len(self.lost) < ATTEMPTS:
            # a job that is timed several times over can't go on from documents: it starts again
            resumes = self.job.resume_documents or (bool(self.lost) and self.job.repeats == 1)
            earlier = self.received.earlier(wanted=resumes)
            if self.lost:
                self._tell_of_loss(earlier.count(b"\n"), output)
            task = replace(task, earlier=self.launcher.cluster.share([earlier] if earlier else []))
            try:
                ended = self._attempt(task, output)
            except LostError as error:
                self._note_loss(str(error))
            else:
                wall_s = self.ran_s + self._since_start()
                return replace(ended, node=self.node, wall_s=wall_s, warnings=tuple(self.warnings))
        message = f"its node was lost {ATTEMPTS} times: {', '.join(self.lost)}"
        return Exit(GONE, message=message, node=self.node, wall_s=self.ran_s, warnings=tuple(self.warnings))

    def _attempt(self, node_job: NodeJob, output: Log) -> Exit:
        self.started_s, self.node = None, None
        task = self.launcher.cluster.start(on_node.run_job, node_job, need=self.need)
        submitted = time.monotonic()
        waiting = _Waiting(self.launcher, self.job.experiment, self.need)
        ended: Exit | None = None
        try:
            while not task.over:
                self.stop.check()
                for batch in task.wait(PERIOD_S):
                    for event in batch:
                        ended = self._take(event, output) or ended
                if self.started_s is None:
                    waiting.check(time.monotonic() - submitted)
        except BaseException:
            task.end(lambda: self.stop.at_once)
            raise
        finally:
            self.received.close()
        if ended is None:
            raise LostError("its task ended without a word")
        return ended

    def _take(self, event: Event, output: Log) -> Exit | None:
        if isinstance(event, Started):
            self.started_s = time.monotonic()
            names = {node.id: node.name for node in self.launcher.cluster.nodes()}
            self.node = names.get(event.node_id, event.node_id)
        elif isinstance(event, Line):
            self._say(event.text, output)
        elif isinstance(event, Documents):
            self.received.add(event)
        elif isinstance(event, Piece):
            self.received.take(event)
        elif isinstance(event, Ended):
            return event.exit
        return None

    def _say(self, text: str, output: Log) -> None:
        output.write(f"{text}\n".encode())
        self.on_line(text)

    def _since_start(self) -> float:
        return 0.0 if self.started_s is None else time.monotonic() - self.started_s

    def _note_loss(self, why: str) -> None:
        self.ran_s += self._since_start()
        self.lost.append(self.node or "unknown")
        self.received.discard_parts()
        self.launcher.note(f"{self.job.experiment}: node {self.lost[-1]} was lost ({why})")

    def _tell_of_loss(self, done: int, output: Log) -> None:
        how = f"went on elsewhere from {done} documents that were done" if done else "was started again elsewhere"
        warning = f"node {self.lost[-1]} was lost under the job, which {how}"
        self.warnings.append(warning)
        self._say(warning, output)


@dataclass
class _Waiting:
    """A job that has no node yet."""

    launcher: RayLauncher
    experiment: str
    need: Need
    told: bool = False
    looked_s: float = 0.0

    def check(self, waited_s: float) -> None:
        """Say that it waits; a BenchmarkError once no node has had what it needs for ABSENT_S."""
        if not self.told and waited_s > WAIT_TOLD_S:
            self.told = True
            self.launcher.note(f"{self.experiment}: waits for a node with {self.need.describe()} to be free")
        if waited_s > self.looked_s + ABSENT_S:
            self.looked_s = waited_s
            nodes = self.launcher.cluster.nodes()
            if not any(self.need.fits(node) for node in nodes):
                raise BenchmarkError(absence(self.need, [node.describe() for node in nodes]))


def absence(need: Need, nodes: Sequence[str]) -> str:
    """That no node has what is needed, in words. nodes: described."""
    return f"no node of the Ray cluster has {need.describe()}; it has {', '.join(nodes) or 'no nodes'}"
