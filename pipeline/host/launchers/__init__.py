"""What starts a job: one module per launcher, each a Launcher."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from pipeline.entries import Image, Variant
from pipeline.host.limits import NO_LIMITS, Limits
from pipeline.host.stopping import Stop
from pipeline.spec import JobWeights

OnLine = Callable[[str], None]
"""Called with each line of a job's output, as it comes."""


Work = Literal["job", "convert", "fetch"]
"""What is run, which decides what it may reach. job: reads the cache and writes its result. convert: writes to the
cache. fetch: that, with the network and the Hub's token."""


@dataclass(frozen=True)
class Place:
    """What a command computes on. gpus: how many it needs, none on a CPU. uuids: which ones it sees; empty where the
    launcher finds them itself, on a cluster say. cores: that it is bound to; empty for all."""

    gpus: int = 0
    uuids: tuple[str, ...] = ()
    cores: tuple[int, ...] = ()


ANYWHERE = Place()


@dataclass(frozen=True)
class Exit:
    """How a started command ended. code: negative for a signal. timed_out: the launcher ended it over a limit.

    message: why, where the launcher knows more than the code tells. log_fault: why the log is not whole, if it isn't.
    node: of a cluster, where the job ran last. wall_s: how long it ran, without its wait for a node. warnings: what
    befell it that its result is to tell.
    """

    code: int
    timed_out: bool = False
    message: str | None = None
    log_fault: str | None = None
    node: str | None = None
    wall_s: float | None = None
    warnings: tuple[str, ...] = ()


class Launcher(Protocol):
    """Makes an image's environment available and runs the entrypoint in it."""

    @property
    def name(self) -> str:
        """As --launcher takes it."""

    def why_not(self, image: Image, variant: Variant) -> str | None:
        """Why this machine can't run the variant, or None. Starts nothing."""

    def ready(self, image: Image, variant: Variant) -> bool:
        """Whether the environment is made already."""

    def compile_cache(self, image: Image, variant: Variant) -> Literal["cold", "warm"]:
        """Whether an earlier job left compiled kernels for this environment."""

    def files(self, image: Image, variant: Variant, weights: JobWeights | None) -> Iterable[Path]:
        """What a job will open, as far as this process can read it: libraries of its environment, and its weights."""

    def image_digest(self, image: Image, variant: Variant) -> str | None:
        """What identifies the container image; None where jobs run in none."""

    def how(self, image: Image, variant: Variant) -> str:
        """How `ensure` makes the environment, in words for the announcement."""

    def clean(self) -> None:
        """Remove what commands that died have left running."""

    def ensure(self, image: Image, variant: Variant, log: Path) -> None:
        """Make the environment, or find it made. Raises BenchmarkError, with the details in `log`."""

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
        """Run the entrypoint with these arguments, its output into `log` and to `on_line`, line by line.

        Jobs run side by side in threads: `stop` is how they are told to end, and KeyboardInterrupt is raised once one
        has.
        """
