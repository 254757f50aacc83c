"""Code run inside an image's environment."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.catalog import load_catalog
from pipeline.host.environments import ensure_environment, process_environment

Inside = Callable[..., Any]
TIMEOUT_S = 900


@pytest.fixture(scope="session")
def inside(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Inside:
    """Runs code in an image's CPU environment, with arguments; the JSON that it prints last."""
    log = tmp_path_factory.mktemp("environments") / "log.txt"

    def run(image_name: str, code: str, *arguments: str) -> Any:
        image = load_catalog().images[image_name]
        variant = image.variants[0]
        folder = ensure_environment(cache, image, variant, log)
        command = [str(folder / "bin" / "python"), "-c", code, *arguments]
        environment = process_environment(cache, image, variant, network=False)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run
