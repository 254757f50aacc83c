"""What may be changed of an experiment, and the experiment with such changes."""

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.catalog import load_catalog
from pipeline.entries import Device, Experiment, Scenario
from pipeline.errors import UsageError
from pipeline.hardware import Hardware
from pipeline.host.environments import ensure_environment, process_environment, python_of
from pipeline.jobs import settings_on
from pipeline.spec import JobGpu
from pipeline.tuning.space import Setting, Space, changed, in_words, load_settings, space_for

CATALOG = load_catalog()
SETTINGS = load_settings()
CPU = Hardware(JobGpu("cpu", "Some CPU", "cpu"), "float32")
GPU = Hardware(JobGpu("t4", "Tesla T4", "cuda"), "float16", 7.5)


def suited(
    experiment: Experiment,
    *settings: Setting,
    device: Device = "cpu",
    scenario: Scenario = "offline",
    real_weights: bool = True,
) -> dict[str, tuple[Any, ...]]:
    """The choices of the settings that do something there."""
    space = space_for(experiment, settings, device, scenario, real_weights=real_weights)
    return {setting.name: setting.choices for setting in space.settings}


@pytest.mark.parametrize(
    ("setting", "there"),
    [
        (Setting("a", "x", (1,), device="cuda"), {"device": "cpu"}),
        (Setting("a", "x", (1,), scenario="offline"), {"scenario": "single"}),
        (Setting("a", "x", (1,), real_weights=True), {"real_weights": False}),
        (Setting("a", "x", (1,), present="paged"), {}),
    ],
)
def test_a_setting_that_does_nothing_there_is_left_out(setting: Setting, there: dict[str, Any]) -> None:
    assert suited(CATALOG.experiments["none"], setting, **there) == {}


def test_a_setting_is_left_out_where_the_experiment_has_an_option_that_excludes_it() -> None:
    setting = Setting("a", "x", (1,), absent="paged")
    assert suited(CATALOG.experiments["paged"], setting) == {}
    assert suited(CATALOG.experiments["none"], setting) == {"a": (1,)}


def test_a_choice_that_the_experiment_has_anyway_is_left_out() -> None:
    experiment = replace(CATALOG.experiments["none"], options={"deep": {"x": 2}})
    assert suited(experiment, Setting("a", "deep.x", (1, 2, 3))) == {"a": (1, 3)}
    assert suited(experiment, Setting("a", "deep.x", (2,))) == {}


def test_the_batch_size_that_counts_on_the_device_is_the_one_that_is_left_out() -> None:
    experiment = replace(CATALOG.experiments["none"], batch_size=16, cpu_batch_size=4)
    setting = Setting("batch", "batch_size", (4, 16))
    assert suited(experiment, setting, device="cpu") == {"batch": (16,)}
    assert suited(experiment, setting, device="cuda") == {"batch": (4,)}


def test_what_replaces_an_option_on_a_cpu_is_changed_too() -> None:
    experiment = replace(
        CATALOG.experiments["none"], options={"deep": {"x": 1, "y": 1}}, cpu_options={"deep": {"x": 2, "z": 2}}
    )
    made = changed(experiment, Space((Setting("a", "deep.x", (5,)),)), {"a": 5}, "trial")
    assert settings_on(made, CPU)[0]["deep"] == {"x": 5, "z": 2}
    assert settings_on(made, GPU)[0]["deep"] == {"x": 5, "y": 1}


def test_a_batch_size_counts_on_either_device() -> None:
    experiment = replace(CATALOG.experiments["none"], batch_size=16, cpu_batch_size=4)
    made = changed(experiment, Space((Setting("batch", "batch_size", (8,)),)), {"batch": 8}, "trial")
    assert [settings_on(made, hardware)[2] for hardware in (CPU, GPU)] == [8, 8]


def test_an_experiment_that_is_changed_says_of_what_it_was_made_and_keeps_the_rest() -> None:
    original = CATALOG.experiments["none"]
    made = changed(original, Space((Setting("a", "x", (5,)),)), {"a": 5}, "trial")
    assert (made.name, made.tuned.of, made.tuned.settings) == ("trial", "none", {"a": 5})  # type: ignore[union-attr]
    assert (made.weights, made.backend, made.image) == (original.weights, original.backend, original.image)
    assert "x" not in original.options


def test_a_share_of_the_gpu_is_what_the_memory_estimate_goes_by() -> None:
    experiment = CATALOG.experiments["vllm"]
    space = space_for(experiment, SETTINGS["vllm"], "cuda", "offline", real_weights=True)
    made = changed(experiment, space, {"memory": 0.95}, "trial")
    assert (made.options["gpu_memory_utilization"], made.memory.gpu_share) == (0.95, 0.95)


def test_a_setting_that_lives_on_what_the_model_writes_makes_the_experiment_need_real_weights() -> None:
    space = Space((Setting("guess", "x", (1,), real_weights=True), Setting("other", "y", (1,))))
    assert changed(CATALOG.experiments["none"], space, {"guess": 1}, "trial").needs.real_weights
    assert not changed(CATALOG.experiments["none"], space, {"other": 1}, "trial").needs.real_weights


