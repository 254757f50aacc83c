"""The catalogue reads the shipped configuration, and says what is wrong with a broken one."""

import shutil
from pathlib import Path

import pytest

from pipeline.catalog import CONFIG, IMAGES, find, load_catalog
from pipeline.errors import UsageError


def edited(tmp_path: Path, name: str, old: str, new: str) -> Path:
    config = tmp_path / "config"
    shutil.copytree(CONFIG, config)
    text = (config / name).read_text(encoding="utf-8")
    assert old in text
    (config / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    return config


def test_every_published_optimisation_is_an_experiment() -> None:
    assert {"none", "4-bit", "8-bit", "flash-attn", "vllm-awq"} <= set(load_catalog().experiments)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown experiment 'vlm-awq'; did you mean vllm-awq"):
        find(load_catalog().experiments, "vlm-awq", "experiment")


def test_a_name_that_is_near_nothing_is_answered_with_all() -> None:
    with pytest.raises(UsageError, match="known are none, 4-bit"):
        find(load_catalog().experiments, "xyzzy", "experiment")


def test_a_misspelt_field_is_named_with_file_and_entry(tmp_path: Path) -> None:
    config = edited(tmp_path, "experiments.yaml", "    backend: transformers", "    bakcend: transformers")
    with pytest.raises(UsageError, match=r"experiments\.yaml: none: unknown field 'bakcend'"):
        load_catalog(config)


def test_an_experiment_without_its_image_is_an_error(tmp_path: Path) -> None:
    config = edited(tmp_path, "experiments.yaml", "    image: transformers", "    image: absent")
    with pytest.raises(UsageError, match=r"none: there is no images/absent/image\.yaml"):
        load_catalog(config)


def test_broken_yaml_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    config = edited(tmp_path, "gpus.yaml", "gpus:", "gpus: [")
    with pytest.raises(UsageError, match=r"gpus\.yaml: not valid YAML"):
        load_catalog(config)


def test_an_image_reads_its_own_declaration_alone(tmp_path: Path) -> None:
    shutil.copytree(IMAGES / "vllm", tmp_path / "vllm")
    catalog = load_catalog(images=tmp_path, only="vllm")
    assert set(catalog.images) == {"vllm"}
    assert catalog.experiments == load_catalog().experiments


def test_an_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no .*absent/image\.yaml"):
        load_catalog(only="absent")


def test_a_format_that_any_model_can_have_stands_in_every_model_with_its_source() -> None:
    catalog = load_catalog()
    synthetic = {"synthetic-tokenizer", "synthetic-hf", "synthetic-awq"}
    assert set(catalog.formats) == {"awq-autoawq", "w4a16", *synthetic}
    assert all(dict(catalog.formats).items() <= dict(model.weights).items() for model in catalog.models.values())


def test_a_models_own_entry_comes_before_the_format_for_all(tmp_path: Path) -> None:
    own = "awq-autoawq: {source: hub, repo: someone/else, image: transformers}"
    old = "      awq: {source: convert, convert_from: hf, using: rtn_awq, kind: rtn, image: transformers, bits: 4.16}"
    catalog = load_catalog(edited(tmp_path, "models.yaml", old, f"{old}\n      {own}"))
    assert catalog.models["gemma-3-270m"].weights["awq-autoawq"].repo == "someone/else"


def test_a_model_without_what_a_format_is_made_from_goes_without_it(tmp_path: Path) -> None:
    catalog = load_catalog(
        edited(tmp_path, "models.yaml", "convert_from: hf, using: autoawq", "convert_from: none, using: autoawq")
    )
    assert "awq-autoawq" not in catalog.models["llama-2-7b-chat"].weights


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "bandwidth_bytes_per_s: [1.555e+12, 2.039e+12]",
            "bandwidth_bytes_per_s: [1.555e+12]",
            "give one for each size",
        ),
        ("bandwidth_bytes_per_s: [3.2e+11]", "bandwidth_bytes_per_s: [0]", "give rates above 0"),
        ("flops8_per_s: 6.24e+14", "flops8_per_s: -1", "give rates above 0"),
    ],
)
def test_a_gpu_whose_rates_can_not_be_computed_with_is_an_error(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(UsageError, match=rf"gpus\.yaml: (a100|t4): .*{said}"):
        load_catalog(edited(tmp_path, "gpus.yaml", old, new))


def test_a_variant_of_an_image_has_to_name_its_lock(tmp_path: Path) -> None:
    shutil.copytree(IMAGES / "reference", tmp_path / "reference")
    path = tmp_path / "reference" / "image.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("lock: cpu.lock", "lock: null"), encoding="utf-8")
    with pytest.raises(UsageError, match=r"image\.yaml: cpu: lock: name the lock file"):
        load_catalog(images=tmp_path, only="reference")
