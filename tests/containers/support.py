"""What the container tests and their fixtures share."""

import os
import shutil
import subprocess
from collections.abc import Callable
from typing import NoReturn

import pytest

from pipeline.catalog import load_catalog
from pipeline.entries import Image, Variant
from pipeline.host.launchers.docker import DockerLauncher

CATALOG = load_catalog()
EXPERIMENTS = {"reference": "lead-3", "llama-cpp": "gguf-q4", "transformers": "none", "vllm": "vllm"}
"""An experiment of each CPU image."""

MakeLauncher = Callable[..., DockerLauncher]
EnsureImage = Callable[[str], str]


def cannot_run(reason: str) -> NoReturn:
    """End the test, which can't be run here: it skips, or fails where these tests are required."""
    if os.environ.get("BENCHMARK_CONTAINER_TESTS") == "required":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def variant_of(name: str, variant: str = "cpu") -> tuple[Image, Variant]:
    """An image of the catalogue and its variant."""
    image = CATALOG.images[name]
    return image, next(item for item in image.variants if item.name == variant)


def compose_command() -> list[str]:
    """How Compose is called here: as the docker command's plugin, or by itself."""
    plugin = ["docker", "compose"]
    if (
        shutil.which("docker")
        and subprocess.run([*plugin, "version"], capture_output=True, check=False).returncode == 0
    ):
        return plugin
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    cannot_run("Compose is not on this machine; install docker-compose-plugin or docker-compose")