def test_choices_alone_go_round_by_round_over_the_settings() -> None:
    space = Space((Setting("a", "x", (1, 2)), Setting("b", "y", (3,))))
    assert space.singles() == [{"a": 1}, {"b": 3}, {"a": 2}]


def test_changes_of_a_setting_or_to_a_value_that_is_no_longer_tried_are_told_apart() -> None:
    space = Space((Setting("a", "x", (1, 2)),))
    assert space.has({}) and space.has({"a": 2})
    assert not space.has({"a": 3}) and not space.has({"b": 1})


def test_values_are_read_on_one_line() -> None:
    assert in_words({"a": {"x": 1, "y": True}, "b": False}) == "a x=1 y=on, b off"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("other: {}", "expected a mapping under 'settings'"),
        ("settings: {vllm: [1]}", "vllm: expected settings by name"),
        ("settings: {vllm: {a: 1}}", r"vllm\.a: expected fields"),
        ("settings: {vllm: {a: {option: x, choices: []}}}", r"vllm\.a: choices: give at least one"),
        ("settings: {vllm: {a: {option: x, choices: [1], devise: cpu}}}", r"vllm\.a.*devise"),
    ],
)
def test_a_fault_of_the_file_is_named_with_its_place(text: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "tuning.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=f"(?s){path}.*{fault}"):
        load_settings(path)


def test_every_backend_of_the_file_is_one_of_the_catalogues_and_runs_a_model() -> None:
    assert SETTINGS.keys() <= {item.backend for item in CATALOG.experiments.values() if item.weights is not None}


def option_sets(backend: str) -> list[dict[str, Any]]:
    """The options that each choice alone gives each of the backend's experiments, on either device."""
    found = []
    for experiment in CATALOG.experiments.values():
        for hardware in (CPU, GPU):
            device = hardware.gpu.device
            if experiment.backend != backend or experiment.needs.device not in (None, device):
                continue
            space = space_for(experiment, SETTINGS[backend], device, "offline", real_weights=True)
            for single in space.singles():
                found.append(settings_on(changed(experiment, space, single, "trial"), hardware)[0])
    assert found
    return found


def in_environment(cache: Path, image_name: str, program: str, value: Any = None) -> Any:
    """What the program prints in the image's environment for the value, both as JSON."""
    image = CATALOG.images[image_name]
    [variant] = [variant for variant in image.variants if variant.device == "cpu"]
    ensure_environment(cache, image, variant, cache / "logs" / f"{image_name}.txt")
    command = [str(python_of(cache, image, variant)), "-c", program]
    environment = process_environment(cache, image, variant, network=False)
    done = subprocess.run(command, input=json.dumps(value), env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_the_transformers_adapter_takes_every_choice() -> None:
    from pipeline.worker.backends.transformers.options import check_options

    for options in option_sets("transformers"):
        check_options(options)


LLAMA_FIELDS = """
import json, sys, xllamacpp
def check(target, options):
    for name, value in options.items():
        current = getattr(target, name)
        if isinstance(value, dict):
            check(current, value)
        elif isinstance(current, int) and not hasattr(current, "name"):
            setattr(target, name, value)
            assert getattr(target, name) == value
for options in json.load(sys.stdin):
    check(xllamacpp.CommonParams(), options)
print("true")
"""


def test_llama_cpp_has_a_field_for_every_choice_and_takes_its_value(cache: Path) -> None:
    assert in_environment(cache, "llama-cpp", LLAMA_FIELDS, option_sets("llama_cpp"))


VLLM_FIELDS = """
import dataclasses, json
from vllm.config import AttentionConfig, CompilationConfig
from vllm.config.compilation import CUDAGraphMode, PassConfig
from vllm.engine.arg_utils import EngineArgs
kinds = {"": EngineArgs, "attention_config": AttentionConfig, "compilation_config": CompilationConfig,
         "compilation_config.pass_config": PassConfig}
print(json.dumps({
    "fields": {where: [field.name for field in dataclasses.fields(kind)] for where, kind in kinds.items()},
    "modes": [mode.name for mode in CUDAGraphMode],
}))
"""


def nested(options: Mapping[str, Any], where: str = "") -> Iterable[tuple[str, str]]:
    """Where each name stands, and the name."""
    for name, value in options.items():
        yield where, name
        inside = f"{where}.{name}".removeprefix(".")
        if isinstance(value, Mapping) and name in ("attention_config", "compilation_config", "pass_config"):
            yield from nested(value, inside)


def test_vllm_has_a_field_for_every_choice(cache: Path) -> None:
    found = in_environment(cache, "vllm", VLLM_FIELDS)
    asked = {place for options in option_sets("vllm") for place in nested(options) if place[1] != "dtype"}
    assert [place for place in sorted(asked) if place[1] not in found["fields"][place[0]]] == []
    [graphs] = [setting for setting in SETTINGS["vllm"] if setting.name == "graphs"]
    assert set(graphs.choices) <= set(found["modes"])


def test_the_continuous_batching_of_transformers_has_a_field_for_every_choice(cache: Path) -> None:
    program = (
        "import inspect, json, transformers; "
        "print(json.dumps(list(inspect.signature(transformers.ContinuousBatchingConfig).parameters)))"
    )
    found = in_environment(cache, "transformers", program)
    asked = {name for options in option_sets("transformers") for name in options.get("paged", {})}
    assert asked <= set(found)
