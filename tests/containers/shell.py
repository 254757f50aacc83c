"""The Docker launcher with shell scripts for jobs; everything else about their containers is the launcher's.

As a program (`python -m tests.containers.shell LOG SCRIPT`) it is a command that runs one job, to be interrupted.
"""

import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.entries import Image, Variant
from pipeline.host.docker.container import ContainerSpec
from pipeline.host.docker.engine import Engine
from pipeline.host.launchers import ANYWHERE, Exit, Place, Work
from pipeline.host.launchers.docker import DockerLauncher
from pipeline.host.limits import NO_LIMITS, Limits
from tests.containers.support import variant_of

SHELL_IMAGE = "summarisation-benchmark-test-shell:latest"
SETUID_CAT = "/usr/local/bin/setuid-cat"
"""cat as a program that runs as root whoever starts it, where it is let."""
IMAGE, VARIANT = variant_of("reference")


@dataclass(frozen=True)
class ShellLauncher(DockerLauncher):
    """overrides: fields of the jobs' ContainerSpec."""

    overrides: Mapping[str, Any] = field(default_factory=dict)

    @contextmanager
    def spec(
        self,
        image: Image,
        variant: Variant,
        arguments: Sequence[str],
        log: Path,
        work: Work,
        place: Place = ANYWHERE,
    ) -> Iterator[ContainerSpec]:
        """The launcher's, with the shell's image instead of a backend's."""
        with super().spec(image, variant, arguments, log, work, place) as spec:
            yield replace(spec, image=SHELL_IMAGE, **self.overrides)

    def sh(self, script: str, log: Path, limits: Limits = NO_LIMITS, work: Work = "job") -> tuple[Exit, list[str]]:
        """Run a script in a container; how it ended, and its lines as they were announced. log: among the results."""
        lines: list[str] = []
        return self.run(IMAGE, VARIANT, [script], log, lines.append, limits, work), lines


def main(log: Path, script: str) -> None:
    """Run one job until it ends or SIGINT comes, which a shell's background would ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    launcher = ShellLauncher(Engine.connect(), *(log.parent for _ in ("data", "cache", "results")))
    launcher.run(IMAGE, VARIANT, [script], log, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
