"""The Docker launcher: each job in a container of its image, hardened, over the mounted folders."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from pipeline.entries import Image, Variant
from pipeline.files import create_anew, holds_anything
from pipeline.host.docker.build import BuildOptions
from pipeline.host.docker.container import (
    COMPILE_CACHE,
    Bind,
    ContainerSpec,
    caller,
    memory_limit,
    network_access,
)
from pipeline.host.docker.digests import Digests
from pipeline.host.docker.engine import Container, Engine, EngineError
from pipeline.host.docker.images import PREFIX, reference
from pipeline.host.docker.supply import Supply
from pipeline.host.environments import compile_cache_folder
from pipeline.host.launchers import ANYWHERE, Exit, OnLine, Place, Work
from pipeline.host.launchers.pump import Log, on_both, pump, without_secrets
from pipeline.host.leftovers import kill_orphans
from pipeline.host.limits import NO_LIMITS, TICK_S, Limits, Watchdog
from pipeline.host.owner import is_gone, this_process
from pipeline.host.page_cache import files_below
from pipeline.host.stopping import Stop
from pipeline.spec import JobWeights

GRACE_S = 20.0
"""How long a job may take to close its engine before it is killed."""

ARCHITECTURES = ("x86_64", "amd64")
CACHED_PROGRAMS = ("envs", "builds", "compile")
REFUSED = 125
"""The status of a job that the engine would not start, as the docker command has it."""
SIGNALLED = 128
KILLED = SIGNALLED + signal.SIGKILL

OWNER_LABEL = f"{PREFIX}.owner"
RUN_LABEL = f"{PREFIX}.run"
LOG_LABEL = f"{PREFIX}.log"


@dataclass(frozen=True)
class DockerLauncher:
    """Runs images as containers; data and cache are mounted read-only, results for writing.

    gpus: the UUIDs of the run's GPUs, of which what has no place of its own sees the first. gpu_name: what their driver
    calls them; None where none was found. digests, registry, revision: see Supply.
    """

    engine: Engine
    data: Path
    cache: Path
    results: Path
    build_options: BuildOptions = field(default_factory=BuildOptions)
    gpus: tuple[str, ...] = ()
    gpu_name: str | None = None
    digests: Digests | None = None
    registry: str | None = None
    revision: str | None = None
    name: str = "docker"

    @property
    def supply(self) -> Supply:
        """Where its images come from."""
        return Supply(self.engine, self.build_options, self.digests, self.registry, self.revision)

    def why_not(self, image: Image, variant: Variant) -> str | None:
        """A variant without a base; an engine of another architecture, or without access to the GPU that is here."""
        facts = self.engine.facts
        if variant.base is None:
            return "runs in no container (its image.yaml names no base)"
        if facts.architecture not in ARCHITECTURES:
            return f"its lock is for x86-64, the Docker engine is on {facts.architecture}"
        if variant.device == "cuda" and self.gpus and not facts.gpus:
            return "Docker can't reach the GPU; install the NVIDIA Container Toolkit and restart Docker"
        return None

    def ready(self, image: Image, variant: Variant) -> bool:
        """Whether an image with this checkout's content is on this machine, over the base that was asked for."""
        return self.supply.found(image, variant) is not None

    def compile_cache(self, image: Image, variant: Variant) -> Literal["cold", "warm"]:
        """Whether the image's folder of compiled kernels holds anything."""
        return "warm" if holds_anything(self._compile_folder(image, variant)) else "cold"

    def files(self, image: Image, variant: Variant, weights: JobWeights | None) -> Iterable[Path]:
        """The weights; what is in the image lies where the engine alone can read it."""
        return [] if weights is None else files_below(self.cache / weights.path)

    def image_digest(self, image: Image, variant: Variant) -> str | None:
        """The registry's digest of the image, or its id where it was built here."""
        return self.supply.digest(image, variant)

    def how(self, image: Image, variant: Variant) -> str:
        """Pulled, from where; or built, and why."""
        return self.supply.how(image, variant)

    def ensure(self, image: Image, variant: Variant, log: Path) -> None:
        """Pull or build the image, where it isn't here."""
        self.supply.ensure(image, variant, log)

    def clean(self) -> None:
        """Remove the containers of commands that died, after saving what they said; and what those ran without one."""
        kill_orphans()
        for container_id, labels in self.engine.labels_of_containers(OWNER_LABEL).items():
            if is_gone(labels[OWNER_LABEL]):
                self._save_log(container_id, Path(labels.get(LOG_LABEL, "")))
                with contextlib.suppress(EngineError):  # another command removes it at this moment
                    self.engine.remove(container_id)

    def _save_log(self, container_id: str, log: Path) -> None:
        """What a container said, where its label says so: among the results, since an image can bring labels too."""
        if not log.is_relative_to(self.results) or ".." in log.parts:
            return
        with contextlib.suppress(OSError, EngineError):  # the job's folder is gone, or not ours to write to
            said = self.engine.logs(container_id)
            with create_anew(log) as stream:
                stream.write(without_secrets(said))

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
        """Run the image with these arguments. Its container is gone when this returns or raises; its log is kept.

        What the engine refuses (a GPU that it can't reach, say) ends the job with status 125 and the engine's message.
        """
        self.cache.mkdir(parents=True, exist_ok=True)
        with Log(log) as output:
            try:
                with (
                    self.spec(image, variant, arguments, log, work, place) as spec,
                    self.engine.container(spec) as container,
                ):
                    ended = self._follow(container, output, on_line, limits, stop or Stop())
            except EngineError as error:
                output.write(f"Docker: {error}\n".encode())
                ended = Exit(REFUSED, message=str(error))
        return replace(ended, log_fault=output.fault)

    @contextlib.contextmanager
    def spec(
        self,
        image: Image,
        variant: Variant,
        arguments: Sequence[str],
        log: Path,
        work: Work,
        place: Place = ANYWHERE,
    ) -> Iterator[ContainerSpec]:
        """All that the job's container gets. Its files are there, and the image is found, as long as this is open."""
        found = self.supply.found(image, variant)
        if found is None:
            raise EngineError(f"image {reference(image, variant)} is gone; the same command again gets it back")
        binds = [Bind(self.data, "/data"), Bind(self.cache, "/cache", writable=work != "job")]
        environment: dict[str, str] = {}
        with contextlib.ExitStack() as stack:
            if work == "fetch":
                more, environment = stack.enter_context(network_access(self.build_options.ca))
                binds += more
            if work == "job":
                binds.append(self._results_of(log))
            else:
                binds += self._programs()
            if work == "job" and self._make_compile_folder(image, variant):
                binds.append(Bind(self._compile_folder(image, variant), COMPILE_CACHE, writable=True))
                environment["BENCHMARK_COMPILE_CACHE"] = COMPILE_CACHE
            yield ContainerSpec(
                image=found.id,
                arguments=arguments,
                binds=binds,
                user=caller(self.engine.facts.rootless),
                environment=environment,
                labels={OWNER_LABEL: this_process(), RUN_LABEL: self._run_of(log), LOG_LABEL: str(log)},
                gpus=(place.uuids or self.gpus[:1]) if variant.device == "cuda" else None,
                cores=place.cores,
                network=work == "fetch",
                memory_bytes=memory_limit(),
            )

    def _results_of(self, log: Path) -> Bind:
        """The job's own folder, where its log lies, in its place: other jobs' results are out of its reach."""
        target = PurePosixPath("/results", log.parent.relative_to(self.results).as_posix())
        return Bind(log.parent, str(target), writable=True)

    def _programs(self) -> list[Bind]:
        """What lies in the cache and is run later, outside of any container: nothing that fetches may write there."""
        folders = [self.cache / name for name in CACHED_PROGRAMS]
        for folder in folders:
            with contextlib.suppress(OSError):  # a cache that this user only reads can't be written to in there either
                folder.mkdir(parents=True, exist_ok=True)
        return [Bind(folder, f"/cache/{folder.name}") for folder in folders if folder.is_dir()]

    def _follow(self, container: Container, output: Log, on_line: OnLine, limits: Limits, stop: Stop) -> Exit:
        watchdog = Watchdog(limits, container.cpu_seconds)
        lines = whole_lines(container.start())
        reader = threading.Thread(target=pump, args=(lines, output, on_both(watchdog.line, on_line)), daemon=True)
        try:
            reader.start()  # in here, since an interrupt can come before it returns
            while (code := container.wait(TICK_S)) is None:
                stop.check()
                exceeded = watchdog.expired()
                if exceeded:
                    return Exit(_signed(_end(container, stop)), timed_out=True, message=exceeded)
            return Exit(_signed(code), message=container.fate())
        except BaseException:
            _end(container, stop)
            raise
        finally:
            if reader.ident is not None:
                reader.join(GRACE_S)
            if reader.is_alive() or container.lost_touch:  # a stream can hang or break; what the engine kept is whole
                with contextlib.suppress(EngineError):
                    output.replace(self.engine.logs(container.id))

    def _run_of(self, log: Path) -> str:
        """The run and job that a log belongs to; what fetches for no run in particular has none."""
        folder = log.parent
        return folder.relative_to(self.results).as_posix() if folder.is_relative_to(self.results) else ""

    def _compile_folder(self, image: Image, variant: Variant) -> Path:
        of_processes = compile_cache_folder(self.cache, image, variant, self.gpu_name)
        return of_processes.with_name(f"{self.name}-{of_processes.name}")

    def _make_compile_folder(self, image: Image, variant: Variant) -> bool:
        """Whether there is one to write to; a cache that this user only reads does without, cold each time."""
        folder = self._compile_folder(image, variant)
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        return os.access(folder, os.W_OK)


