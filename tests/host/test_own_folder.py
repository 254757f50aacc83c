"""--model with a folder: its entry, its name that changes with it, and its files laid into the cache."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.catalog import Catalog
from pipeline.errors import BenchmarkError, UsageError
from pipeline.host.arguments import Arguments, parse
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.own.adopt import adopt, lay_out_folders
from pipeline.own_models import FILE, laid_out, with_own_models
from pipeline.worker import entrypoint
from pipeline.worker.arguments import parse as parse_worker
from pipeline.worker.prepare import prepare
from pipeline.worker.synthetic import checkpoint, llama
from tests.machines import CATALOG


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole model of four layers' width, as transformers saves it."""
    path = tmp_path / "My model (v2)"
    path.mkdir()
    checkpoint.write(path)
    (path / "pytorch_model.bin").write_bytes(b"a pickle")
    return path


def adopted(cache: Path, *models: object, action: str = "--prepare") -> tuple[Arguments, Catalog]:
    named = [word for model in models for word in ("--model", str(model))]
    arguments = parse([action, "--all", "--gpu", "cpu", *named, "--cache", str(cache)], CATALOG, LAUNCHERS)
    return adopt(arguments, CATALOG)


def test_a_folder_becomes_an_entry_named_after_it(folder: Path, tmp_path: Path) -> None:
    arguments, catalog = adopted(tmp_path / "cache", folder, "gemma-3-270m")
    own, known = arguments.models
    assert own.startswith("My-model-v2--") and known == "gemma-3-270m"
    model = catalog.models[own]
    assert model.parameters == llama.PARAMETERS
    assert model.output_parameters == llama.VOCABULARY_SIZE * llama.HIDDEN
    assert (model.context_length, model.eos_ids) == (llama.CONTEXT_LENGTH, (llama.EOS_ID,))


def test_what_can_be_made_of_any_model_can_be_made_of_it(folder: Path, tmp_path: Path) -> None:
    arguments, catalog = adopted(tmp_path / "cache", folder)
    assert set(catalog.models[arguments.models[0]].weights) == {"hf", *CATALOG.formats}


def test_the_same_folder_has_the_same_name_and_a_changed_one_another(folder: Path, tmp_path: Path) -> None:
    [first], [again] = (adopted(tmp_path / "cache", folder)[0].models for _ in range(2))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "rope_theta": 500.0}))
    [changed] = adopted(tmp_path / "cache", folder)[0].models
    assert first == again != changed


def test_the_cache_records_it_for_the_images_and_for_its_name_alone(folder: Path, tmp_path: Path) -> None:
    arguments, catalog = adopted(tmp_path / "cache", folder)
    [name] = arguments.models
    assert with_own_models(CATALOG, tmp_path / "cache").models[name] == catalog.models[name]
    assert adopted(tmp_path / "cache", name)[0].models == (name,)


@pytest.mark.parametrize("action", ["--plan", "--doctor"])
def test_looking_ahead_leaves_no_trace(folder: Path, tmp_path: Path, action: str) -> None:
    assert adopted(tmp_path / "cache", folder, action=action)[0].models
    assert not (tmp_path / "cache").exists()


