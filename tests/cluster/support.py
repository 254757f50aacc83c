"""A Ray cluster of several nodes on this machine: real raylets, each with its own resources."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

DOCS = 10
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
        """Start a node of one CPU with these resources, and wait until it is part of the cluster.

        Each unpacks the code that a command sends into a folder of its own, as machines do. In a shared one each node
        would remove what the one before it had unpacked, from under a worker that may be reading it.
        """
        self.nodes[name] = self.cluster.add_node(
            num_cpus=1, resources=resources, node_name=name, runtime_env_dir_name=f"runtime_resources/{name}"
        )

    def kill(self, name: str) -> None:
        """SIGKILL the node's raylet and agents, as a power cut would; its workers end as they notice."""
        self.cluster.remove_node(self.nodes.pop(name), allow_graceful=False)


@contextmanager
def open_cluster() -> Iterator[LocalCluster]:
    """A cluster of a head alone. Its nodes inherit this process's environment."""
    from ray.cluster_utils import Cluster

    cores = os.sched_getaffinity(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        os.sched_setaffinity(
            0, {min(cores)}
        )  # nodes and jobs inherit it: an engine's threads don't wait for each other
        try:
            cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
            try:
                yield LocalCluster(cluster)
            finally:
                cluster.shutdown()
        finally:
            os.sched_setaffinity(0, cores)


def wait_until(true: Callable[[], Any], what: str, seconds: float = WAIT_S) -> None:
    """Fails the test after so long."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(PERIOD_S)
