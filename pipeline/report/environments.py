"""The machines and software behind a run's results, each distinct one once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline import figures
from pipeline.results import Result


@dataclass(frozen=True)
class Machine:
    """Hardware and driver as the jobs found them. memory_bytes: of the GPU, or of the machine without one."""

    gpu_name: str | None
    gpu_count: int
    driver_version: str | None
    cuda_version: str | None
    cpu: str | None
    cpu_count: int | None
    memory_bytes: int | None
    host_os: str | None
    node: str | None = None

    def describe(self) -> str:
        """One line, of what is known."""
        memory = None if self.memory_bytes is None else f"{figures.gib(self.memory_bytes)} GiB of memory"
        gpu = self.gpu_name and (f"{self.gpu_count} {self.gpu_name}" if self.gpu_count > 1 else self.gpu_name)
        facts = [
            f"GPU {gpu}" if gpu else None,
            memory if gpu else None,
            f"driver {self.driver_version}" if self.driver_version else None,
            f"CUDA {self.cuda_version}" if self.cuda_version else None,
            f"CPU {self.cpu}" if self.cpu else None,
            f"{self.cpu_count} cores" if self.cpu_count else None,
            memory if not gpu else None,
            self.host_os,
            f"node {self.node}" if self.node else None,
        ]
        return ", ".join(fact for fact in facts if fact) or "not known"


@dataclass(frozen=True)
class Software:
    """One environment and the experiments that ran in it."""

    experiments: tuple[str, ...]
    image: str
    variant: str | None
    launcher: str
    python: str | None
    image_digest: str | None
    packages: Mapping[str, str]

    def describe(self) -> str:
        """One line, of what is known."""
        facts = [
            f"image {self.image}",
            f"variant {self.variant}" if self.variant else None,
            f"launcher {self.launcher}",
            f"Python {self.python}" if self.python else None,
            self.image_digest,
        ]
        return ", ".join(fact for fact in facts if fact)


def machines(results: Sequence[Result]) -> tuple[Machine, ...]:
    """The machines of the jobs that started."""
    found = (result.environment for result in results if result.status != "skipped")
    seen = [
        Machine(
            env.gpu_name,
            env.gpu_count,
            env.driver_version,
            env.cuda_version,
            env.cpu,
            env.cpu_count,
            env.memory_bytes,
            env.host_os,
            env.node,
        )
        for env in found
        if env.gpu_name or env.cpu
    ]
    return tuple(dict.fromkeys(seen))


def software(results: Sequence[Result]) -> tuple[Software, ...]:
    """The environments of the jobs that started and told of theirs, in order of appearance."""
    groups: dict[tuple[object, ...], list[Result]] = {}
    for result in results:
        env = result.environment
        if result.status == "skipped" or env.python is None:
            continue
        key = (result.job.image, result.job.variant, result.job.launcher, env.python, env.image_digest)
        groups.setdefault((*key, *sorted(env.packages.items())), []).append(result)
    return tuple(
        Software(
            experiments=tuple(dict.fromkeys(result.job.experiment for result in members)),
            image=members[0].job.image,
            variant=members[0].job.variant,
            launcher=members[0].job.launcher,
            python=members[0].environment.python,
            image_digest=members[0].environment.image_digest,
            packages=members[0].environment.packages,
        )
        for members in groups.values()
    )
