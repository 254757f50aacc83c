"""The manifest and the batch script of docs/cluster: what can be told of them without Kubernetes or Slurm."""

import re
import shlex
from pathlib import Path
from typing import Any

import yaml

from pipeline.catalog import load_catalog
from pipeline.host.arguments import parse
from pipeline.host.launchers.choose import LAUNCHERS

REPOSITORY = Path(__file__).parent.parent
FOLDER = REPOSITORY / "docs" / "cluster"
RAY = re.search(r'"ray==([\d.]+)"', (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))

# of ray-operator/apis/ray/v1 (rayjob_types.go, raycluster_types.go), as far as they are used
OF_A_JOB = {"entrypoint", "submissionMode", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "rayClusterSpec"}
OF_A_CLUSTER = {"rayVersion", "headGroupSpec", "workerGroupSpecs"}
OF_A_HEAD = {"rayStartParams", "template"}
OF_WORKERS = {"groupName", "replicas", "minReplicas", "maxReplicas", "template"}


def manifest() -> Any:
    return yaml.safe_load((FOLDER / "rayjob.yaml").read_text(encoding="utf-8"))


def test_the_manifest_is_a_rayjob_with_fields_that_it_has() -> None:
    job = manifest()
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert set(job["spec"]) == OF_A_JOB
    assert set(cluster) == OF_A_CLUSTER
    assert set(cluster["headGroupSpec"]) == OF_A_HEAD
    assert {name for group in cluster["workerGroupSpecs"] for name in group} == OF_WORKERS


def test_every_volume_that_is_mounted_is_there() -> None:
    cluster = manifest()["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_all_name_the_ray_that_is_pinned() -> None:
    assert RAY is not None
    assert manifest()["spec"]["rayClusterSpec"]["rayVersion"] == RAY[1]
    assert f"rayproject/ray:{RAY[1]}-py311" in (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    assert f"ray=={RAY[1]}" in (REPOSITORY / "requirements-ray.lock").read_text(encoding="utf-8")


def test_the_commands_of_the_manifest_and_the_script_are_ones_that_the_orchestrator_takes() -> None:
    script = (FOLDER / "slurm.sh").read_text(encoding="utf-8").replace("\\\n", " ")
    for text in (manifest()["spec"]["entrypoint"], script):
        words = shlex.split(text.partition("orchestrator.py")[2].splitlines()[0])
        assert parse(words, load_catalog(), LAUNCHERS).launcher == "ray-process"
