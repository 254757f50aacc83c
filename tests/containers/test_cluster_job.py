"""A job on a node of a Ray cluster, in a container of the engine that answers there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from pipeline.host.docker.build import BuildOptions
from tests.cluster.support import open_cluster
from tests.conftest import REPOSITORY
from tests.containers.support import EnsureImage

pytest.importorskip("ray", reason="Ray is not installed; it is among the requirements for development")


def test_a_job_runs_in_a_container_on_its_node(
    image: EnsureImage, build_options: BuildOptions, client: docker.DockerClient, tmp_path: Path
) -> None:
    image("reference")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCHMARK_BASE_CPU", build_options.bases["cpu"])  # for the node, which looks for its image by it
        with open_cluster() as cluster:
            cluster.add("n-docker")
            command = [sys.executable, "orchestrator.py", "--gpu", "cpu", "--experiment", "lead-3", "--docs", "3"]
            command += ["--dataset", "sample", "--launcher", "ray", "--ray-address", cluster.address, "--run", "test"]
            done = subprocess.run(
                [*command, "--cache", str(tmp_path / "cache"), "--results", str(tmp_path / "results")],
                cwd=REPOSITORY, env=dict(os.environ), capture_output=True, text=True, check=False,
            )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    [path] = (tmp_path / "results").glob("test/*/result.json")
    result = json.loads(path.read_text(encoding="utf-8"))
    assert (result["status"], result["job"]["launcher"]) == ("ok", "ray-docker")
    assert result["environment"]["node"] == "n-docker"
    digest = result["environment"]["image_digest"]
    assert "summarisation-benchmark/reference" in " ".join(client.images.get(digest).tags)
    assert len(path.with_name("documents.jsonl").read_text(encoding="utf-8").splitlines()) == 3
