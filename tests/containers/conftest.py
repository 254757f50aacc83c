"""A real engine, images built over it once a session, and a watch over what tests leave behind.

Without an engine these tests skip; with BENCHMARK_CONTAINER_TESTS=required, as tests/containers/with-engine sets it,
they fail instead.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from pipeline.host.docker.build import BuildOptions
from pipeline.host.docker.engine import Engine, EngineError
from pipeline.host.docker.images import PREFIX, reference
from pipeline.host.launchers.docker import OWNER_LABEL, DockerLauncher
from pipeline.host.owner import is_gone, this_process
from tests.conftest import REPOSITORY
from tests.containers.debian_base import CannotMakeError, debian_base
from tests.containers.registry import open_registry
from tests.containers.shell import SETUID_CAT, SHELL_IMAGE, ShellLauncher
from tests.containers.support import EnsureImage, MakeLauncher, cannot_run, variant_of

PULL_TIMEOUT_S = 120
BASE_VARIABLE = "BENCHMARK_BASE_CPU"


@pytest.fixture(scope="session")
def engine() -> Engine:
    """This machine's engine."""
    try:
        return Engine.connect()
    except EngineError as error:
        cannot_run(f"{error}; tests/containers/with-engine starts one")


@pytest.fixture(scope="session")
def client(engine: Engine) -> docker.DockerClient:
    """The SDK over the same engine, to look at what the code under test did."""
    return docker.DockerClient(base_url=engine.address)


@pytest.fixture(scope="session")
def base(engine: Engine, client: docker.DockerClient) -> str:
    """What the CPU images are built over here: the one that BENCHMARK_BASE_CPU names, else the declared one; one of
    Debian's packages if that can't be had.
    """
    named = os.environ.get(BASE_VARIABLE)
    if named:
        return named
    declared = variant_of("reference")[1].base
    assert declared is not None
    if engine.image(declared) is not None or _pulled(declared, engine.address):
        return declared
    try:
        return debian_base(client)
    except CannotMakeError as error:
        cannot_run(f"there is no base image here: {declared} can't be pulled, and {error}")


def _pulled(name: str, address: str) -> bool:
    command = ["docker", "--host", address, "pull", "--quiet", name]
    try:
        return subprocess.run(command, capture_output=True, timeout=PULL_TIMEOUT_S, check=False).returncode == 0
    except (subprocess.TimeoutExpired, FileNotFoundError):
        return False


@pytest.fixture(scope="session")
def ca() -> Path | None:
    """The bundle of certificates that this machine was told to trust, if it was."""
    named = os.environ.get("SSL_CERT_FILE")
    return Path(named) if named else None


@pytest.fixture(scope="session")
def build_options(base: str, ca: Path | None) -> BuildOptions:
    """How images are built here."""
    return BuildOptions(bases={"cpu": base}, ca=ca)


@pytest.fixture(scope="session")
def make_launcher(
    engine: Engine, build_options: BuildOptions, data: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> MakeLauncher:
    """A launcher over this checkout's data and cache and results of its own; what is given replaces fields."""

    def make(kind: type[DockerLauncher] = DockerLauncher, **fields: Any) -> DockerLauncher:
        fields = {"data": data, "cache": cache, "build_options": build_options, "engine": engine} | fields
        if "results" not in fields:
            fields["results"] = tmp_path_factory.mktemp("results")
        return kind(**fields)

    return make


@pytest.fixture(scope="session")
def image(make_launcher: MakeLauncher, wheelhouse: Path, tmp_path_factory: pytest.TempPathFactory) -> EnsureImage:
    """Names the image of this checkout's code for the CPU, built first where it isn't there."""

    def ensure(name: str) -> str:
        log = tmp_path_factory.mktemp("build") / f"{name}.txt"
        make_launcher().ensure(*variant_of(name), log)
        return reference(*variant_of(name))

    return ensure


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an empty registry on this machine."""
    with open_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="session")
def weights(base: str, wheelhouse: Path, cache: Path) -> Path:
    """The checkout's cache with every format of the embedded model, made in containers where it isn't there."""
    command = [sys.executable, "orchestrator.py", "--gpu", "cpu", "--all", "--prepare", "--launcher", "docker"]
    done = subprocess.run(
        [*command, "--cache", str(cache)],
        cwd=REPOSITORY,
        env={**os.environ, BASE_VARIABLE: base},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return cache


@pytest.fixture(scope="session")
def shell_image(client: docker.DockerClient, base: str) -> Iterator[str]:
    """The base with a shell for its entrypoint: what a job is made to do is up to the test. It has SETUID_CAT."""
    setuid = ["install", "--mode", "4755", "/bin/cat", SETUID_CAT]
    made = client.containers.create(base, setuid, network_mode="none")
    try:
        made.start()
        assert made.wait()["StatusCode"] == 0
        repository, _, tag = SHELL_IMAGE.partition(":")
        made.commit(repository, tag=tag, changes='ENTRYPOINT ["sh", "-c"]')
    finally:
        made.remove()
    yield SHELL_IMAGE
    with contextlib.suppress(docker.errors.ImageNotFound):  # tests/faults has this fixture too
        client.images.remove(SHELL_IMAGE, noprune=True)


@pytest.fixture
def shell(make_launcher: MakeLauncher, image: EnsureImage, shell_image: str, tmp_path: Path) -> ShellLauncher:
    """A launcher whose jobs are shell scripts, over the test's own folder for results."""
    image("reference")
    launcher = make_launcher(ShellLauncher, results=tmp_path)
    assert isinstance(launcher, ShellLauncher)
    return launcher


@pytest.fixture(scope="module", autouse=True)
def leftovers(engine: Engine, client: docker.DockerClient) -> Iterator[None]:
    """Nothing of a module's tests is left on the engine: no container of ours, no network, no volume."""
    before = _present(client)
    yield
    assert _present(client) - before == set()


def _present(client: docker.DockerClient) -> set[str]:
    ours = [
        container.id
        for container in client.containers.list(all=True, ignore_removed=True)
        if PREFIX in container.attrs["Config"]["Image"] or OWNER_LABEL in container.labels
        if not _of_another_living_command(container.labels.get(OWNER_LABEL))
    ]
    others = (*client.networks.list(), *client.volumes.list())
    return {*ours, *(item.id for item in others)}


def _of_another_living_command(owner: str | None) -> bool:
    """Whether it is somebody's work that goes on beside these tests."""
    return owner is not None and owner != this_process() and not is_gone(owner)
