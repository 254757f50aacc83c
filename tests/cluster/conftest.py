"""A real Ray cluster of several nodes on this machine: raylets, each with its own resources."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.support import DOCS, LocalCluster, open_cluster
from tests.conftest import REPOSITORY

pytest.importorskip("ray", reason="Ray is not installed; it is among the requirements for development")


@pytest.fixture(scope="session")
def local_cluster() -> Iterator[LocalCluster]:
    """Three nodes: one as if it had an A100, one as if it had a T4, and one of a pool of others."""
    with open_cluster() as cluster:
        cluster.add("n-a100", **{"accelerator_type:A100": 1})
        cluster.add("n-t4", **{"accelerator_type:T4": 1})
        cluster.add("n-pool", pool=1)
        yield cluster


@pytest.fixture(scope="session")
def short_documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of documents of one sentence, which cost an engine next to nothing to read."""
    path = tmp_path_factory.mktemp("documents") / "short.jsonl"
    lines = [
        {"id": f"short-{number}", "document": f"Mix flour and {number} cups of water.", "summary": "Make dough."}
        for number in range(DOCS)
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


Orchestrate = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def orchestrate(local_cluster: LocalCluster, cache: Path, short_documents: Path) -> Iterator[Orchestrate]:
    """Starts the orchestrator's command over the cluster, in its processes, on a CPU."""
    started: list[subprocess.Popen[str]] = []

    def start(results: Path, *arguments: str, launcher: str = "ray-process") -> "subprocess.Popen[str]":
        command = [sys.executable, "orchestrator.py", "--gpu", "cpu", "--run", "test"]
        command += ["--dataset", str(short_documents), "--docs", str(DOCS)]
        command += ["--launcher", launcher, "--ray-address", local_cluster.address, "--formats", "md"]
        command += ["--cache", str(cache), "--results", str(results), *arguments]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, cwd=REPOSITORY, start_new_session=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
