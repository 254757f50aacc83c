"""What building an image takes and leaves, on a copy of the repository whose code the tests may edit."""

import shutil
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from pipeline.errors import BenchmarkError
from pipeline.host.docker.build import BuildOptions, build_command
from pipeline.host.docker.engine import Engine
from pipeline.host.docker.images import HOST_ONLY, alias
from tests.conftest import REPOSITORY
from tests.containers.support import EnsureImage, MakeLauncher, variant_of

IMAGE, VARIANT = variant_of("reference")
REBUILD_S = 10
EDITED = "pipeline/worker/runner.py"

BUILD = """
import os, subprocess, sys
from pathlib import Path
from pipeline.host.docker.build import BuildOptions, build_command, build_options
from pipeline.host.docker.images import reference
from tests.containers.support import variant_of

base, ca, address, *more = sys.argv[1:]
image = variant_of("reference")
options = build_options(*image, BuildOptions(bases={"cpu": base}, ca=Path(ca)), None)
environment = {**os.environ, "DOCKER_BUILDKIT": "1", "DOCKER_HOST": address}
subprocess.run([*build_command(environment), *more, *options], env=environment, check=True)
print(reference(*image))
"""


@dataclass(frozen=True)
class Copy:
    """A copy of the repository, and how its images are built. ca: holds the marker, so that a trace is found."""

    folder: Path
    base: str
    ca: Path
    marker: str
    address: str

    def build(self, *options: str) -> str:
        """Build the reference image from the copy's files; its name. options: more of `docker build`."""
        command = [sys.executable, "-c", BUILD, self.base, str(self.ca), self.address, *options]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.splitlines()[-1]

    def edit(self) -> None:
        """Change a file of the package in a way that changes nothing."""
        with (self.folder / EDITED).open("a", encoding="utf-8") as file:
            file.write(f"# {uuid.uuid4()}\n")


@dataclass(frozen=True)
class Built:
    """An image. seconds: how long its build took."""

    name: str
    attributes: dict[str, Any]
    seconds: float

    @property
    def layers(self) -> list[str]:
        """The digests of its layers, the lowest first."""
        layers: list[str] = self.attributes["RootFS"]["Layers"]
        return layers

    def remove(self, client: docker.DockerClient) -> None:
        """With every name that it has."""
        client.images.remove(self.attributes["Id"], force=True)


