"""The orchestrator's command over containers: every row, the same as from processes, for whoever gives it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import docker
import pytest

from pipeline.host.docker.build import BuildOptions
from pipeline.results import read_documents
from tests.conftest import REPOSITORY
from tests.containers.support import CATALOG, EnsureImage, cannot_run

UID = 12345
WORK = ["--gpu", "cpu", "--dataset", "sample", "--docs", "3", "--max-new-tokens", "12", "--run", "test"]
OF_ALL = {name: item for name, item in CATALOG.experiments.items() if not item.by_name_only}
ON_A_CPU = [name for name, item in OF_ALL.items() if item.needs.device is None]
COMPARED = ["none", "vllm", "gguf-q4", "lead-3"]
"""One experiment of each image."""


def named(experiments: Sequence[str]) -> list[str]:
    return [word for name in experiments for word in ("--experiment", name)]


def orchestrate(
    launcher: str, results: Path, options: BuildOptions, *arguments: str, prefix: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    command = [*prefix, sys.executable, "orchestrator.py", *WORK, "--launcher", launcher, "--results", str(results)]
    command += ["--formats", "md"]
    return subprocess.run(
        [*command, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "BENCHMARK_BASE_CPU": options.bases["cpu"]},
        capture_output=True,
        text=True,
        check=False,
    )


def by_experiment(results: Path) -> Mapping[str, dict[str, Any]]:
    """Each job's result, with its documents' texts."""
    found = {}
    for path in results.glob("test/*/result.json"):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["status"] == "ok":
            result["texts"] = [document.text for document in read_documents(path.parent / "documents.jsonl")]
        found[result["job"]["experiment"]] = result
    return found


@pytest.fixture(scope="module")
def results(
    image: EnsureImage, weights: Path, build_options: BuildOptions, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The results of all experiments in containers."""
    for name in ("reference", "llama-cpp", "transformers", "vllm"):
        image(name)
    results = tmp_path_factory.mktemp("docker")
    done = orchestrate("docker", results, build_options, "--all")
    assert done.returncode == 0, done.stdout + done.stderr
    return results


def test_all_that_a_cpu_can_run_runs_in_containers_and_the_rest_is_skipped(results: Path) -> None:
    statuses = {name: result["status"] for name, result in by_experiment(results).items()}
    assert statuses == {name: "ok" if name in ON_A_CPU else "skipped" for name in OF_ALL}


def test_a_result_names_the_image_it_came_from(results: Path, client: docker.DockerClient) -> None:
    digest = by_experiment(results)["lead-3"]["environment"]["image_digest"]
    assert "summarisation-benchmark/reference" in " ".join(client.images.get(digest).tags)


def test_what_is_done_is_kept(results: Path, build_options: BuildOptions) -> None:
    again = orchestrate("docker", results, build_options, *named(["none", "lead-3"]))
    assert again.stderr.count("ok (kept)") == 2


@pytest.fixture(scope="module")
def from_processes(results: Path, build_options: BuildOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the same work in processes, of one experiment an image."""
    processes = tmp_path_factory.mktemp("process")
    done = orchestrate("process", processes, build_options, *named(COMPARED))
    assert done.returncode == 0, done.stdout + done.stderr
    return processes


@pytest.mark.parametrize("experiment", COMPARED)
def test_both_launchers_give_the_same_prompts_texts_and_scores(
    results: Path, from_processes: Path, experiment: str
) -> None:
    docker_, process = by_experiment(results)[experiment], by_experiment(from_processes)[experiment]
    for same in ("prompt_ids_sha256", "texts", "quality", "weights"):
        assert docker_[same] == process[same]
    assert docker_["settings"] == {**process["settings"], "engine_args": docker_["settings"]["engine_args"]}


@pytest.mark.parametrize("experiment", COMPARED)
def test_both_launchers_install_the_same_packages(results: Path, from_processes: Path, experiment: str) -> None:
    docker_, process = (by_experiment(folder)[experiment]["environment"] for folder in (results, from_processes))
    unpinned = {"pip", "setuptools", "wheel"}  # these come with the interpreter, not from a lock
    assert {name: version for name, version in docker_["packages"].items() if name not in unpinned} == {
        name: version for name, version in process["packages"].items() if name not in unpinned
    }


def test_another_user_owns_all_that_containers_write_for_them(
    image: EnsureImage, weights: Path, build_options: BuildOptions, tmp_path: Path
) -> None:
    """A user of Docker's group who may read this checkout, wherever it lies, and write to nothing in it."""
    if os.geteuid() != 0:
        cannot_run("becoming another user takes root")
    image("llama-cpp")
    image("reference")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    own = tmp_path / "own"
    own.mkdir()
    os.chown(own, UID, UID)
    group = Path("/var/run/docker.sock").stat().st_gid
    become = ["setpriv", "--reuid", str(UID), "--regid", str(UID), "--groups", str(group)]
    become += ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    prefix = ["env", f"HOME={own}", *become]
    done = orchestrate("docker", own / "results", build_options, *named(["gguf-q4", "lead-3"]), prefix=prefix)
    assert done.returncode == 0, done.stdout + done.stderr
    written = [path for path in own.rglob("*") if path.is_file()]
    assert len([path for path in written if path.name == "documents.jsonl"]) == 2
    assert {(path.stat().st_uid, path.stat().st_gid) for path in written} == {(UID, UID)}
