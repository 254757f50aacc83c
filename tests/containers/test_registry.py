"""Images through a registry: pushed, pulled again by digest, and found there by the launcher."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from pipeline.host.docker.engine import Engine
from pipeline.host.docker.images import alias, reference
from tests.containers.support import EnsureImage, MakeLauncher, cannot_run, variant_of

STARTUP_S = 30
SMALL = variant_of("reference")
CONFIGURATION = """\
version: 0.1
log: {{accesslog: {{disabled: true}}, level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "{address}"}}
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an empty registry on this machine."""
    program = shutil.which("docker-registry")
    if program is None:
        cannot_run("there is no docker-registry on this machine (apt-get install docker-registry)")
    folder = tmp_path_factory.mktemp("registry")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    (folder / "config.yml").write_text(CONFIGURATION.format(folder=folder / "blobs", address=address))
    log = folder / "log.txt"
    with (
        log.open("wb") as output,
        subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=output, stderr=output) as process,
    ):
        try:
            _wait_for(process, port, log)
            yield address
        finally:
            process.terminate()
    shutil.rmtree(folder)


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + STARTUP_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


def push(client: docker.DockerClient, name: str, remote: str) -> str:
    """Push an image under another name, which is removed here again; what it is pulled by: repository@digest."""
    client.images.get(name).tag(remote)
    repository, _, tag = remote.rpartition(":")
    try:
        said = list(client.images.push(repository, tag=tag, stream=True, decode=True))
    finally:
        client.images.remove(remote, noprune=True)
    assert [line["error"] for line in said if "error" in line] == []
    digests = [line["aux"]["Digest"] for line in said if "Digest" in line.get("aux", {})]
    [digest] = digests
    return f"{repository}@{digest}"


@contextmanager
def absent(client: docker.DockerClient, image_name: str) -> Iterator[None]:
    """An image is not on this machine, under any name; afterwards it has its two names again, wherever it is from."""
    image, variant = variant_of(image_name)
    name, second = reference(image, variant), alias(image, variant)
    before = client.images.get(name).id
    client.images.remove(before, force=True, noprune=True)
    assert not [found for found in client.images.list(all=True) if found.id == before]
    try:
        yield
    finally:
        for found in client.images.list(name=name):
            found.tag(second)


@pytest.mark.parametrize("name", ["reference", "llama-cpp", "transformers", "vllm"])
def test_an_image_that_was_pushed_is_pulled_by_its_digest(
    name: str, registry: str, client: docker.DockerClient, image: EnsureImage
) -> None:
    local = image(name)
    built = client.images.get(local).id
    by_digest = push(client, local, reference(*variant_of(name), registry))
    with absent(client, name):
        pulled = client.images.pull(by_digest)
        assert pulled.id == built
        pulled.tag(local)
        client.images.remove(by_digest, noprune=True)


def test_an_experiment_runs_again_from_a_digest_with_no_network(
    registry: str, client: docker.DockerClient, image: EnsureImage, data: Path, tmp_path: Path
) -> None:
    by_digest = push(client, image("reference"), reference(*SMALL, registry))
    with absent(client, "reference"):
        client.images.pull(by_digest).tag(reference(*SMALL))
        mounts = ["--volume", f"{data}:/data:ro", "--volume", f"{tmp_path}:/results"]
        user = ["--user", f"{os.getuid()}:{os.getgid()}"]
        choice = ["--experiment", "lead-3", "--gpu", "cpu", "--dataset", "sample", "--docs", "2"]
        command = ["docker", "run", "--rm", "--network", "none", *user, *mounts, by_digest, *choice]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        client.images.remove(by_digest, noprune=True)
    assert done.returncode == 0, done.stderr
    [result] = tmp_path.glob("*/*/result.json")
    assert json.loads(result.read_text())["status"] == "ok"


def test_the_launcher_pulls_from_the_registry_that_is_named(
    registry: str, client: docker.DockerClient, engine: Engine, image: EnsureImage, make_launcher: MakeLauncher,
    tmp_path: Path,
) -> None:  # fmt: skip
    remote = reference(*SMALL, registry)
    by_digest = push(client, image("reference"), remote)
    launcher = make_launcher(registry=registry)
    with absent(client, "reference"):
        launcher.ensure(*SMALL, tmp_path / "log.txt")
        assert launcher.ready(*SMALL)
        assert launcher.image_digest(*SMALL) == by_digest
        assert not (tmp_path / "log.txt").exists()  # nothing was built
        client.images.remove(remote, noprune=True)


def test_an_image_that_the_registry_lacks_is_built(
    registry: str, client: docker.DockerClient, image: EnsureImage, make_launcher: MakeLauncher, tmp_path: Path
) -> None:
    image("reference")
    launcher = make_launcher(registry=f"{registry}/empty")
    with absent(client, "reference"):
        launcher.ensure(*SMALL, tmp_path / "log.txt")
        assert launcher.ready(*SMALL)
    said = (tmp_path / "log.txt").read_text()
    assert "can't be pulled" in said.splitlines()[0]
    assert "naming to" in said  # BuildKit's last word
