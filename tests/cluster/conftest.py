"""A real Ray cluster of several nodes on this machine: raylets, each with its own resources."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY

pytest.importorskip("ray", reason="Ray is not installed; it is among the requirements for development")

DOCS = 16
WAIT_S = 120.0
PERIOD_S = 0.1


@dataclass
class LocalCluster:
    """Nodes of one machine. The head takes no jobs."""

    cluster: Any
    nodes: dict[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> str:
        address: str = self.cluster.address
        return address

    def add(self, name: str, **resources: float) -> None:
        """Start a node of one CPU with these resources, and wait until it is part of the cluster."""
        self.nodes[name] = self.cluster.add_node(num_cpus=1, resources=resources, node_name=name)

    def kill(self, name: str) -> None:
        """SIGKILL the node's raylet and agents, as a power cut would; its workers end as they notice."""
        self.cluster.remove_node(self.nodes.pop(name), allow_graceful=False)


@pytest.fixture(scope="session")
def local_cluster() -> Iterator[LocalCluster]:
    """Three nodes: one as if it had an A100, one as if it had a T4, and one of a pool of others."""
    from ray.cluster_utils import Cluster

    cores = os.sched_getaffinity(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        os.sched_setaffinity(
            0, {min(cores)}
        )  # nodes and jobs inherit it: an engine's threads don't wait for each other
        try:
            cluster = LocalCluster(
                Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
            )
            cluster.add("n-a100", **{"accelerator_type:A100": 1})
            cluster.add("n-t4", **{"accelerator_type:T4": 1})
            cluster.add("n-pool", pool=1)
            yield cluster
            cluster.cluster.shutdown()
        finally:
            os.sched_setaffinity(0, cores)


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


def wait_until(true: Callable[[], Any], what: str, seconds: float = WAIT_S) -> None:
    """Fails the test after so long."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(PERIOD_S)


def on(resource: str) -> Sequence[str]:
    """The options that send a job to the node that has the resource."""
    return ["--ray-resources", resource]
