"""The publishing workflow builds, checks and lists every image; both workflows can do no more than they need to."""

import json
import re
from typing import Any

import pytest
import yaml

from images.matrix import main
from pipeline.catalog import load_catalog
from pipeline.host.docker.build import BuildOptions, build_options
from pipeline.host.docker.images import build_arguments, content, reference
from pipeline.host.docker.labels import project_version
from tests.conftest import REPOSITORY

CATALOG = load_catalog()
BUILT = [
    (image, variant) for image in CATALOG.images.values() for variant in image.variants if variant.base is not None
]
COMMIT = re.compile(r"[\w./-]+@[0-9a-f]{40}")
WORKFLOWS = {path.stem: path for path in sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))}
JOBS = [(workflow, job) for workflow, path in WORKFLOWS.items() for job in yaml.safe_load(path.read_text())["jobs"]]

every_job = pytest.mark.parametrize(("workflow", "name"), JOBS, ids=lambda value: str(value))


def read(workflow: str) -> dict[str, Any]:
    content_: dict[str, Any] = yaml.safe_load(WORKFLOWS[workflow].read_text(encoding="utf-8"))
    return content_


def steps(workflow: str, job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read(workflow)["jobs"][job]["steps"]
    return found


def using(action: str) -> list[dict[str, Any]]:
    """The steps of the build job that use an action."""
    return [step for step in steps("publish", "build") if step.get("uses", "").startswith(f"{action}@")]


@pytest.fixture
def matrix(capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """The entries of the matrix of a release by image and variant, as the workflow gets them."""
    release = f"v{project_version()}"
    assert main(["--registry", "ghcr.io/Some-One", "--revision", "c0ffee", "--release", release]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1  # GITHUB_OUTPUT takes one line
    entries = json.loads(printed)["include"]
    by_name = {(entry["image"], entry["variant"]): entry for entry in entries}
    assert len(by_name) == len(entries)
    return by_name


Matrix = dict[tuple[str, str], dict[str, Any]]


def test_the_matrix_has_every_image_and_variant_that_has_a_base(matrix: Matrix) -> None:
    assert set(matrix) == {(image.name, variant.name) for image, variant in BUILT}


def test_a_published_image_is_built_with_the_arguments_and_labels_of_one_built_by_hand(
    matrix: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    for image, variant in BUILT:
        entry = matrix[image.name, variant.name]
        by_hand = build_options(image, variant, BuildOptions(), "c0ffee")
        given = set(entry["build_arguments"].splitlines())
        assert given == {f"{key}={value}" for key, value in build_arguments(image, variant).items()} | {
            "REVISION=c0ffee"
        }
        assert given | set(entry["labels"].splitlines()) <= set(by_hand)


def test_a_published_image_is_named_by_its_content_and_by_the_version_in_lower_case(matrix: Matrix) -> None:
    for image, variant in BUILT:
        by_content, by_version = matrix[image.name, variant.name]["tags"].splitlines()
        assert by_content == reference(image, variant, "ghcr.io/some-one")
        assert by_version == f"{by_content.rpartition(':')[0]}:{variant.name}-{project_version()}"


def test_nothing_in_the_matrix_needs_quoting(matrix: Matrix) -> None:
    # the build action reads each line of a list as CSV
    assert [entry["image"] for entry in matrix.values() if '"' in entry["build_arguments"] + entry["labels"]] == []


def test_a_tag_of_another_version_publishes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--registry", "ghcr.io/someone", "--release", "v0.0.0"]) == 1
    assert "v0.0.0 is not" in capsys.readouterr().err


def test_labels_name_the_repository_where_github_builds_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def labelled() -> list[str]:
        options = build_options(*BUILT[0], BuildOptions(), None)
        return [word for word in options if word.startswith("org.opencontainers.image.source=")]

    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    assert labelled() == []
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.example")
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/benchmark")
    assert labelled() == ["org.opencontainers.image.source=https://github.example/someone/benchmark"]


def test_labels_hold_content_version_and_base() -> None:
    image, variant = BUILT[0]
    options = build_options(image, variant, BuildOptions(), None)
    assert {
        f"summarisation-benchmark.content={content(image, variant)}",
        f"org.opencontainers.image.version={project_version()}",
        f"org.opencontainers.image.base.name={variant.base}",
    } <= set(options)


def test_every_cpu_variant_is_self_checked_before_it_is_pushed(matrix: Matrix) -> None:
    checked = {key for key, entry in matrix.items() if entry["self_check"]}
    assert checked == {(image.name, variant.name) for image, variant in BUILT if variant.device == "cpu"}
    build = steps("publish", "build")
    runs = [step for step in build if "--self-check" in step.get("run", "")]
    [check] = runs
    assert check["if"] == "${{ matrix.self_check }}"
    assert "--network none" in check["run"]
    [push] = [step for step in build if step.get("with", {}).get("push")]
    assert build.index(check) < build.index(push)


def test_what_is_pushed_is_what_was_checked_with_sbom_and_provenance() -> None:
    checked, pushed = (step["with"] for step in using("docker/build-push-action"))
    assert checked["load"] and not checked.get("push")
    assert (pushed["push"], pushed["sbom"], pushed["provenance"]) == (True, True, "mode=max")
    for name in ("context", "file", "labels"):
        assert checked[name] == pushed[name]
    assert checked["build-args"] == pushed["build-args"].splitlines()[0]


def test_the_workflow_uses_every_field_of_the_matrix(matrix: Matrix) -> None:
    text = WORKFLOWS["publish"].read_text(encoding="utf-8")
    used = set(re.findall(r"matrix\.(\w+)", text)) - {"result", "outputs"}
    given = {name for entry in matrix.values() for name in entry}
    assert used - {"matrix"} == given


def test_the_test_workflow_runs_what_continuous_integration_runs() -> None:
    workflow = read("test")
    assert {"push", "pull_request"} <= set(workflow[True])  # YAML 1.1 reads `on` as true
    assert [step["run"] for step in steps("test", "test") if "run" in step][-1] == ".ci/run"


@every_job
def test_a_job_has_its_own_permissions_and_a_timeout(workflow: str, name: str) -> None:
    assert read(workflow)["permissions"] == {}
    job = read(workflow)["jobs"][name]
    assert job["permissions"] and job["timeout-minutes"] <= 360


def test_only_the_jobs_that_push_may_write() -> None:
    writing = {
        (name, scope)
        for workflow, name in JOBS
        for scope, right in read(workflow)["jobs"][name]["permissions"].items()
        if right != "read"
    }
    assert writing == {("build", "packages"), ("digests", "contents"), ("digests", "pull-requests")}


@every_job
def test_every_action_is_pinned_by_its_commit(workflow: str, name: str) -> None:
    used = [step["uses"] for step in steps(workflow, name) if "uses" in step]
    assert used and [action for action in used if not COMMIT.fullmatch(action)] == []


def test_one_action_is_pinned_to_one_commit_everywhere() -> None:
    used = {step["uses"] for workflow, job in JOBS for step in steps(workflow, job) if "uses" in step}
    assert len({action.partition("@")[0] for action in used}) == len(used)
