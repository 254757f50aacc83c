"""Which launcher a run takes, by --launcher and by what this machine has."""

from pipeline.catalog import Catalog
from pipeline.hardware import Hardware
from pipeline.host.arguments import Arguments
from pipeline.host.cluster.options import RAY
from pipeline.host.docker.build import BuildOptions
from pipeline.host.docker.digests import read_digests
from pipeline.host.docker.engine import Engine, EngineError
from pipeline.host.launchers import Launcher
from pipeline.host.launchers.docker import DockerLauncher
from pipeline.host.launchers.process import ProcessLauncher
from pipeline.host.runs import host_facts, revision

LAUNCHERS = ("docker", "process", *RAY)


def open_launcher(arguments: Arguments, catalog: Catalog, hardware: Hardware) -> tuple[Launcher, str | None]:
    """The launcher, and a remark where `auto` could not take Docker.

    auto: Docker where an engine answers that can reach the run's device, else processes.
    Raises EngineError where Docker was asked for by name and does not answer.
    """
    process = ProcessLauncher(arguments.data, arguments.cache, arguments.results, _gpu_name(hardware))
    if arguments.launcher == "process":
        return process, None
    try:
        docker = _docker(arguments, catalog, hardware)
    except EngineError as error:
        if arguments.launcher == "docker":
            raise
        return process, f"launcher process, since {error}"
    if arguments.launcher == "auto" and hardware.uuids and not docker.engine.facts.gpus:
        return process, "launcher process, since Docker can't reach the GPU (no NVIDIA Container Toolkit)"
    return docker, None


def _docker(arguments: Arguments, catalog: Catalog, hardware: Hardware) -> DockerLauncher:
    variants = {variant.name for image in catalog.images.values() for variant in image.variants}
    return DockerLauncher(
        engine=Engine.connect(),
        data=arguments.data,
        cache=arguments.cache,
        results=arguments.results,
        build_options=BuildOptions.from_environment(variants),
        gpus=hardware.uuids,
        gpu_name=_gpu_name(hardware),
        digests=read_digests() if arguments.pull else None,
        registry=arguments.registry,
        revision=revision(host_facts()),
    )


def _gpu_name(hardware: Hardware) -> str | None:
    return hardware.gpu.found if hardware.gpu.device == "cuda" else None
