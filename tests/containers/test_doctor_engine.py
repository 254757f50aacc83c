"""What the doctor reads of a real engine."""

import docker

from pipeline.host.docker.engine import Engine
from pipeline.host.doctor.containers import builder_fault, docker_checks, read_docker


def test_the_engine_tells_its_version_and_where_its_images_lie(engine: Engine, client: docker.DockerClient) -> None:
    facts = read_docker()
    assert facts.version == client.version()["Version"]
    assert facts.data_root is None or facts.data_root == client.info()["DockerRootDir"]
    assert [check.status for check in docker_checks(facts, insisted=True, gpu=False)] == ["pass"]


def test_images_can_be_built_where_these_tests_build_them(engine: Engine) -> None:
    assert builder_fault() is None
