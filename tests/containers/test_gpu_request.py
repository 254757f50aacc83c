"""What a job in a CUDA image asks of the engine, read from a container that is made and never started.

No GPU is needed for that; what the engine makes of it on a machine with one, these tests can't tell.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from pipeline.host.docker.engine import Engine
from pipeline.host.docker.images import CONTENT_LABEL, content, reference
from pipeline.host.launchers import ANYWHERE, Place, Work
from pipeline.host.launchers.docker import DockerLauncher
from pipeline.host.owner import this_process
from tests.containers.support import MakeLauncher, variant_of

GIB = 1024**3
IMAGE, VARIANT = variant_of("vllm", "cu130")
GPU = "GPU-1234"
CAPABILITIES = [["gpu", "compute", "utility"]]


@pytest.fixture(scope="module")
def cuda_image(engine: Engine, shell_image: str, client: docker.DockerClient) -> Iterator[None]:
    """An image of the CUDA variant's name and label, which is all that making a container takes; not its content."""
    name = reference(IMAGE, VARIANT)
    stand_in = engine.image(name) is None
    if stand_in:
        made = client.containers.create(shell_image, "true", network_mode="none")
        repository, _, tag = name.partition(":")
        made.commit(repository, tag=tag, changes=f"LABEL {CONTENT_LABEL}={content(IMAGE, VARIANT)}")
        made.remove()
    yield
    if stand_in:
        client.images.remove(name, noprune=True)


@pytest.fixture
def launcher(make_launcher: MakeLauncher, tmp_path: Path) -> DockerLauncher:
    """One whose run is on that GPU."""
    folders = {name: tmp_path / name for name in ("data", "cache", "results")}
    for folder in folders.values():
        folder.mkdir()
    return make_launcher(gpus=(GPU,), **folders)


def asked(
    launcher: DockerLauncher, client: docker.DockerClient, work: Work = "job", place: Place = ANYWHERE
) -> dict[str, Any]:
    """The container that a job would get, as the engine has it."""
    log = launcher.results / "run" / "job" / "log.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        launcher.spec(IMAGE, VARIANT, ["--job", "job.json"], log, work, place) as spec,
        launcher.engine.container(spec) as container,
    ):
        inspected: dict[str, Any] = client.api.inspect_container(container.id)
    return inspected


@pytest.fixture
def made(launcher: DockerLauncher, client: docker.DockerClient, cuda_image: None) -> dict[str, Any]:
    """A job's container."""
    return asked(launcher, client)


@pytest.fixture
def host(made: dict[str, Any]) -> dict[str, Any]:
    """What of it concerns the host."""
    config: dict[str, Any] = made["HostConfig"]
    return config


def test_the_gpu_is_asked_for_by_its_uuid(host: dict[str, Any]) -> None:
    [request] = host["DeviceRequests"]
    assert (request["Driver"], request["DeviceIDs"], request["Count"]) == ("nvidia", [GPU], 0)
    assert request["Capabilities"] == CAPABILITIES


def test_a_job_with_gpus_and_cores_of_its_own_is_given_those(
    launcher: DockerLauncher, client: docker.DockerClient, cuda_image: None
) -> None:
    host = asked(launcher, client, place=Place(2, ("GPU-5", "GPU-6"), (0,)))["HostConfig"]
    assert host["DeviceRequests"][0]["DeviceIDs"] == ["GPU-5", "GPU-6"]
    assert host["CpusetCpus"] == "0"


def test_without_a_uuid_all_gpus_are_asked_for(
    make_launcher: MakeLauncher, client: docker.DockerClient, cuda_image: None
) -> None:
    [request] = asked(make_launcher(), client)["HostConfig"]["DeviceRequests"]
    assert (request["Driver"], request["DeviceIDs"] or [], request["Count"]) == ("nvidia", [], -1)
    assert request["Capabilities"] == CAPABILITIES


def test_there_is_no_network(host: dict[str, Any]) -> None:
    assert host["NetworkMode"] == "none"