def test_its_files_are_laid_into_the_cache_without_pickles_and_prepared_there(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    arguments, catalog = adopted(cache, folder)
    [name] = arguments.models
    lay_out_folders([catalog.models[name]], cache)
    weights = prepare(catalog, name, "hf", cache, tmp_path)
    files = {path.name for path in (cache / weights.path).iterdir()}
    assert "model.safetensors" in files and "pytorch_model.bin" not in files
    assert weights.revision == catalog.models[name].weights["hf"].revision
    assert prepare(catalog, name, "hf", cache, tmp_path) == weights


def test_on_one_file_system_the_weights_take_no_room_twice(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    arguments, catalog = adopted(cache, folder)
    lay_out_folders([catalog.models[arguments.models[0]]], cache)
    prepared = cache / prepare(catalog, arguments.models[0], "hf", cache, tmp_path).path
    assert (folder / "model.safetensors").stat().st_ino == (prepared / "model.safetensors").stat().st_ino


def test_a_file_that_only_its_owner_may_read_is_copied_and_keeps_its_rights(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (folder / "model.safetensors").chmod(0o600)
    arguments, catalog = adopted(cache, folder)
    lay_out_folders([catalog.models[arguments.models[0]]], cache)
    prepared = cache / prepare(catalog, arguments.models[0], "hf", cache, tmp_path).path
    assert (folder / "model.safetensors").stat().st_mode & 0o777 == 0o600
    assert (prepared / "model.safetensors").stat().st_mode & 0o777 == 0o644


def test_where_links_can_not_be_made_files_are_copied(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    cache = tmp_path / "cache"
    arguments, catalog = adopted(cache, folder)
    lay_out_folders([catalog.models[arguments.models[0]]], cache)
    laid = laid_out(cache, arguments.models[0]) / "model.safetensors"
    assert laid.read_bytes() == (folder / "model.safetensors").read_bytes()
    assert laid.stat().st_ino != (folder / "model.safetensors").stat().st_ino


def test_a_folder_that_changed_since_it_was_described_is_not_laid_out(folder: Path, tmp_path: Path) -> None:
    arguments, catalog = adopted(tmp_path / "cache", folder)
    (folder / "config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"changed since My-model-v2--.* was made of it, or gone"):
        lay_out_folders([catalog.models[arguments.models[0]]], tmp_path / "cache")


def test_what_is_laid_out_outlives_the_folder(folder: Path, tmp_path: Path) -> None:
    arguments, catalog = adopted(tmp_path / "cache", folder)
    model = catalog.models[arguments.models[0]]
    lay_out_folders([model], tmp_path / "cache")
    shutil.rmtree(folder)
    lay_out_folders([model], tmp_path / "cache")
    assert prepare(catalog, model.name, "hf", tmp_path / "cache", tmp_path).kind == "real"


def test_without_the_files_the_image_says_who_lays_them_there(folder: Path, tmp_path: Path) -> None:
    arguments, catalog = adopted(tmp_path / "cache", folder)
    with pytest.raises(BenchmarkError, match="name its folder with --model of the orchestrator again"):
        prepare(catalog, arguments.models[0], "hf", tmp_path / "cache", tmp_path)


def test_an_image_prepares_it_by_its_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    arguments, catalog = adopted(cache, folder)
    [name] = arguments.models
    lay_out_folders([catalog.models[name]], cache)
    for setting in ("end_on_sigterm", "end_with_parent", "ask_nobody"):
        monkeypatch.setattr(entrypoint, setting, lambda: None)
    assert entrypoint.main(["--prepare", name, "--format", "hf", "--cache", str(cache), "--data", str(tmp_path)]) == 0
    assert f"{name} hf:" in capfd.readouterr().out


def test_an_image_alone_runs_one_model_at_a_time() -> None:
    given = ["--experiment", "none", "--model", "gemma-3-270m", "--model", "llama-2-7b-chat"]
    with pytest.raises(UsageError, match="--model llama-2-7b-chat: an image alone runs one model at a time"):
        parse_worker(given, CATALOG, None)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), r"no \*\.safetensors in it"),
        (lambda folder: (folder / "config.json").unlink(), r"has no config\.json"),
        (lambda folder: (folder / "config.json").write_text("[]"), r"config\.json: expected fields"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 100), "no whole safetensors file"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), r"tokenizer\.json: not valid JSON"),
    ],
    ids=["no weights", "no configuration", "a list", "damaged weights", "damaged tokenizer"],
)
def test_a_folder_that_is_no_model_is_refused_with_what_it_lacks(folder: Path, tmp_path: Path, spoil, said) -> None:  # type: ignore[no-untyped-def]
    spoil(folder)
    with pytest.raises(UsageError, match=said):
        adopted(tmp_path / "cache", folder)


@pytest.mark.parametrize("given", ["./absent", "/absent/model", "~/absent", "absent/model.gguf"])
def test_a_path_that_is_not_there_is_not_taken_for_a_repository(tmp_path: Path, given: str) -> None:
    with pytest.raises(UsageError, match=r"there is no such folder, and no \.gguf file"):
        adopted(tmp_path / "cache", given)


def test_a_word_that_is_neither_is_answered_with_the_nearest_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown model 'lama-2-7b-chat'; did you mean llama-2-7b-chat"):
        adopted(tmp_path / "cache", "lama-2-7b-chat")


@pytest.mark.parametrize("given", ["org/na me", "org/a/b", "org/name@../x"])
def test_what_can_be_no_repository_is_refused_before_anything_is_asked(tmp_path: Path, given: str) -> None:
    with pytest.raises(UsageError, match="can't be used"):
        adopted(tmp_path / "cache", given)


def test_a_damaged_record_is_named(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    adopted(cache, folder)
    content = json.loads((cache / FILE).read_text())
    [entry] = content.values()
    entry["model"]["parameters"] = "many"
    (cache / FILE).write_text(json.dumps(content))
    with pytest.raises(UsageError, match=rf"{FILE}: My-model-v2--.*parameters: expected int"):
        with_own_models(CATALOG, cache)


def test_a_recorded_model_never_takes_the_place_of_a_listed_one(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    adopted(cache, folder)
    content = json.loads((cache / FILE).read_text())
    (cache / FILE).write_text(json.dumps({"gemma-3-270m": next(iter(content.values()))}))
    assert with_own_models(CATALOG, cache).models == replace(CATALOG).models
