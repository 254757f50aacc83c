"""How an environment is found, and what its processes are told."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline import jobs
from pipeline.catalog import load_catalog
from pipeline.current import in_environment
from pipeline.host.environments import (
    compile_cache_folder,
    find_python,
    is_ready,
    process_environment,
    python_of,
)
from pipeline.host.launchers.process import ProcessLauncher


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


def variables_at_hand(cache: Path, *, network: bool = False) -> Mapping[str, str]:
    image = in_environment(load_catalog(), "current").images["vllm"]
    return process_environment(cache, image, image.variants[0], network=network)


def test_the_interpreter_at_hand_is_ready_and_is_this_one(tmp_path: Path) -> None:
    image = in_environment(load_catalog(), "current").images["vllm"]
    assert is_ready(tmp_path, image, image.variants[0])
    assert python_of(tmp_path, image, image.variants[0]) == Path(sys.executable)


def test_the_interpreter_at_hand_finds_what_this_one_finds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also where PYTHONPATH is relative and the process starts in another folder, and the programs of packages."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "packages" / "bin").mkdir(parents=True)
    (tmp_path / "packages" / "found.py").write_text("")
    program = tmp_path / "packages" / "bin" / "found-program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", f"packages{os.pathsep}")
    monkeypatch.setenv("VIRTUAL_ENV", "/some/environment")
    monkeypatch.delenv("PYTHONNOUSERSITE", raising=False)
    given = variables_at_hand(tmp_path)
    assert given["VIRTUAL_ENV"] == "/some/environment"
    assert "PYTHONNOUSERSITE" not in given
    code = "import found, shutil; print(found.__file__, shutil.which('found-program'))"
    done = subprocess.run([sys.executable, "-c", code], env=given, cwd="/", capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tmp_path / "packages" / "found.py"), str(program)]


def test_programs_of_the_interpreter_at_hand_come_first(tmp_path: Path) -> None:
    first, _, rest = variables_at_hand(tmp_path)["PATH"].partition(os.pathsep)
    assert first == str(Path(sys.executable).parent)
    assert rest.endswith(os.environ["PATH"])


def test_jobs_in_the_interpreter_at_hand_see_no_hub_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert "HF_TOKEN" not in variables_at_hand(tmp_path)
    assert variables_at_hand(tmp_path, network=True)["HF_TOKEN"] == "secret"


def test_kernels_compiled_in_the_interpreter_at_hand_are_kept_by_what_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def folder() -> str:
        return variables_at_hand(tmp_path)["BENCHMARK_COMPILE_CACHE"]

    before = folder()
    assert Path(before).is_relative_to(tmp_path / "compile")
    monkeypatch.setattr(jobs, "packages_sha256", lambda: "0" * 64)
    assert folder() != before


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


def kernels_of(cache: Path, variant_name: str, gpu: str | None) -> Path:
    image = load_catalog().images["vllm"]
    [variant] = [variant for variant in image.variants if variant.name == variant_name]
    return compile_cache_folder(cache, image, variant, gpu)


def test_kernels_of_two_gpus_are_kept_apart_and_of_one_together(tmp_path: Path) -> None:
    names = ["NVIDIA H200", "NVIDIA A100-SXM4-40GB", "NVIDIA H200"]
    first, other, again = [kernels_of(tmp_path, "cu130", name) for name in names]
    assert first.name.endswith("-nvidia-h200")
    assert first != other and first == again


def test_kernels_for_a_cpu_go_by_the_processor_whatever_gpu_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.host.environments.cpu_name", lambda: "AMD EPYC 7B13 64-Core Processor")
    found = kernels_of(tmp_path, "cpu", "NVIDIA H200")
    assert found == kernels_of(tmp_path, "cpu", None)
    assert found.name.endswith("-amd-epyc-7b13-64-core-processor")


def test_kernels_of_another_gpu_leave_the_cache_cold(tmp_path: Path) -> None:
    (kernels_of(tmp_path, "cu130", "NVIDIA H200") / "triton").mkdir(parents=True)
    image = load_catalog().images["vllm"]
    [variant] = [variant for variant in image.variants if variant.name == "cu130"]
    states = [
        ProcessLauncher(tmp_path, tmp_path, tmp_path, gpu_name=name).compile_cache(image, variant)
        for name in ("NVIDIA H200", "NVIDIA A100-SXM4-40GB")
    ]
    assert states == ["warm", "cold"]
