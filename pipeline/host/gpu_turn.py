"""One job at a time on a GPU: over all commands of this machine, and only once what held its memory has let go."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import BenchmarkError
from pipeline.gpus import GpuProcess, processes_on, used_memory_bytes
from pipeline.host.stopping import Stop
from pipeline.host.watcher import Watcher
from pipeline.locks import exclusive

RELEASE_LIMIT_S = 60.0
"""How long the driver and ended processes may take to give memory back."""

PERIOD_S = 0.5
TOLERANCE_BYTES = 256 * 1024**2
"""More than the driver's own bookkeeping moves by, less than any job needs."""

LOCKS = Path(tempfile.gettempdir())


class GpuHeldError(BenchmarkError):
    """Memory of the GPU is not given back; the message names the processes that hold it."""


@dataclass
class GpuTurn:
    """A command's turns on the GPU of that UUID; None stands for a CPU, where there is nothing to take turns on.

    used_bytes, holders: how the GPU is asked. baseline_bytes: what others hold of it all the time, a desktop say; read
    before this command's first job.
    """

    uuid: str | None
    watcher: Watcher
    used_bytes: Callable[[str], int | None] = used_memory_bytes
    holders: Callable[[str], list[GpuProcess]] = processes_on
    locks: Path = LOCKS
    baseline_bytes: int | None = field(default=None, init=False)

    @contextmanager
    def take(self, stop: Stop) -> Iterator[None]:
        """Wait until no other job of ours is on the GPU and its memory is free again, and keep others out.

        Raises GpuHeldError where memory is still held after RELEASE_LIMIT_S, KeyboardInterrupt once jobs are to end.
        """
        if self.uuid is None:
            yield
            return
        path = self.locks / f"summarisation-benchmark-{self.uuid}.lock"
        waiting = f"waiting for another command's job on {self.uuid}"
        with exclusive(path, on_wait=lambda: self.watcher.note(waiting), pause=stop.sleep):
            self._wait_for_memory(self.uuid, stop)
            yield

    def _wait_for_memory(self, uuid: str, stop: Stop) -> None:
        if self.baseline_bytes is None:
            self.baseline_bytes = self.used_bytes(uuid)
            return
        deadline = time.monotonic() + RELEASE_LIMIT_S
        noted = False
        while (used := self.used_bytes(uuid)) is not None and used > self.baseline_bytes + TOLERANCE_BYTES:
            if time.monotonic() > deadline:
                raise GpuHeldError(_held(used - self.baseline_bytes, self.holders(uuid)))
            if not noted:
                self.watcher.note("waiting for the GPU's memory to be given back")
                noted = True
            stop.sleep(PERIOD_S)


def _held(more_bytes: int, holders: list[GpuProcess]) -> str:
    who = ", ".join(f"{item.pid} ({item.name or 'of another user or container'})" for item in holders)
    amount = f"{more_bytes / 1024**2:.0f} MiB more of the GPU's memory are held than before the first job"
    return f"{amount}, by process {who}" if who else f"{amount}; nvidia-smi may show by whom"
