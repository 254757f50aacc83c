"""The process launcher: each job in a process group of its own, in the virtual environment of its image, or in the
interpreter at hand (--env current)."""

import contextlib
import itertools
import os
import platform
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pipeline.current import missing_engine
from pipeline.entries import Image, Variant
from pipeline.files import holds_anything
from pipeline.gpus import VISIBLE, indices_of
from pipeline.host.environments import (
    compile_cache_folder,
    ensure_environment,
    environment_folder,
    find_python,
    is_ready,
    process_environment,
    python_of,
)
from pipeline.host.launchers import ANYWHERE, Exit, OnLine, Place, Work
from pipeline.host.launchers.pump import Log, on_both, pump
from pipeline.host.leftovers import OWNER_VARIABLE, cpu_seconds, kill_job, kill_orphans, owner_of_job
from pipeline.host.limits import NO_LIMITS, TICK_S, Limits, Watchdog
from pipeline.host.owner import this_process
from pipeline.host.page_cache import files_below, libraries_below
from pipeline.host.stopping import Stop
from pipeline.spec import JobWeights

GRACE_S = 20.0
"""How long a job may take to close its engine before it is killed."""

_job_numbers = itertools.count(1)


@dataclass(frozen=True)
class ProcessLauncher:
    """Runs images as virtual environments under `cache`, over the data, cache and results folders as they are.

    gpu_name: the run's GPU, as its driver calls it; None where none was found.
    """

    data: Path
    cache: Path
    results: Path
    gpu_name: str | None = None
    name: str = "process"

    def why_not(self, image: Image, variant: Variant) -> str | None:
        """A Python or a build tool that this machine lacks; a platform that the lock is not for; with no lock, the
        image's engine, where the interpreter at hand hasn't got it."""
        if variant.lock is None:
            return missing_engine(image, variant)
        if self.ready(image, variant):
            return None
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            return f"its lock is for Linux on x86-64, this is {platform.system()} on {platform.machine()}"
        if find_python(variant.python) is None:
            return f"needs Python {variant.python}, which is not on this machine's PATH"
        missing = [tool for tool in variant.build_tools if shutil.which(tool) is None]
        if missing:
            return f"needs {' and '.join(missing)} to build its packages, not on this machine's PATH"
        return None

    def ready(self, image: Image, variant: Variant) -> bool:
        """Whether the virtual environment stands complete."""
        return is_ready(self.cache, image, variant)

    def compile_cache(self, image: Image, variant: Variant) -> Literal["cold", "warm"]:
        """Whether the environment's folder of compiled kernels holds anything."""
        folder = compile_cache_folder(self.cache, image, variant, self.gpu_name)
        return "warm" if holds_anything(folder) else "cold"

    def files(self, image: Image, variant: Variant, weights: JobWeights | None) -> Iterable[Path]:
        """The virtual environment's libraries, then the weights. What the interpreter at hand has is its user's."""
        if variant.lock is not None:
            yield from libraries_below(environment_folder(self.cache, image, variant) / "lib")
        if weights is not None:
            yield from files_below(self.cache / weights.path)

    def image_digest(self, image: Image, variant: Variant) -> str | None:
        """None: a virtual environment has no digest; its packages stand in each result."""
        return None

    def how(self, image: Image, variant: Variant) -> str:
        """A virtual environment from the lock."""
        return "installed from its lock"

    def clean(self) -> None:
        """End what jobs of commands that died have left running."""
        kill_orphans()

    def ensure(self, image: Image, variant: Variant, log: Path) -> None:
        """Make the virtual environment from the lock, once."""
        ensure_environment(self.cache, image, variant, log)

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
        """Run `python -m pipeline` there. Nothing that it started is left when this returns or raises."""
        roots = ["--data", str(self.data), "--cache", str(self.cache), "--results", str(self.results)]
        owner = owner_of_job(this_process(), next(_job_numbers))
        watchdog = Watchdog(limits, lambda: cpu_seconds(owner))
        stop = stop or Stop()
        with Log(log) as output:
            with bound_to(place.cores):
                process = subprocess.Popen(
                    [str(python_of(self.cache, image, variant)), "-m", "pipeline", *roots, *arguments],
                    cwd=log.parent if log.parent.is_dir() else None,
                    env={
                        **process_environment(self.cache, image, variant, network=work == "fetch", gpu=self.gpu_name),
                        **_sees(place),
                        OWNER_VARIABLE: owner,
                        "BENCHMARK_PARENT_PID": str(os.getpid()),
                    },
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            assert process.stdout is not None
            reader = threading.Thread(
                target=pump, args=(process.stdout, output, on_both(watchdog.line, on_line)), daemon=True
            )
            try:
                reader.start()  # in here, since an interrupt can come before it returns
                ended = _wait(process, watchdog, stop)
            except BaseException:
                _terminate(process, stop)
                raise
            finally:
                kill_job(owner)  # engines' workers that left the group too
                _signal_group(process, signal.SIGKILL)  # whatever in it has another environment
                process.wait()
                if reader.ident is not None:
                    reader.join(timeout=GRACE_S)
        return replace(ended, log_fault=output.fault)


def _sees(place: Place) -> dict[str, str]:
    """The variables by which a job sees the GPUs of its place alone."""
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", VISIBLE: indices_of(place.uuids)} if place.uuids else {}


@contextlib.contextmanager
def bound_to(cores: Sequence[int]) -> Iterator[None]:
    """What this thread starts in here runs on those cores alone; on any of its own where none are named."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # 0 is the calling thread; others stay where they are
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _wait(process: subprocess.Popen[bytes], watchdog: Watchdog, stop: Stop) -> Exit:
    """Until it ends, exceeds a limit or is to stop. Waits in a thread, since a wait with a timeout polls beside the
    measuring."""
    ended = threading.Event()

    def wait() -> None:
        process.wait()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    while not ended.wait(TICK_S):
        stop.check()
        exceeded = watchdog.expired()
        if exceeded:
            return Exit(_terminate(process, stop), timed_out=True, message=exceeded)
    return Exit(process.returncode)


def _terminate(process: subprocess.Popen[bytes], stop: Stop) -> int:
    """Ask the job to end; kill it if it doesn't in time or the user insists with a second interrupt."""
    _signal_group(process, signal.SIGTERM)
    with contextlib.suppress(KeyboardInterrupt):  # in the main thread, where weights are prepared
        stop.patience(lambda: process.poll() is not None, GRACE_S)
    if process.poll() is None:
        _signal_group(process, signal.SIGKILL)
    return process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left in the group
        os.killpg(process.pid, number)
