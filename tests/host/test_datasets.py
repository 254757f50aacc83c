"""Datasets by name and by path: what resolve accepts, checks, copies and refuses."""

import json
import os
import shutil
from pathlib import Path

import pytest

from pipeline.datasets import Dataset, NotPrepared, describe, load_datasets
from pipeline.documents import read_documents
from pipeline.errors import UsageError
from pipeline.host.datasets import prepare, resolve

DATA = Path(__file__).parent.parent.parent / "data"
LINES = [
    {"id": "a", "document": "Tie the rope. Pull.", "summary": "Tie it.", "title": "Knots"},
    {"id": "b", "document": "Öffne die Tür.\nGeh hinein.", "summary": "Geh hinein."},
]


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    path = tmp_path / "my articles.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES), encoding="utf-8")
    return path


def test_the_bundled_sample_resolves_to_its_file_and_count() -> None:
    assert resolve("sample", DATA) == Dataset("sample", "sample/howto_en.jsonl", 30)
    assert prepare("sample", DATA) == resolve("sample", DATA)


def test_a_bundled_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"howto_en\.jsonl: the dataset can't be read"):
        resolve("sample", tmp_path)


def test_a_bundled_file_that_was_changed_is_refused_with_the_mend(tmp_path: Path) -> None:
    shutil.copytree(DATA / "sample", tmp_path / "sample")
    with (tmp_path / "sample" / "howto_en.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(LINES[0]) + "\n")
    with pytest.raises(UsageError, match=r"howto_en\.jsonl: changed.*take the repository's file again"):
        resolve("sample", tmp_path)


def test_wikilingua_is_not_prepared_before_it_is_fetched_and_says_its_licence_and_size(tmp_path: Path) -> None:
    found = resolve("wikilingua", tmp_path)
    assert isinstance(found, NotPrepared)
    assert "CC BY-NC-SA 3.0" in found.description
    assert "187 MB" in found.description
    assert found.description == describe(load_datasets()["wikilingua"])


def test_an_own_file_is_copied_into_the_data_folder_with_three_fields_and_a_manifest(
    own_file: Path, tmp_path: Path
) -> None:
    found = resolve(str(own_file), tmp_path / "data")
    assert isinstance(found, Dataset)
    assert found.documents == 2
    copy = tmp_path / "data" / found.path
    assert copy.parent.name == "prepared"
    assert copy.name.startswith("my-articles-")
    assert list(read_documents(copy)) == list(read_documents(own_file))
    assert set(json.loads(copy.read_text(encoding="utf-8").splitlines()[0])) == {"id", "document", "summary"}
    manifest = json.loads(copy.with_suffix(".manifest.json").read_text(encoding="utf-8"))
    assert manifest["documents"] == 2
    assert manifest["origin"]["files"] == ["my articles.jsonl"]


def test_an_own_file_that_is_copied_already_is_not_written_again(own_file: Path, tmp_path: Path) -> None:
    first = resolve(str(own_file), tmp_path)
    assert isinstance(first, Dataset)
    os.utime(tmp_path / first.path, (1, 1))
    assert resolve(str(own_file), tmp_path) == first
    assert (tmp_path / first.path).stat().st_mtime == 1


def test_an_own_file_with_new_content_gets_another_copy(own_file: Path, tmp_path: Path) -> None:
    first = resolve(str(own_file), tmp_path)
    own_file.write_text(json.dumps(LINES[0]), encoding="utf-8")
    second = resolve(str(own_file), tmp_path)
    assert isinstance(first, Dataset) and isinstance(second, Dataset)
    assert second.path != first.path
    assert second.documents == 1


def test_a_damaged_copy_of_an_own_file_is_made_anew(own_file: Path, tmp_path: Path) -> None:
    found = resolve(str(own_file), tmp_path)
    assert isinstance(found, Dataset)
    (tmp_path / found.path).write_text("{}\n", encoding="utf-8")
    assert resolve(str(own_file), tmp_path) == found
    assert len(read_documents(tmp_path / found.path)) == 2


def test_a_malformed_line_is_named_by_file_and_line_and_leaves_no_copy(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(LINES[0]) + "\n{broken\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"bad\.jsonl: line 2: not valid JSON"):
        resolve(str(path), tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_half_a_surrogate_pair_is_named_by_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "emoji.jsonl"
    path.write_text(json.dumps({**LINES[0], "document": "Smile \ud83d"}), encoding="utf-8")
    with pytest.raises(UsageError, match=r"emoji\.jsonl: line 1\.document: holds a broken Unicode escape"):
        resolve(str(path), tmp_path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.touch()
    with pytest.raises(UsageError, match="the dataset is empty"):
        resolve(str(path), tmp_path)


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown dataset 'wikilinga'; did you mean wikilingua"):
        resolve("wikilinga", tmp_path)


@pytest.mark.parametrize(("given", "fault"), [("nowhere/x.jsonl", "no such file"), (".", "not a file")])
def test_a_path_that_is_no_file_is_refused_as_a_path(given: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"{fault}; --dataset takes a JSONL file or one of sample, wikilingua"):
        resolve(given, tmp_path)


def test_a_data_folder_that_cannot_be_written_is_named(own_file: Path, tmp_path: Path) -> None:
    (tmp_path / "prepared").touch()
    with pytest.raises(UsageError, match="can't be written"):
        resolve(str(own_file), tmp_path)


def test_a_list_of_articles_is_refused_where_nothing_has_urls(own_file: Path, tmp_path: Path) -> None:
    for name in ("sample", str(own_file)):
        with pytest.raises(UsageError, match="--articles"):
            resolve(name, DATA, articles=own_file)


def test_an_entry_whose_source_and_hub_disagree_is_refused(tmp_path: Path) -> None:
    (tmp_path / "datasets.yaml").write_text(
        "datasets:\n  x: {description: d, licence: l, source: hub_parquet, path: p}\n", encoding="utf-8"
    )
    with pytest.raises(UsageError, match=r"datasets\.yaml: x: hub"):
        load_datasets(tmp_path)
