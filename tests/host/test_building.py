"""What packages without wheels are built with, and that it makes another environment and another image."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.catalog import load_catalog
from pipeline.entries import Image
from pipeline.host.building import build_variables
from pipeline.host.docker.build import BuildOptions, build_options
from pipeline.host.docker.images import build_arguments, content
from pipeline.host.environments import environment_folder

IMAGE = load_catalog().images["flash-attn"]
VARIANT = IMAGE.variants[0]


def test_a_build_gets_what_the_image_declares() -> None:
    assert build_variables(IMAGE, VARIANT, {}) == IMAGE.build_environment


def test_the_users_own_value_replaces_a_declared_one_and_adds_none() -> None:
    found = build_variables(IMAGE, VARIANT, {"FLASH_ATTN_CUDA_ARCHS": "90", "SECRET": "x"})
    assert found == {**IMAGE.build_environment, "FLASH_ATTN_CUDA_ARCHS": "90"}


def test_a_variant_that_builds_nothing_gets_none() -> None:
    assert build_variables(IMAGE, replace(VARIANT, build_packages=()), {"FLASH_ATTN_CUDA_ARCHS": "90"}) == {}


def test_other_architectures_make_another_image_and_another_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(IMAGE, VARIANT), environment_folder(Path("cache"), IMAGE, VARIANT)
    monkeypatch.setenv("FLASH_ATTN_CUDA_ARCHS", "90")
    after = content(IMAGE, VARIANT), environment_folder(Path("cache"), IMAGE, VARIANT)
    assert before[0] != after[0]
    assert before[1] != after[1]
    assert "FLASH_ATTN_CUDA_ARCHS=90" in build_arguments(IMAGE, VARIANT)["BUILD_ENVIRONMENT"]


def test_how_many_compilers_run_at_once_makes_no_other_image(monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(IMAGE, VARIANT)
    monkeypatch.setenv("MAX_JOBS", "4")
    assert content(IMAGE, VARIANT) == before
    assert "MAX_JOBS" in build_options(IMAGE, VARIANT, BuildOptions(), None)


@pytest.mark.parametrize("image", load_catalog().images.values(), ids=lambda image: image.name)
def test_the_installer_reads_in_a_container_what_the_image_declares(image: Image) -> None:
    for variant in image.variants:
        words = shlex.split(build_arguments(image, variant).get("BUILD_ENVIRONMENT", ""))
        assert dict(word.split("=", 1) for word in words) == build_variables(image, variant)


def test_a_build_of_llama_cpp_has_all_that_fetches_switched_off() -> None:
    variables = load_catalog().images["llama-cpp"].build_environment
    fetching = ("LLAMA_BUILD_BORINGSSL", "LLAMA_LLGUIDANCE", "LLAMA_USE_PREBUILT_UI")
    assert {f"-D{option}=OFF" for option in fetching} <= set(variables["CMAKE_ARGS"].split())
    assert variables["GIT_ALLOW_PROTOCOL"] == "file"


def test_llama_cpp_is_built_for_the_architectures_that_its_variants_name() -> None:
    image = load_catalog().images["llama-cpp"]
    built = [int(word.removesuffix("-real")) / 10 for word in image.build_environment["CUDA_ARCHITECTURES"].split(";")]
    assert [list(variant.architectures) for variant in image.variants if variant.build_packages] == [built, built]
