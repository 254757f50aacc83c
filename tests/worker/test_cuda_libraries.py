"""CUDA's libraries in NVIDIA's packages are loaded before the engine that is linked with them."""

import sysconfig
from pathlib import Path

import pytest

from pipeline.worker.cuda_libraries import import_with_cuda, installed_libraries


def installed(packages: Path, *names: str) -> list[str]:
    """What is found where NVIDIA's packages brought these files, relative to site-packages."""
    for name in names:
        path = packages / "nvidia" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return [str(path.relative_to(packages / "nvidia")) for path in installed_libraries(packages)]


def test_libraries_for_cuda_13_are_found_each_before_those_that_need_it(tmp_path: Path) -> None:
    files = ["cu13/lib/libcublas.so.13", "cu13/lib/libcublasLt.so.13", "cu13/lib/libcudart.so.13"]
    assert installed(tmp_path, *files, "cu13/lib/libnvblas.so.13", "cu13/include/cublas.h") == [
        "cu13/lib/libcudart.so.13", "cu13/lib/libcublasLt.so.13", "cu13/lib/libcublas.so.13",
    ]  # fmt: skip


def test_libraries_for_cuda_12_are_found_in_their_packages_own_folders(tmp_path: Path) -> None:
    files = ["cublas/lib/libcublas.so.12", "cublas/lib/libcublasLt.so.12", "cuda_runtime/lib/libcudart.so.12"]
    assert installed(tmp_path, *files) == [
        "cuda_runtime/lib/libcudart.so.12", "cublas/lib/libcublasLt.so.12", "cublas/lib/libcublas.so.12",
    ]  # fmt: skip


def test_without_nvidias_packages_nothing_is_loaded(tmp_path: Path) -> None:
    assert installed(tmp_path) == []


def test_the_engine_is_imported_after_the_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, "cu13/lib/libcudart.so.13")
    (tmp_path / "linked_engine.py").write_text("VERSION = 1\n")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    loaded: list[str] = []

    def load(path: str) -> None:
        loaded.append(path)
        monkeypatch.syspath_prepend(str(tmp_path))  # importable from now on

    assert import_with_cuda("linked_engine", load).VERSION == 1
    assert loaded == [str(tmp_path / "nvidia/cu13/lib/libcudart.so.13")]
