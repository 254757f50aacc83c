"""A job on a node of a Ray cluster, in a container of the engine that answers there."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from pipeline.host.docker.build import BuildOptions
from pipeline.results import Result, read_documents, read_result
from tests.cluster.support import open_cluster
from tests.conftest import REPOSITORY
from tests.containers.support import EnsureImage

pytest.importorskip("ray", reason="Ray is not installed; it is among the requirements for development")


@pytest.fixture
def command(
    image: EnsureImage, build_options: BuildOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """The orchestrator's, over two nodes that share this machine's engine."""
    image("reference")
    monkeypatch.setenv("BENCHMARK_BASE_CPU", build_options.bases["cpu"])  # for nodes, which look for their image by it
    with open_cluster() as cluster:
        cluster.add("n-1")
        cluster.add("n-2")
        what = ["--gpu", "cpu", "--experiment", "lead-3", "--dataset", "sample", "--docs", "6"]
        where = ["--launcher", "ray", "--ray-address", cluster.address, "--cache", str(tmp_path / "cache")]
        yield [sys.executable, "orchestrator.py", *what, *where]


def run(command: list[str], results: Path, *arguments: str) -> Result:
    """The job's result."""
    named = [*command, "--run", "test", *arguments, "--results", str(results)]
    done = subprocess.run(named, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [path] = results.glob("test/*/result.json")
    return read_result(path)


def made_of(results: Path) -> dict[str, tuple[Any, ...]]:
    [path] = results.glob("test/*/documents.jsonl")
    return {item.id: (item.text, item.finish_reason, item.prompt_sha256) for item in read_documents(path)}


def test_jobs_run_in_containers_on_their_nodes_and_shards_come_to_what_one_worker_makes(
    command: list[str], client: docker.DockerClient, tmp_path: Path
) -> None:
    whole = run(command, tmp_path / "whole")
    assert (whole.status, whole.job.launcher) == ("ok", "ray-docker")
    assert whole.environment.node in ("n-1", "n-2")
    assert whole.environment.image_digest is not None
    assert "summarisation-benchmark/reference" in " ".join(client.images.get(whole.environment.image_digest).tags)

    sharded = run(command, tmp_path / "sharded", "--shards", "4")
    shards = [read_result(path) for path in tmp_path.glob("sharded/test/*/shard-*/result.json")]
    assert [shard.environment.image_digest for shard in shards] == [whole.environment.image_digest] * 4
    assert made_of(tmp_path / "sharded") == made_of(tmp_path / "whole")
    assert len(made_of(tmp_path / "whole")) == 6
    assert sharded.quality is not None and sharded.quality == whole.quality
