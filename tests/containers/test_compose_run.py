"""Each CPU service of compose.yaml, run without the orchestrator."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from pipeline.host.docker.engine import Engine
from pipeline.host.docker.images import alias
from tests.conftest import REPOSITORY
from tests.containers.support import EXPERIMENTS, EnsureImage, compose_command, variant_of


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name != "vllm"])  # starts in half a minute, no other
def test_a_service_leaves_a_complete_result(
    name: str, engine: Engine, image: EnsureImage, data: Path, weights: Path, tmp_path: Path
) -> None:
    engine.tag(image(name), alias(*variant_of(name)))
    (tmp_path / "data").symlink_to(data)
    (tmp_path / "cache").symlink_to(weights)
    (tmp_path / "results").mkdir()
    project = ["--file", str(REPOSITORY / "compose.yaml"), "--project-directory", str(tmp_path)]
    choice = [
        "--experiment",
        EXPERIMENTS[name],
        "--gpu",
        "cpu",
        "--dataset",
        "sample",
        "--docs",
        "2",
        "--max-new-tokens",
        "4",
    ]
    done = subprocess.run(
        [*compose_command(), *project, "--project-name", "benchmark-test", "run", "--rm", f"{name}-cpu", *choice],
        env={**os.environ, "BENCHMARK_USER": f"{os.getuid()}:{os.getgid()}"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    [result] = (tmp_path / "results").glob("*/*/result.json")
    assert json.loads(result.read_text())["status"] == "ok"
    assert result.stat().st_uid == os.getuid()
