"""The options that say which Ray cluster jobs run on, and with what on its nodes."""

import argparse
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.host.cluster.nodes import parse_resources

RAY = {"ray": "auto", "ray-docker": "docker", "ray-process": "process"}
"""Each --launcher that is a cluster, and what it takes on the nodes."""


def add_cluster_options(group: argparse._ArgumentGroup) -> None:
    """--ray-address, --ray-resources and --ray-cache."""
    group.add_argument(
        "--ray-address",
        metavar="HOST:PORT",
        help="of the cluster that --launcher ray takes (default: auto, the one that this machine is part of)",
    )
    group.add_argument(
        "--ray-resources",
        action="append",
        default=[],
        metavar="NAME=AMOUNT",
        help="more of Ray's resources that a job takes of its node, such as a pool's label; repeatable",
    )
    group.add_argument(
        "--ray-cache",
        type=Path,
        metavar="DIR",
        help="cache folder on the nodes, shared or each its own (default: --cache's path)",
    )


def settle_cluster(given: argparse.Namespace, action: str) -> None:
    """Check the options and fill in what wasn't said; a UsageError for what contradicts."""
    asked = {"--ray-address": given.ray_address, "--ray-resources": given.ray_resources, "--ray-cache": given.ray_cache}
    if given.launcher not in RAY:
        for option, value in asked.items():
            if value:
                raise UsageError(f"{option} is about a Ray cluster; add --launcher ray, or leave it out")
    else:
        if given.gpus is not None:
            raise UsageError("--gpus chooses among this host's GPUs, and Ray finds a job's GPUs itself; leave it out")
        if given.exclusive:
            raise UsageError(
                "--exclusive is about this host; with --launcher ray, start nodes with one GPU each instead"
            )
        if given.env == "current":
            raise UsageError("--env current is about this interpreter, --launcher ray runs on nodes; leave one out")
        if action == "bertscore":
            raise UsageError("--bertscore runs on this machine; take --launcher docker or process for it")
    try:
        given.ray_resources = parse_resources(given.ray_resources)
    except ValueError as error:
        raise UsageError(
            f"--ray-resources {error}: takes NAME=AMOUNT, a resource that nodes were started with (`ray start "
            "--resources`) and an amount above 0; CPUs, GPUs and memory are asked for by the job"
        ) from None
    given.ray_address = given.ray_address or "auto"
