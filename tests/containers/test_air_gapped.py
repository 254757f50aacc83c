"""docs/air-gapped.md, followed to the letter: on this machine, then in a copy that reaches nothing."""

import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from pipeline.host.docker.images import alias
from tests.conftest import REPOSITORY
from tests.containers.conftest import BASE_VARIABLE
from tests.containers.support import variant_of
from tests.walkthrough import Reader, copy_repository, section

DOCUMENT = (REPOSITORY / "docs" / "air-gapped.md").read_text(encoding="utf-8")
CARRIED = ("llama-cpp", "reference")
MADE = (*CARRIED, "transformers")
NOWHERE = "http://127.0.0.1:9"
NAMES = """
python -c "
from pipeline.catalog import load_catalog
from pipeline.host.docker.images import reference
images = load_catalog().images
for name in '{names}'.split():
    [variant] = [variant for variant in images[name].variants if variant.name == 'cpu']
    print(reference(images[name], variant))
"
"""


@dataclass(frozen=True)
class Machines:
    """The two checkouts, and the ids of the images that were carried from one to the other."""

    connected: Reader
    isolated: Reader
    carried: set[str]

    def results(self) -> list[dict[str, dict[str, str]]]:
        """Of all runs on the isolated machine."""
        return [json.loads(path.read_text()) for path in self.isolated.folder.glob("results/*/*/result.json")]


def edit(folder: Path) -> None:
    """Change a file of the package in a way that changes nothing, so that no image was ever built from this code."""
    with (folder / "pipeline" / "worker" / "runner.py").open("a", encoding="utf-8") as file:
        file.write(f"# {uuid.uuid4()}\n")


def names(reader: Reader, images: tuple[str, ...]) -> list[str]:
    """What a checkout's images are called."""
    return reader.run(NAMES.format(names=" ".join(images))).split()


def no_network(folder: Path, base: str) -> Reader:
    """A checkout whose commands have no network where this user may take it away; elsewhere proxies lead nowhere."""
    unreachable = folder.parent / "pip.conf"
    unreachable.write_text(f"[global]\nindex-url = {NOWHERE}/simple\nretries = 0\n")
    environment = {"PIP_CONFIG_FILE": str(unreachable), "PIP_FIND_LINKS": "", BASE_VARIABLE: base}
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        environment[name] = NOWHERE
    without = ["unshare", "--net"]
    able = (
        shutil.which("unshare") and subprocess.run([*without, "true"], capture_output=True, check=False).returncode == 0
    )
    return Reader(folder, environment, within=without if able else ())


@pytest.fixture(scope="module")
def machines(
    base: str, wheelhouse: Path, client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machines]:
    """The first machine's steps done, its images removed here and everything carried over; nothing done there yet."""
    folder = tmp_path_factory.mktemp("machines")
    earlier = {name: client.images.list(name=alias(*variant_of(name))) for name in MADE}
    connected = Reader(copy_repository(folder / "connected"), {BASE_VARIABLE: base})
    edit(connected.folder)
    for wheel in wheelhouse.glob("torch-*.whl"):
        (connected.folder / "images" / "wheelhouse" / wheel.name).hardlink_to(wheel)
    built = names(connected, MADE)
    try:
        for heading in ("### Where there is a network", "### Packages, where there is a network"):
            for step in section(DOCUMENT, heading):
                connected.follow(step)
        carried = {client.images.get(name).id for name in names(connected, CARRIED)}
        for name in built:
            client.images.remove(client.images.get(name).id, force=True, noprune=True)
        shutil.copytree(connected.folder, folder / "isolated", symlinks=True,
                        ignore=shutil.ignore_patterns(".venv", "cache", "results"))  # fmt: skip
        isolated = no_network(folder / "isolated", base)
        yield Machines(connected, isolated, carried)
        built += names(isolated, CARRIED)
    finally:
        for name in built:
            for image in client.images.list(name=name):
                client.images.remove(image.id, force=True, noprune=True)
        for name, images in earlier.items():
            for image in images:
                image.tag(alias(*variant_of(name)))
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def said(machines: Machines, client: docker.DockerClient) -> list[str]:
    """What the commands on the isolated machine printed, up to the run of an image alone."""
    assert not machines.carried & {image.id for image in client.images.list(all=True)}
    return [machines.isolated.follow(step) for step in section(DOCUMENT, "### Where there is none")]


def test_the_images_that_were_loaded_are_those_that_were_saved(
    machines: Machines, said: list[str], client: docker.DockerClient
) -> None:
    assert {client.images.get(name).id for name in names(machines.isolated, CARRIED)} == machines.carried


def test_the_launcher_takes_what_was_carried_and_makes_nothing(said: list[str], machines: Machines) -> None:
    assert "preparing" not in "".join(said)
    done = [result for result in machines.results() if result["job"]["launcher"] == "docker"]
    assert {(result["job"]["experiment"], result["status"]) for result in done} == {("gguf-q4", "ok"), ("lead-3", "ok")}


def test_an_image_alone_runs_on_carried_weights(said: list[str], machines: Machines) -> None:
    """Its run is the one of two documents, the orchestrator's had three."""
    [alone] = [result for result in machines.results() if result["job"]["workload"]["docs"] == 2]
    assert alone["metrics"]["output_tokens_per_s"] > 0
    assert alone["job"]["experiment"] == "gguf-q4"


def test_environments_and_images_are_made_of_carried_packages(
    machines: Machines, said: list[str], client: docker.DockerClient
) -> None:
    wheelhouse = machines.isolated.folder / "images" / "wheelhouse"
    (wheelhouse / "marker.txt").write_text(str(uuid.uuid4()))  # so that nothing of the build is cached
    edit(machines.isolated.folder)
    [outdated] = names(machines.isolated, ("reference",))
    assert client.images.list(name=outdated) == []
    for step in section(DOCUMENT, "### Packages, where there is none"):
        machines.isolated.follow(step)
    assert client.images.get(outdated).id not in machines.carried
    [made] = [result for result in machines.results() if result["job"]["launcher"] == "process"]
    assert made["status"] == "ok"


def test_the_isolated_machine_reaches_no_index(machines: Machines, said: list[str]) -> None:
    with pytest.raises(AssertionError, match="No matching distribution"):
        machines.isolated.run("python -m pip download --quiet --no-deps --dest nowhere six")
