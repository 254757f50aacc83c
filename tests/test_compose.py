"""compose.yaml: made from the catalogue and the Docker launcher's settings, and what a person needs of it."""

import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from images.compose import main, render
from pipeline.entries import Image, Variant
from pipeline.host.docker.container import Bind, ContainerSpec
from pipeline.host.docker.engine import settings
from pipeline.host.docker.images import alias, build_arguments
from tests.conftest import REPOSITORY
from tests.containers.support import CATALOG, compose_command

PATH = REPOSITORY / "compose.yaml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(PATH.read_text(encoding="utf-8"))["services"]
VARIANTS = {
    f"{image.name}-{variant.name}": (image, variant)
    for image in CATALOG.images.values()
    for variant in image.variants
    if variant.base
}
FOLDERS = ("data", "cache", "results")

every_variant = pytest.mark.parametrize("name", VARIANTS)
PREPARE = "prepare"
PREPARING = [PREPARE, *(name for name, (image, _) in VARIANTS.items() if image.provides is None)]

every_service = pytest.mark.parametrize("name", [*VARIANTS, PREPARE])


def launched(*, network: bool) -> dict[str, Any]:
    """What the Docker launcher gives the engine, for a CUDA variant."""
    writable = "cache" if network else "results"
    binds = [Bind(Path(f"./{name}"), f"/{name}", writable=name == writable) for name in FOLDERS]
    return settings(ContainerSpec("image", [], binds, "1:1", gpus=[], network=network))


def default(value: str) -> str:
    """What Compose takes for ${NAME:-default} where NAME is not set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def read(arguments: Mapping[str, str]) -> dict[str, Any]:
    """A build's arguments with the words of BUILD_ENVIRONMENT as the installer reads them, however they are quoted."""
    return {key: shlex.split(value) if key == "BUILD_ENVIRONMENT" else value for key, value in arguments.items()}


def declared(name: str) -> tuple[Image, Variant, dict[str, Any]]:
    return *VARIANTS[name], SERVICES[name]


def test_the_file_is_what_the_script_makes() -> None:
    assert PATH.read_text(encoding="utf-8") == render(CATALOG.images), "run `make lock`"
    assert main(["--check"]) == 0


def test_there_is_a_service_for_each_variant_that_has_a_base_and_one_that_prepares() -> None:
    assert set(SERVICES) == {*VARIANTS, PREPARE}


@every_variant
def test_a_service_builds_with_the_catalogues_arguments(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image, variant, service = declared(name)
    for variable in image.build_environment:
        monkeypatch.delenv(variable, raising=False)
    given = {key: default(value) for key, value in service["build"]["args"].items()}
    arguments = {key: value for key, value in given.items() if value}  # one without a value is none
    assert read(arguments) == read(build_arguments(image, variant))


@every_variant
def test_a_services_image_has_the_name_that_the_launcher_gives_it(name: str) -> None:
    image, variant, service = declared(name)
    assert service["image"] == alias(image, variant)


@every_variant
def test_another_base_can_be_named_for_a_services_variant(name: str) -> None:
    _, variant, service = declared(name)
    prefix = f"${{BENCHMARK_BASE_{variant.name.upper()}:-"
    assert service["build"]["args"]["BASE"].startswith(prefix)


@every_variant
def test_a_service_reserves_a_gpu_just_where_its_variant_is_for_one(name: str) -> None:
    _, variant, service = declared(name)
    assert ("deploy" in service) == (variant.device == "cuda")


def test_a_reserved_gpu_is_one_that_the_launcher_would_ask_for() -> None:
    [request] = launched(network=False)["device_requests"]
    for name, (_, variant) in VARIANTS.items():
        if variant.device == "cuda":
            [device] = SERVICES[name]["deploy"]["resources"]["reservations"]["devices"]
            assert (device["driver"], [device["capabilities"]]) == (request.driver, request.capabilities)


@every_service
def test_a_service_is_as_hardened_as_the_launchers_containers(name: str) -> None:
    service, expected = SERVICES[name], launched(network=name in PREPARING)
    same = ("network_mode", "read_only", "cap_drop", "security_opt", "pids_limit", "shm_size", "init")
    assert {key: service[key] for key in same} == {key: expected[key] for key in same}
    assert service["tmpfs"] == [f"{path}:{options}" for path, options in expected["tmpfs"].items()]
    log = expected["log_config"]
    assert service["logging"] == {"driver": log.type, "options": log.config}
    assert not {"privileged", "cap_add", "devices", "pid", "ipc", "userns_mode", "network"} & service.keys()


@every_service
def test_a_service_mounts_the_folders_as_the_launcher_does(name: str) -> None:
    mounted = {
        mount["target"]: (mount["type"], mount["source"], mount.get("read_only", False))
        for mount in SERVICES[name]["volumes"]
        if not mount["target"].startswith("/run/secrets/")
    }
    expected = {
        mount["Target"]: (mount["Type"], f"./{mount['Source']}", mount["ReadOnly"])
        for mount in launched(network=name in PREPARING)["mounts"]
    }
    if name in PREPARING:
        expected.pop("/results")  # which it has no use for
    assert mounted == expected


@every_service
def test_a_service_runs_as_the_user_that_is_named(name: str) -> None:
    assert SERVICES[name]["user"] == "${BENCHMARK_USER:-1000:1000}"


def config(**variables: str) -> dict[str, Any]:
    """The file as Compose understands it."""
    done = subprocess.run(
        [*compose_command(), "--file", str(PATH), "config"],
        env={**os.environ, **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    understood: dict[str, Any] = yaml.safe_load(done.stdout)
    return understood


def test_compose_accepts_the_file() -> None:
    assert set(config()["services"]) == set(SERVICES)


def test_compose_takes_the_base_and_the_user_that_are_named() -> None:
    services = config(BENCHMARK_BASE_CPU="mirror/python:3.11", BENCHMARK_USER="5:6")["services"]
    assert services["vllm-cpu"]["build"]["args"]["BASE"] == "mirror/python:3.11"
    assert services["vllm-cpu"]["user"] == "5:6"
    assert services["vllm-cu130"]["build"]["args"]["BASE"] != "mirror/python:3.11"


def test_an_image_without_a_backend_prepares_instead_of_running() -> None:
    maker = replace(CATALOG.images["transformers"], name="maker", provides=None)
    services = yaml.safe_load(render({**CATALOG.images, "maker": maker}))["services"]
    prepare, made, usual = services[PREPARE], services["maker-cpu"], services["transformers-cpu"]
    assert {key: made[key] for key in prepare if key != "image"} == {
        key: prepare[key] for key in prepare if key != "image"
    }
    assert (made["build"]["args"]["IMAGE"], made["command"]) == ("maker", ["--prepare"])
    assert "command" not in usual


def test_a_build_from_source_can_be_narrowed_from_the_environment() -> None:
    args = config(FLASH_ATTN_CUDA_ARCHS="90", MAX_JOBS="4")["services"]["flash-attn-cu130"]["build"]["args"]
    assert "FLASH_ATTN_CUDA_ARCHS=90" in shlex.split(args["BUILD_ENVIRONMENT"])
    assert args["MAX_JOBS"] == "4"


def test_a_value_with_spaces_stays_one_word_of_a_build() -> None:
    args = config(CMAKE_ARGS="-DA=1 -DB=2")["services"]["llama-cpp-cu130"]["build"]["args"]
    assert "CMAKE_ARGS=-DA=1 -DB=2" in shlex.split(args["BUILD_ENVIRONMENT"])
