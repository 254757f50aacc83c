"""Each image on its own, as a person runs it: one `docker run`, hardened, for a user that nobody knows."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.results import read_documents
from tests.containers.support import CATALOG, EXPERIMENTS, EnsureImage

UID = 12345
HARDENED = [
    *("--read-only", "--tmpfs", "/tmp:rw,exec,nosuid,nodev,mode=1777", "--network", "none", "--shm-size", "1g"),
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", f"{UID}:{UID}"),
]


def docker_run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["docker", "run", "--rm", *HARDENED, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@dataclass(frozen=True)
class Alone:
    """What a run of one experiment left: what it printed, and its folder of results."""

    done: subprocess.CompletedProcess[str]
    results: Path

    @property
    def result(self) -> dict[str, Any]:
        [path] = self.results.glob("*/*/result.json")
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content


def a_folder_of_the_user(path: Path) -> Path:
    path.mkdir()
    if os.geteuid() == 0:
        os.chown(path, UID, UID)
    else:
        path.chmod(0o777)
    return path


def run_alone(reference: str, experiment: str, data: Path, cache: Path, results: Path) -> Alone:
    mounts = ["-v", f"{data}:/data:ro", "-v", f"{cache}:/cache:ro", "-v", f"{results}:/results"]
    choice = ["--experiment", experiment, "--gpu", "cpu", "--dataset", "sample", "--docs", "2"]
    return Alone(docker_run(*mounts, reference, *choice, "--max-new-tokens", "4"), results)


@pytest.fixture(scope="module", params=EXPERIMENTS)
def name(request: pytest.FixtureRequest) -> str:
    """One image after another."""
    return str(request.param)


@pytest.fixture(scope="module")
def alone(name: str, image: EnsureImage, data: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    """A run of the image's experiment."""
    results = a_folder_of_the_user(tmp_path_factory.mktemp(name) / "results")
    alone = run_alone(image(name), EXPERIMENTS[name], data, weights, results)
    assert alone.done.returncode == 0, alone.done.stdout + alone.done.stderr
    return alone


def test_an_image_alone_leaves_a_complete_result(alone: Alone, name: str) -> None:
    result = alone.result
    assert (result["status"], result["job"]["experiment"]) == ("ok", EXPERIMENTS[name])
    assert result["metrics"]["docs"] == 2
    assert result["quality"]["rouge1_f1"] > 0
    [documents] = alone.results.glob("*/*/documents.jsonl")
    assert len(read_documents(documents)) == 2


def test_an_image_alone_prints_its_row_and_where_its_results_lie(alone: Alone, name: str) -> None:
    *_, row, place = alone.done.stdout.splitlines()
    assert EXPERIMENTS[name] in alone.done.stdout
    assert place.startswith("results: /results/"), row


def test_a_result_of_an_image_alone_says_what_it_ran_in(alone: Alone, name: str) -> None:
    job = alone.result["job"]
    assert (job["image"], job["variant"], job["launcher"]) == (name, "cpu", "docker")


def test_all_that_an_image_writes_belongs_to_its_user(alone: Alone) -> None:
    written = list(alone.results.rglob("*"))
    assert written
    assert {(path.stat().st_uid, path.stat().st_gid) for path in written} == {(UID, UID)}


def test_an_images_self_check_holds(name: str, image: EnsureImage) -> None:
    done = docker_run(image(name), "--self-check")
    assert done.returncode == 0, done.stdout + done.stderr
    checked = {line.split()[1].rstrip(":") for line in done.stdout.splitlines() if line.startswith("ok")}
    assert {"python", EXPERIMENTS[name]} <= checked


def test_an_images_help_names_its_experiments_and_no_others(name: str, image: EnsureImage) -> None:
    done = docker_run(image(name), "--help")
    assert done.returncode == 0, done.stderr
    [listed] = [line.split(": ", 1)[1] for line in done.stdout.splitlines() if "run it: " in line][:1]
    own = [item.name for item in CATALOG.experiments.values() if item.image == name]
    assert listed.split(",")[0] == own[0]


def test_an_image_without_a_folder_to_write_to_names_the_mend(image: EnsureImage, data: Path, cache: Path) -> None:
    done = docker_run(
        *("-v", f"{data}:/data:ro", "-v", f"{cache}:/cache:ro"),
        *(image("reference"), "--experiment", "lead-3", "--gpu", "cpu", "--dataset", "sample", "--docs", "2"),
    )
    assert done.returncode == 2
    assert '-v "$PWD/results:/results"' in done.stderr
