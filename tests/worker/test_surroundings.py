"""What a worker runs in, as its environment says, and the variables that come of it."""

import os
from pathlib import Path

import pytest

from pipeline.catalog import load_catalog
from pipeline.errors import UsageError
from pipeline.worker.surroundings import Surroundings, enter, host_facts, read_surroundings, require_surroundings

VLLM = {"BENCHMARK_IMAGE": "vllm", "BENCHMARK_VARIANT": "cpu", "BENCHMARK_LAUNCHER": "docker"}


def surroundings(**more: str) -> Surroundings:
    return require_surroundings(read_surroundings({**VLLM, **more})[1])


def test_the_environment_names_image_variant_and_launcher() -> None:
    here = surroundings()
    assert (here.image.name, here.variant.name, here.launcher) == ("vllm", "cpu", "docker")


def test_the_interpreter_at_hand_is_a_variant_of_every_image() -> None:
    here = surroundings(BENCHMARK_VARIANT="current-cuda")
    assert (here.image.name, here.variant.name, here.variant.device, here.variant.lock) == (
        "vllm",
        "current-cuda",
        "cuda",
        None,
    )


def test_an_image_knows_its_own_experiments_and_no_other_image() -> None:
    catalog, here = read_surroundings(dict(VLLM))
    assert set(catalog.images) == {"vllm"}
    own = [experiment.name for experiment in require_surroundings(here).experiments(catalog)]
    on_gpus = ["vllm-fp8", "vllm-fp8-kv8", "vllm-fp8-kv8-sqa"]
    assert own == [
        "vllm",
        "vllm-tp2",
        "vllm-awq",
        "vllm-autoawq",
        "vllm-w4a16",
        *on_gpus,
        "vllm-ngram",
        "vllm-awq-serial",
    ]


@pytest.mark.parametrize(
    ("image", "converters"), [("autoawq", ["autoawq"]), ("llm-compressor", ["llm_compressor"]), ("vllm", [])]
)
def test_an_image_knows_the_converters_that_are_its_own(image: str, converters: list[str]) -> None:
    catalog, here = read_surroundings({**VLLM, "BENCHMARK_IMAGE": image})
    assert require_surroundings(here).converters(catalog) == converters


def test_what_the_image_and_its_variant_declare_is_set_with_its_folders_filled_in(tmp_path: Path) -> None:
    environment = {"VLLM_CPU_KVCACHE_SPACE": "40"}
    enter(surroundings(BENCHMARK_COMPILE_CACHE=str(tmp_path)), network=False, environment=environment)
    assert environment["VLLM_CACHE_ROOT"] == f"{tmp_path}/vllm"
    assert environment["VLLM_NO_USAGE_STATS"] == "1"
    assert environment["VLLM_CPU_KVCACHE_SPACE"] == "2"  # part of the job's key, so nothing else may take its place


def test_only_preparing_may_ask_the_hub() -> None:
    offline: dict[str, str] = {}
    enter(None, network=False, environment=offline)
    online: dict[str, str] = {}
    enter(None, network=True, environment=online)
    assert (offline, online) == ({"HF_HUB_OFFLINE": "1"}, {})


def test_kernels_are_compiled_into_the_users_own_folder_unless_told_otherwise(tmp_path: Path) -> None:
    assert surroundings(BENCHMARK_COMPILE_CACHE=str(tmp_path)).compile_cache == tmp_path
    own = surroundings(BENCHMARK_COMPILE_CACHE="", HOME=str(tmp_path)).compile_cache
    assert own.is_relative_to(tmp_path / ".cache")


def test_an_image_run_alone_keeps_the_kernels_of_each_processor_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for name in ("One Processor", "Another"):
        monkeypatch.setattr("pipeline.worker.surroundings.cpu_name", lambda name=name: name)
        found.append(surroundings(HOME=str(tmp_path)).compile_cache.name)
    assert found == ["vllm-cpu-one-processor", "vllm-cpu-another"]


CACHES = ("_CACHE_DIR", "CUDA_CACHE_PATH", "_KERNEL_CACHE_PATH", "_CACHE_ROOT", "_WORKSPACE_BASE")


@pytest.mark.parametrize("image", ["transformers", "flash-attn", "flash-attn-4", "vllm"])
def test_what_an_engine_compiles_is_kept_in_the_folder_that_outlives_the_job(image: str, tmp_path: Path) -> None:
    variant = load_catalog().images[image].variants[-1].name
    given = {"BENCHMARK_IMAGE": image, "BENCHMARK_VARIANT": variant, "BENCHMARK_COMPILE_CACHE": str(tmp_path)}
    declared = surroundings(**given).variables()
    folders = {name: Path(value) for name, value in declared.items() if name.endswith(CACHES)}
    assert {"CUDA_CACHE_PATH", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"} <= folders.keys()
    assert all(folder.parent == tmp_path for folder in folders.values())
    assert len(set(folders.values())) == len(folders)


def test_without_a_home_kernels_are_compiled_where_nobody_else_can_have_put_any() -> None:
    cache = surroundings(BENCHMARK_COMPILE_CACHE="").compile_cache
    assert cache != surroundings(BENCHMARK_COMPILE_CACHE="").compile_cache
    private = cache.parents[2]
    assert private.stat().st_mode & 0o777 == 0o700
    private.rmdir()


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [("BENCHMARK_IMAGE", "vlm", r"there is no .*vlm/image\.yaml"), ("BENCHMARK_VARIANT", "cu13", "did you mean cu130")],
)
def test_an_image_or_variant_that_is_not_there_is_named(name: str, value: str, fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        surroundings(**{name: value})


def test_a_process_that_is_told_nothing_is_in_no_image() -> None:
    catalog, here = read_surroundings({})
    assert here is None and len(catalog.images) > 1
    with pytest.raises(UsageError, match="BENCHMARK_IMAGE and BENCHMARK_VARIANT don't say which image this is"):
        require_surroundings(here)


def test_what_the_image_was_built_with_is_recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCHMARK_GIT_COMMIT", "abc")
    monkeypatch.setenv("BENCHMARK_IMAGE_DIGEST", "")
    facts = host_facts(surroundings(BENCHMARK_COMPILE_CACHE=str(tmp_path)))
    assert (facts.git_commit, facts.image_digest, facts.compile_cache) == ("abc", None, "cold")
    assert facts.os and os.uname().release.partition("-")[0] in facts.os


def test_compiled_kernels_make_the_cache_warm(tmp_path: Path) -> None:
    (tmp_path / "vllm").mkdir()
    assert host_facts(surroundings(BENCHMARK_COMPILE_CACHE=str(tmp_path))).compile_cache == "warm"
