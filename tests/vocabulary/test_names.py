"""Names, paths and words from configuration stay what they are meant to be, wherever they are read."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import codec
from pipeline.catalog import CONFIG, IMAGES, load_catalog
from pipeline.datasets import load_datasets, own_file_name
from pipeline.entries import Image, Variant, WeightsSource
from pipeline.errors import UsageError
from pipeline.names import LONGEST_NAME, check_name, require_inside
from pipeline.prepared import Manifest
from pipeline.spec import Workload

ESCAPES = [
    "../up",
    "/etc",
    "..",
    ".",
    ".hidden",
    "-rf",
    "a/b",
    "a\\b",
    "a\0b",
    "a\nb",
    "a b",
    "$(id)",
    "ａ",
    "",
    "x" * 129,
]


@pytest.mark.parametrize("name", ESCAPES)
def test_a_name_that_is_no_plain_component_of_a_path_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"^--run: "):
        check_name(name, "--run")


@pytest.mark.parametrize("name", ["none", "4-bit", "vllm-w4a16", "Llama_2.7b", "x" * LONGEST_NAME])
def test_the_names_that_people_give_are_taken(name: str) -> None:
    assert check_name(name, "--run") == name


@pytest.mark.parametrize(
    ("file", "section", "entry"),
    [
        ("experiments.yaml", "experiments", "none"),
        ("experiments.yaml", "prompts", "published-hf"),
        ("models.yaml", "models", "gemma-3-270m"),
        ("models.yaml", "formats", "w4a16"),
        ("gpus.yaml", "gpus", "a100"),
    ],
)
def test_an_entry_with_an_unsafe_name_is_refused_by_file_and_mend(
    file: str, section: str, entry: str, tmp_path: Path
) -> None:
    config = edited(tmp_path, file, lambda content: rename(content[section], entry, "../../up"))
    with pytest.raises(UsageError, match=rf"{file}: .*'\.\./\.\./up' can't be used; use letters"):
        load_catalog(config)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("path", "../../../etc/passwd"),
        ("path", "/etc/passwd"),
        ("path", "a/../b"),
        ("path", "a\0b"),
        ("path", "./a"),
        ("repo", "../other"),
        ("repo", "https://example.org/model"),
        ("repo", "owner/name/more"),
        ("revision", "../main"),
        ("revision", "-main"),
        ("requirements", ["--index-url=https://example.org"]),
        ("requirements", ["-r/etc/passwd==1.0"]),
        ("requirements", ["package @ https://example.org/package.whl"]),
        ("requirements", ["package==1.0 --no-deps"]),
        ("requirements", ["package>=1.0"]),
        ("requirements", ["package==*"]),
        ("requirements", ["./folder==1.0"]),
        ("using", "..checkpoint"),
        ("convert_from", "../hf"),
        ("sha256", "abc"),
    ],
)
def test_a_source_of_weights_can_not_leave_its_folder_or_give_options(field: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"^models\.yaml: m\.{field}"):
        codec.decode(WeightsSource, {"source": "hub", field: value}, "models.yaml: m")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lock", "../../secret"),
        ("index", "--extra-index-url=https://example.org"),
        ("index", "file:///etc"),
        ("index", "https://user:password@example.org"),
        ("index", "https://example.org/$(id)"),
        ("build_packages", ["--index-url"]),
        ("system_packages", ["-oAPT::Update::Pre-Invoke::=id"]),
        ("system_packages", ["gcc;id"]),
        ("build_tools", ["../nvcc"]),
        ("base", "--privileged"),
        ("base", "image name"),
        ("python", "3.11; id"),
        ("environment", {"A=B": "1"}),
        ("environment", {"LD PRELOAD": "1"}),
        ("environment", {"A": "1\n2"}),
        ("environment", {"A": "1\0"}),
    ],
)
def test_a_variant_can_not_give_options_commands_or_broken_variables(field: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"^image\.yaml: cpu(?:\.{field}|\.environment)"):
        codec.decode(
            Variant,
            {"name": "cpu", "device": "cpu", "python": "3.11", "lock": "cpu.lock", field: value},
            "image.yaml: cpu",
        )


@pytest.mark.parametrize("name", ["Vllm", "../vllm", "a:b", "-v"])
def test_an_images_name_is_one_that_docker_takes(name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        codec.decode(Image, {"name": name, "description": "", "variants": []}, "image.yaml")


def test_an_entry_can_not_rename_itself(tmp_path: Path) -> None:
    config = edited(tmp_path, "gpus.yaml", lambda content: content["gpus"]["a100"].update(name="h100"))
    with pytest.raises(UsageError, match=r"gpus\.yaml: a100: unknown field 'name'"):
        load_catalog(config)


@pytest.mark.parametrize(
    ("field", "value"),
    [("path", "../../etc/passwd"), ("hub", {"files": ["../x.parquet"]}), ("hub", {"repo": "--help"})],
)
def test_a_dataset_can_not_leave_the_data_folder(field: str, value: Any, tmp_path: Path) -> None:
    def edit(content: dict[str, Any]) -> None:
        entry = content["datasets"]["wikilingua"]
        entry[field] = entry[field] | value if isinstance(value, dict) else value

    with pytest.raises(UsageError, match=rf"datasets\.yaml: wikilingua\.{field}"):
        load_datasets(edited(tmp_path, "datasets.yaml", edit))


def test_a_manifest_that_came_with_a_file_can_not_name_a_run_outside_results() -> None:
    manifest = {"name": "../../x", "documents": 1, "bytes": 1, "sha256": "0", "prepared_at": "", "origin": {}}
    with pytest.raises(UsageError, match=r"m\.json\.name: '\.\./\.\./x'"):
        codec.decode(Manifest, manifest, "m.json")


@pytest.mark.parametrize("stem", ["..", "-rf", "été à la mer", "a" * 250, "​", "x;rm -rf $HOME"])
def test_a_users_file_gets_a_safe_name_whatever_it_is_called(stem: str) -> None:
    name = own_file_name(Path(f"{stem}.jsonl"), "0123456789")
    assert check_name(name, "dataset").endswith("-01234567")


def test_a_path_with_spaces_and_other_scripts_is_a_path() -> None:
    work = {"dataset": "d", "documents": "mes textes/été.jsonl", "documents_sha256": "0" * 64, "docs": 1, "seed": 0}
    work |= {"prompt": {"name": "p", "template": "{document}"}, "max_new_tokens": 1}
    assert codec.decode(Workload, work, "job").documents == "mes textes/été.jsonl"


def test_a_link_that_leads_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    root, outside = tmp_path / "results", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "link").symlink_to(outside)
    (root / "inner").symlink_to(root)
    assert require_inside(root / "inner" / "x", root, "folder") == root.resolve() / "x"
    with pytest.raises(UsageError, match="through a link"):
        require_inside(root / "link" / "x", root, "folder")


def test_all_of_the_projects_own_names_are_safe() -> None:
    catalog = load_catalog()
    assert set(catalog.images) == {path.parent.name for path in IMAGES.glob("*/image.yaml")}
    assert load_datasets()


def edited(tmp_path: Path, file: str, edit: Any) -> Path:
    """A copy of the configuration in which one file was edited."""
    config = tmp_path / "config"
    config.mkdir()
    for path in CONFIG.glob("*.yaml"):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.name == file:
            edit(content)
        (config / path.name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return config


def rename(entries: dict[str, Any], name: str, to: str) -> None:
    """Give an entry another key."""
    entries[to] = entries.pop(name)