def test_only_results_and_compiled_kernels_can_be_written_to(made: dict[str, Any], launcher: DockerLauncher) -> None:
    mounts = {mount["Destination"]: (mount["Source"], mount["RW"]) for mount in made["Mounts"]}
    [compiled] = (launcher.cache / "compile").iterdir()
    assert mounts == {
        "/data": (str(launcher.data), False),
        "/cache": (str(launcher.cache), False),
        "/results/run/job": (str(launcher.results / "run" / "job"), True),
        "/compile": (str(compiled), True),
    }
    assert "BENCHMARK_COMPILE_CACHE=/compile" in made["Config"]["Env"]


def test_the_root_is_read_only_with_an_executable_tmp(host: dict[str, Any]) -> None:
    assert host["ReadonlyRootfs"] is True
    assert host["Tmpfs"] == {"/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={8 * GIB}"}


def test_every_capability_and_privilege_is_dropped(host: dict[str, Any]) -> None:
    assert (host["CapDrop"], host["CapAdd"], host["Privileged"]) == (["ALL"], None, False)
    assert host["SecurityOpt"] == ["no-new-privileges"]


def test_no_namespace_is_the_hosts(host: dict[str, Any]) -> None:
    assert {host[mode] for mode in ("PidMode", "UTSMode", "UsernsMode")} == {""}
    assert host["IpcMode"] in ("", "private")


def test_processes_and_memory_are_limited(host: dict[str, Any]) -> None:
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert machine * 0.9 < host["Memory"] < machine
    assert host["MemorySwap"] == host["Memory"]
    assert host["PidsLimit"] == 16384
    assert host["ShmSize"] == 8 * GIB


def test_an_init_process_reaps_what_the_engine_leaves(host: dict[str, Any]) -> None:
    assert host["Init"] is True


def test_the_engine_keeps_a_bounded_log(host: dict[str, Any]) -> None:
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": str(64 * 1024**2), "max-file": "1"}}


def test_the_container_outlives_its_end_until_its_log_is_saved(host: dict[str, Any]) -> None:
    assert (host["AutoRemove"], host["RestartPolicy"]["Name"] or "no") == (False, "no")


def test_it_runs_as_the_caller(made: dict[str, Any], engine: Engine) -> None:
    expected = "0:0" if engine.facts.rootless else f"{os.getuid()}:{os.getgid()}"
    assert made["Config"]["User"] == expected


def test_its_labels_tell_whose_it_is_and_where_its_log_goes(made: dict[str, Any], launcher: DockerLauncher) -> None:
    labels = made["Config"]["Labels"]
    assert labels["summarisation-benchmark.owner"] == this_process()
    assert labels["summarisation-benchmark.run"] == "run/job"
    assert labels["summarisation-benchmark.log"] == str(launcher.results / "run" / "job" / "log.txt")


def test_its_arguments_are_the_jobs(made: dict[str, Any]) -> None:
    assert made["Config"]["Cmd"] == ["--job", "job.json"]


def test_what_fetches_has_a_network_and_a_cache_to_write_to_but_no_results(
    launcher: DockerLauncher, client: docker.DockerClient, cuda_image: None
) -> None:
    made = asked(launcher, client, work="fetch")
    writable = {mount["Destination"]: mount["RW"] for mount in made["Mounts"]}
    assert made["HostConfig"]["NetworkMode"] == "bridge"
    assert (writable["/data"], writable["/cache"]) == (False, True)
    assert writable.keys().isdisjoint({"/results", "/compile"})


def test_a_cpu_variant_asks_for_no_gpu(launcher: DockerLauncher, client: docker.DockerClient, image: Any) -> None:
    image("reference")
    reference_image, cpu = variant_of("reference")
    with (
        launcher.spec(reference_image, cpu, [], launcher.results / "log.txt", False) as spec,
        launcher.engine.container(spec) as container,
    ):
        made = client.api.inspect_container(container.id)
    assert not made["HostConfig"]["DeviceRequests"]
