"""Tuned presets: experiments in a file of the results folder."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.catalog import load_catalog
from pipeline.entries import Experiment
from pipeline.errors import UsageError
from pipeline.tuning.preset import PRESETS_FILE, add_preset, as_preset, preset_name, with_presets
from pipeline.tuning.space import changed, load_settings, space_for

CATALOG = load_catalog()


def make_preset(of: str = "vllm", gpu: str = "t4", model: str = "gemma-3-270m", batched: int = 8192) -> Experiment:
    original = CATALOG.experiments[of]
    space = space_for(original, load_settings()[original.backend], "cuda", "offline", real_weights=True)
    trial = changed(original, space, {"batched_tokens": batched, "chunked_prefill": False}, f"{of}-t3")
    return as_preset(trial, original, gpu, model, "tuned in a test")


def test_without_the_file_the_catalogue_is_as_it_was(tmp_path: Path) -> None:
    assert with_presets(CATALOG, tmp_path / "none") is CATALOG


def test_a_preset_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    preset = make_preset()
    assert add_preset(tmp_path, preset) == tmp_path / PRESETS_FILE
    assert with_presets(CATALOG, tmp_path).experiments[preset.name] == preset


@pytest.mark.parametrize("of", ["vllm", "vllm-awq", "vllm-autoawq", "vllm-fp8-kv8"])
def test_everything_else_of_the_experiment_survives_the_file(of: str, tmp_path: Path) -> None:
    preset = make_preset(of)
    add_preset(tmp_path, preset)
    read = with_presets(CATALOG, tmp_path).experiments[preset.name]
    assert (read.needs, read.memory, read.cpu_options) == (preset.needs, preset.memory, preset.cpu_options)


def test_a_preset_stands_behind_what_it_was_made_of(tmp_path: Path) -> None:
    add_preset(tmp_path, make_preset())
    names = list(with_presets(CATALOG, tmp_path).experiments)
    assert names[names.index("vllm") + 1] == "vllm-tuned-t4-gemma-3-270m"
    assert set(names) == {*CATALOG.experiments, "vllm-tuned-t4-gemma-3-270m"}


def test_presets_of_other_gpus_and_models_are_kept_and_an_earlier_one_of_the_name_is_replaced(tmp_path: Path) -> None:
    for preset in (make_preset(), make_preset(gpu="a100"), make_preset(batched=4096)):
        add_preset(tmp_path, preset)
    found = {name: entry for name, entry in with_presets(CATALOG, tmp_path).experiments.items() if entry.tuned}
    assert {name: entry.options["max_num_batched_tokens"] for name, entry in found.items()} == {
        "vllm-tuned-t4-gemma-3-270m": 4096,
        "vllm-tuned-a100-gemma-3-270m": 8192,
    }


def test_all_takes_a_preset_where_it_takes_the_experiment() -> None:
    assert not make_preset("vllm").by_name_only
    assert make_preset("vllm-autoawq").by_name_only


def test_a_preset_of_an_experiment_that_is_gone_still_stands(tmp_path: Path) -> None:
    add_preset(tmp_path, make_preset())
    rest = {name: item for name, item in CATALOG.experiments.items() if name != "vllm"}
    assert "vllm-tuned-t4-gemma-3-270m" in with_presets(replace(CATALOG, experiments=rest), tmp_path).experiments


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(UsageError, match=r"the preset: has \d+ characters; use 128 at most"):
        preset_name("vllm", "t4", "m" * 120)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "not valid YAML"),
        ("experiments: 3\n", "expected a mapping under 'experiments'"),
        ("experiments: {mine: {backend: vllm}}\n", "mine"),
        ("experiments: {mine: {speed: 3}}\n", "mine.*speed"),
    ],
)
def test_a_damaged_file_is_named_with_the_mend(text: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / PRESETS_FILE).write_text(text)
    with pytest.raises(UsageError, match=rf"(?s)tuned\.yaml.*{fault}.*move the file away to do without its presets"):
        with_presets(CATALOG, tmp_path)


@pytest.mark.parametrize(
    ("preset", "fault"),
    [
        (replace(make_preset(), name="vllm"), "there is an experiment of that name"),
        (replace(make_preset(), name="mine", tuned=None), "says for which gpu it was tuned"),
        (replace(make_preset(), name="mine", image="gone"), "there is no image gone"),
    ],
)
def test_an_entry_that_can_not_be_used_is_refused_with_its_name(preset: Experiment, fault: str, tmp_path: Path) -> None:
    add_preset(tmp_path, preset)
    with pytest.raises(UsageError, match=rf"tuned\.yaml: {preset.name}: .*{fault}"):
        with_presets(CATALOG, tmp_path)