@pytest.fixture(scope="module")
def copy(base: str, ca: Path | None, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """With every file of the image's lock in its wheelhouse, and code that no image was ever built from."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("pipeline", "images", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "*.whl", "*.tar.gz")
        shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored)
    for name in (".dockerignore", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, folder)
    subprocess.run([sys.executable, "-m", "images.wheelhouse", IMAGE.name], cwd=folder, check=True)
    marker = f"# {uuid.uuid4()}\n"
    (folder / "images" / "wheelhouse" / "marker.txt").write_text(marker)  # so that nothing of the build is cached
    bundle = ca or Path(ssl.get_default_verify_paths().cafile or "")
    marked = folder / "ca.pem"
    marked.write_text((bundle.read_text() if bundle.is_file() else "") + marker)
    copy = Copy(folder, base, marked, marker, engine.address)
    copy.edit()
    return copy


@pytest.fixture(scope="module")
def first(copy: Copy, client: docker.DockerClient) -> Iterator[Built]:
    """The copy's image, built with no network at all."""
    checkouts = client.images.list(name=alias(IMAGE, VARIANT))
    built = build(copy, client)
    yield built
    built.remove(client)
    for image in checkouts:
        image.tag(alias(IMAGE, VARIANT))


@pytest.fixture(scope="module")
def second(copy: Copy, first: Built, client: docker.DockerClient) -> Iterator[Built]:
    """The image after an edit of one file."""
    copy.edit()
    built = build(copy, client)
    yield built
    built.remove(client)


def build(copy: Copy, client: docker.DockerClient) -> Built:
    started = time.perf_counter()
    name = copy.build("--network", "none")
    return Built(name, client.images.get(name).attrs, time.perf_counter() - started)


def test_a_whole_wheelhouse_takes_no_network(first: Built, client: docker.DockerClient) -> None:
    said = client.containers.run(first.name, ["--help"], network_mode="none", remove=True)
    assert b"lead-3" in said


def test_an_edit_of_the_package_is_built_in_seconds(second: Built) -> None:
    assert second.seconds < REBUILD_S


def test_an_edit_of_the_package_replaces_its_own_layers_alone(first: Built, second: Built) -> None:
    """Its source and, above it, what that is compiled to."""
    assert second.layers[:-2] == first.layers[:-2]
    assert second.layers[-2] != first.layers[-2]


def test_an_edit_of_the_package_changes_the_images_name(first: Built, second: Built) -> None:
    assert second.name != first.name


def test_the_certificates_of_the_build_are_in_no_layer(copy: Copy, first: Built, client: docker.DockerClient) -> None:
    marker, tail = copy.marker.encode().strip(), b""
    for piece in client.images.get(first.name).save(chunk_size=2**24):
        assert marker not in tail + piece
        tail = piece[-len(marker) :]


def test_the_history_names_no_secret(copy: Copy, first: Built, client: docker.DockerClient) -> None:
    steps = " ".join(step["CreatedBy"] for step in client.images.get(first.name).history())
    assert "install.py" not in steps  # which ran in the other stage
    assert str(copy.ca) not in steps


def test_an_image_carries_the_package_compiled(image: EnsureImage, client: docker.DockerClient) -> None:
    """Over a read-only root each job would compile it anew."""
    said = client.containers.run(
        image("reference"), ["-c", "ls /app/pipeline/__pycache__"], entrypoint="sh", remove=True
    )
    assert "results.cpython-311.pyc" in said.decode()


def test_an_image_carries_the_package_without_the_hosts_parts(image: EnsureImage, client: docker.DockerClient) -> None:
    said = client.containers.run(
        image("reference"), ["-c", "ls /app /app/pipeline /app/images /app/images/*"], entrypoint="sh", remove=True
    )
    listed = said.decode().split()
    parts = {path.name for path in (REPOSITORY / "pipeline").iterdir()} - {*HOST_ONLY, "__pycache__"}
    assert parts <= set(listed)
    assert not {*HOST_ONLY, "tests", "orchestrator.py"} & set(listed)
    assert [word for word in listed if word.endswith((".lock", "image.yaml"))] == ["cpu.lock", "image.yaml"]


def test_a_base_that_does_not_exist_fails_with_the_log_that_says_so(
    make_launcher: MakeLauncher, tmp_path: Path
) -> None:
    launcher = make_launcher(build_options=BuildOptions(bases={"cpu": "127.0.0.1:1/no/such-base:1"}))
    log = tmp_path / "log.txt"
    with pytest.raises(BenchmarkError, match=rf"image reference \(cpu\): the build failed; see {log}"):
        launcher.ensure(IMAGE, VARIANT, log)
    assert "no/such-base" in log.read_text()


def client_without_buildkit(folder: Path) -> Path:
    """A docker command that knows neither buildx nor secrets, in a folder for the PATH."""
    folder.mkdir()
    program = folder / "docker"
    program.write_text('#!/bin/sh\ntest "$1" = build && echo "Usage: docker build"\n')
    program.chmod(0o755)
    return folder


@pytest.mark.parametrize("make", [Path.mkdir, client_without_buildkit], ids=["no client", "no BuildKit"])
def test_without_buildkit_the_mend_is_named(make: Any, tmp_path: Path) -> None:
    make(tmp_path / "bin")
    with pytest.raises(BenchmarkError, match="install docker-buildx-plugin"):
        build_command({"PATH": str(tmp_path / "bin")})


def test_a_client_without_buildkit_is_passed_over(tmp_path: Path) -> None:
    poor = client_without_buildkit(tmp_path / "poor")
    able = client_without_buildkit(tmp_path / "able")
    (able / "docker").write_text("#!/bin/sh\necho '--secret'\n")
    command = build_command({"PATH": f"{poor}:{able}"})
    assert command[0] == str(able / "docker")
