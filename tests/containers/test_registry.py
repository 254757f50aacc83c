"""Images through a registry: pushed, pulled again by digest, and run from there."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from images.matrix import Target, entries
from pipeline.host.docker.engine import Engine
from pipeline.host.docker.images import reference
from tests.containers.registry import absent, digest_of, push
from tests.containers.support import EnsureImage, variant_of

SMALL = variant_of("reference")


@pytest.mark.parametrize("name", ["reference", "llama-cpp"])  # larger ones take minutes, and show no more
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


def test_a_base_without_a_digest_gets_the_one_that_its_registry_has_now(
    registry: str, client: docker.DockerClient, engine: Engine, image: EnsureImage
) -> None:
    name = f"{registry}/base:1"
    by_digest = push(client, image("reference"), name)
    small, variant = SMALL
    unpinned = replace(small, variants=(replace(variant, base=name),))
    [entry] = entries({"reference": unpinned}, Target(registry, "commit"), engine.digest_in_registry)
    assert entry.base == f"{name}@{digest_of(by_digest)}"
    assert f"BASE={entry.base}" in entry.build_arguments.splitlines()
