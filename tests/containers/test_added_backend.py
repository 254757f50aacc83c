"""The end of docs/adding-a-backend.md: the new backend's image is built, checks itself and runs alone."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace

import docker
import pytest

from pipeline.host.docker.engine import Engine
from tests.conftest import REPOSITORY
from tests.containers.conftest import BASE_VARIABLE
from tests.walkthrough import Reader, read_steps

NAME = "summarisation-benchmark/textrank"


@pytest.fixture(scope="module")
def said(added_backend: Reader, base: str, engine: Engine, client: docker.DockerClient) -> Iterator[Mapping[str, str]]:
    """What each of the remaining commands printed; the image is gone afterwards."""
    variables = {**added_backend.environment, BASE_VARIABLE: base, "DOCKER_HOST": engine.address}
    reader = replace(added_backend, environment=variables)
    text = (REPOSITORY / "docs" / "adding-a-backend.md").read_text(encoding="utf-8")
    try:
        yield {
            step.text: reader.follow(step) for step in read_steps(text.partition("Where a Docker engine answers")[2])
        }
    finally:
        for image in client.images.list(name=NAME):
            client.images.remove(image.id, force=True)


def of(said: Mapping[str, str], part: str) -> str:
    [found] = [output for command, output in said.items() if part in command]
    return found


def test_the_image_checks_itself(said: Mapping[str, str]) -> None:
    assert any(line.startswith("ok    textrank:") for line in of(said, "--self-check").splitlines())


def test_the_image_alone_leaves_a_result_of_its_own(said: Mapping[str, str], added_backend: Reader) -> None:
    assert "textrank" in of(said, "docker run --rm --network none --user")
    results = [json.loads(path.read_text()) for path in added_backend.folder.glob("results/*/*/result.json")]
    [alone] = [result for result in results if result["job"]["launcher"] == "docker"]
    assert (alone["status"], alone["job"]["image"], alone["metrics"]["docs"]) == ("ok", "textrank", 10)
    [path] = [path for path in added_backend.folder.glob("results/*/*/result.json") if "docker" in path.read_text()]
    assert path.stat().st_uid == os.getuid()
