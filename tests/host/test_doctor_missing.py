"""What experiments lack, and where it will lie."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.datasets import NotPrepared
from pipeline.host.doctor.hub import Repository
from pipeline.host.doctor.missing import find_missing, prepared_bytes, repositories_to_fetch
from pipeline.host.launchers.process import ProcessLauncher
from pipeline.host.session import Session
from pipeline.spec import JobWeights
from pipeline.weights import source_sha256, weights_folder, write_manifest
from tests.machines import CATALOG, CPU, LLAMA, make_session

GEMMA = CATALOG.models["gemma-3-270m"]


def over(cache: Path, *experiments: str, model: Any = GEMMA) -> Session:
    """A session of processes over that cache."""
    session = make_session(CPU, *experiments, model=model, launcher="process")
    launcher = ProcessLauncher(Path("data"), cache, Path("results"))
    return replace(session, launcher=launcher, arguments=replace(session.arguments, cache=cache))


def test_an_empty_cache_lacks_the_environment_and_all_that_weights_are_made_from(tmp_path: Path) -> None:
    [needs] = find_missing(over(tmp_path, "vllm-awq"), None).values()
    assert [need.what for need in needs] == [
        "environment vllm (cpu)",
        "gguf weights of gemma-3-270m",
        "environment transformers (cpu)",
        "hf weights of gemma-3-270m",
        "environment transformers (cpu)",
        "awq weights of gemma-3-270m",
        "environment transformers (cpu)",
    ]
    assert {need.place for need in needs} == {"cache"}
    sizes = {need.what: need.size_bytes for need in needs}
    assert sizes["environment vllm (cpu)"] == 3_800_000_000
    assert sizes["hf weights of gemma-3-270m"] == 2 * GEMMA.parameters


def test_an_image_lies_with_the_engine_and_its_weights_in_the_cache(tmp_path: Path) -> None:
    session = over(tmp_path, "none")
    containers = replace(session, launcher=replace(session.launcher, name="docker"))  # type: ignore[type-var]
    [needs] = find_missing(containers, None).values()
    assert (needs[0].what, needs[0].place) == ("image transformers (cpu)", "Docker's images")
    assert needs[1].place == "cache"


def test_a_dataset_that_has_to_be_fetched_is_needed_by_all(tmp_path: Path) -> None:
    session = over(tmp_path, "lead-3", "none")
    session = replace(session, choices=replace(session.choices, dataset="wikilingua"))
    for needs in find_missing(session, NotPrepared("wikilingua", "not fetched yet", "")).values():
        assert [(need.place, need.size_bytes) for need in needs[:2]] == [("cache", 187_000_000), ("data", 187_000_000)]


def test_what_is_prepared_is_not_missing_and_its_size_is_known(tmp_path: Path) -> None:
    folder = weights_folder(tmp_path, GEMMA.name, "gguf")
    folder.mkdir(parents=True)
    path = GEMMA.weights["gguf"].path
    assert path is not None
    (folder / path).write_bytes(b"GGUF")
    weights = JobWeights("gguf", f"models/{GEMMA.name}/gguf/{path}", "real", "1.0.0", "0" * 64)
    write_manifest(folder, weights, source_sha256(CATALOG, GEMMA.name, "gguf"))
    session = over(tmp_path, "gguf-q4")
    [needs] = find_missing(session, None).values()
    assert [need.what for need in needs] == ["environment llama-cpp (cpu)"]
    assert prepared_bytes(session) == {(GEMMA.name, "gguf"): 4}


def test_only_what_is_gated_and_has_to_be_fetched_is_asked_for(tmp_path: Path) -> None:
    session = over(tmp_path, "none", "vllm-awq", "gguf-q4", "vllm-w4a16", "lead-3", model=LLAMA)
    [found] = repositories_to_fetch(session)
    revision = LLAMA.weights["hf"].revision
    assert found == Repository("meta-llama/Llama-2-7b-chat-hf", revision, ("none", "vllm-w4a16"))
    assert repositories_to_fetch(over(tmp_path, "none")) == []
