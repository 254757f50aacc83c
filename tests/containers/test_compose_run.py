"""A service of compose.yaml, run without the orchestrator."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from pipeline.host.docker.engine import Engine
from pipeline.host.docker.images import alias
from tests.conftest import REPOSITORY
from tests.containers.support import EnsureImage, compose_command, variant_of


def test_a_service_leaves_a_complete_result(engine: Engine, image: EnsureImage, data: Path, tmp_path: Path) -> None:
    engine.tag(image("reference"), alias(*variant_of("reference")))
    shutil.copytree(data / "sample", tmp_path / "data" / "sample")
    for name in ("cache", "results"):
        (tmp_path / name).mkdir()
    project = ["--file", str(REPOSITORY / "compose.yaml"), "--project-directory", str(tmp_path)]
    choice = ["--experiment", "lead-3", "--gpu", "cpu", "--dataset", "sample", "--docs", "2"]
    done = subprocess.run(
        [*compose_command(), *project, "--project-name", "benchmark-test", "run", "--rm", "reference-cpu", *choice],
        env={**os.environ, "BENCHMARK_USER": f"{os.getuid()}:{os.getgid()}"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    [result] = (tmp_path / "results").glob("*/*/result.json")
    assert json.loads(result.read_text())["status"] == "ok"
    assert result.stat().st_uid == os.getuid()
