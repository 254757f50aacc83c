"""How a lock is installed, and how an environment is found."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline.catalog import load_catalog
from pipeline.host.environments import find_python, install_steps, process_environment
from pipeline.spec import Variant

LOCK = """\
# compiled from cpu.in
numpy==2.4.6 \\
    --hash=sha256:aa
    # via torch
torch==2.13.0+cpu \\
    --hash=sha256:bb
flash-attn==2.8.3 \\
    --hash=sha256:cc
pyyaml==6.0.3 \\
    --hash=sha256:dd
"""


def variant(index: str | None = "https://index.example", build: tuple[str, ...] = ()) -> Variant:
    return Variant("cpu", "cpu", "3.11", "cpu.lock", index, build_packages=build)


def test_versions_of_the_vendor_come_first_and_ask_its_index_last() -> None:
    first = install_steps(LOCK, variant())[0]
    assert first.requirements == "torch==2.13.0+cpu \\\n    --hash=sha256:bb\n"
    assert first.attempts == ((), ("--index-url", "https://index.example"))


def test_everything_else_asks_the_default_index_alone() -> None:
    second = install_steps(LOCK, variant())[1]
    assert "numpy==2.4.6" in second.requirements
    assert "torch" not in second.requirements.replace("# via torch", "")
    assert second.attempts == ((),)


def test_packages_without_wheels_are_built_last_against_the_others() -> None:
    last = install_steps(LOCK, variant(build=("flash-attn",)))[-1]
    assert last.requirements.startswith("flash-attn==2.8.3")
    assert last.attempts == (("--no-build-isolation",),)


@pytest.mark.parametrize("image", load_catalog().images.values(), ids=lambda image: image.name)
def test_no_requirement_of_a_shipped_lock_is_lost(image: object) -> None:
    for item in image.variants:  # type: ignore[attr-defined]
        lock = Path(f"images/{image.name}/{item.lock}").read_text(encoding="utf-8")  # type: ignore[attr-defined]
        steps = "".join(step.requirements for step in install_steps(lock, item))
        assert steps.count("==") == lock.count("==")


def test_this_interpreter_is_found_for_its_own_version() -> None:
    assert find_python("{}.{}".format(*sys.version_info[:2])) == sys.executable


def test_a_python_that_is_nowhere_is_not_found() -> None:
    assert find_python("3.1") is None


def test_a_shim_without_an_interpreter_behind_it_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = tmp_path / "python3.99"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_python("3.99") is None


def variables(cache: Path, *, network: bool = False) -> Mapping[str, str]:
    image = load_catalog().images["vllm"]
    return process_environment(cache, image, image.variants[0], network=network)


def test_jobs_see_no_hub_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("HF_TOKEN_PATH", "/secret")
    assert not {"HF_TOKEN", "HF_TOKEN_PATH"} & variables(tmp_path).keys()


def test_the_prepare_step_sees_the_hub_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert variables(tmp_path, network=True)["HF_TOKEN"] == "secret"


def test_a_worker_is_told_what_it_runs_in_as_in_a_container(tmp_path: Path) -> None:
    given = variables(tmp_path)
    told = [given[f"BENCHMARK_{name}"] for name in ("IMAGE", "VARIANT", "LAUNCHER")]
    assert told == ["vllm", "cpu", "process"]
    assert Path(given["BENCHMARK_COMPILE_CACHE"]).is_relative_to(tmp_path / "compile")


def test_what_an_image_declares_is_left_to_its_worker(tmp_path: Path) -> None:
    assert not [name for name in variables(tmp_path) if name.startswith("VLLM_")]
