"""The Docker engine: whether it answers, reaches the GPU, and can build what has to be built."""

import os
from dataclasses import dataclass

from pipeline.errors import BenchmarkError
from pipeline.host.docker.build import build_command
from pipeline.host.docker.engine import Engine, EngineError
from pipeline.spec import Check

OLDEST = (20, 10)
"""The oldest engine that this was run with."""

TOOLKIT_MEND = "install the NVIDIA Container Toolkit and restart Docker, or take --launcher process"


@dataclass(frozen=True)
class DockerFacts:
    """fault: why no engine answers, with the mend. gpus, data_root: see EngineFacts."""

    fault: str | None = None
    version: str | None = None
    gpus: bool = False
    data_root: str | None = None


def read_docker() -> DockerFacts:
    """Ask the engine that the docker command would use."""
    try:
        facts = Engine.connect().facts
    except EngineError as error:
        return DockerFacts(fault=str(error))
    return DockerFacts(version=facts.version, gpus=facts.gpus, data_root=facts.data_root)


def builder_fault() -> str | None:
    """Why images can't be built here, with the mend; None where they can."""
    try:
        build_command({**os.environ, "DOCKER_BUILDKIT": "1"})
    except BenchmarkError as error:
        return str(error)
    return None


def docker_checks(facts: DockerFacts, *, insisted: bool, gpu: bool) -> list[Check]:
    """insisted: Docker was asked for by name. gpu: the run is for a GPU that is here."""
    if facts.fault is not None:
        message, _, mend = facts.fault.rpartition("; ")
        if insisted:
            return [Check("docker", "engine", "fail", f"{message}; what follows is for processes", mend)]
        return [Check("docker", "engine", "skip", f"{message}; processes are taken instead", mend)]
    checks = [_engine(facts)]
    if gpu:
        checks.append(_toolkit(facts, insisted))
    return checks


def builder_checks(fault: str | None, stops: tuple[str, ...]) -> list[Check]:
    """stops: the experiments whose images have to be built."""
    if fault is None:
        return [Check("docker", "BuildKit", "pass", "images can be built")]
    message, _, mend = fault.rpartition("; ")
    return [Check("docker", "BuildKit", "fail", message, mend, stops)]


def _engine(facts: DockerFacts) -> Check:
    if facts.version is None:
        return Check("docker", "engine", "unknown", "answers, and doesn't tell its version")
    numbers = [int(part) for part in facts.version.split(".")[:2] if part.isdigit()]
    if len(numbers) == len(OLDEST) and tuple(numbers) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        message = f"version {facts.version} is older than {oldest}, the oldest that this was run with"
        return Check("docker", "engine", "warn", message, "upgrade Docker, or take --launcher process")
    return Check("docker", "engine", "pass", f"version {facts.version} answers")


def _toolkit(facts: DockerFacts, insisted: bool) -> Check:
    subject = "NVIDIA Container Toolkit"
    if facts.gpus:
        return Check("docker", subject, "pass", "the engine can hand GPUs to containers")
    message = "the engine has no nvidia runtime, CDI device or hook, so no container reaches the GPU"
    if insisted:
        return Check("docker", subject, "fail", message, TOOLKIT_MEND)
    return Check("docker", subject, "warn", f"{message}; processes are taken instead", TOOLKIT_MEND)