def whole_lines(stream: Iterator[tuple[bytes | None, bytes | None]]) -> Iterator[bytes]:
    """Pieces of output, of standard output and error, as lines with their ends, so that none holds parts of both."""
    rest = [b"", b""]
    with contextlib.suppress(OSError, ValueError):  # the connection broke; or the log was closed over a hung stream
        for pieces in stream:
            for number, piece in enumerate(pieces):
                *lines, rest[number] = (rest[number] + (piece or b"")).split(b"\n")
                yield from (line + b"\n" for line in lines)
    yield from (line + b"\n" for line in rest if line)


def _end(container: Container, stop: Stop) -> int:
    """Ask it to end; kill it if it doesn't in time or the user insists with a second interrupt. Returns its status."""

    def ask() -> None:
        with contextlib.suppress(EngineError):
            container.stop(GRACE_S)

    asking = threading.Thread(target=ask, daemon=True)  # it returns when the container has ended, interrupt or not
    with contextlib.suppress(KeyboardInterrupt):  # in the main thread, where weights are prepared
        asking.start()
        stop.patience(lambda: not asking.is_alive(), GRACE_S)
    if container.wait(TICK_S) is None:
        container.kill()
    code = container.wait(GRACE_S)
    return KILLED if code is None else code


def _signed(code: int) -> int:
    """Death by signal as a negative number, as for processes."""
    return SIGNALLED - code if code > SIGNALLED else code
