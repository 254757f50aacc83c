"""A user's own file where an image sees it: in the data folder, used in place."""

import json
from pathlib import Path

import pytest

from pipeline.datasets import Dataset, in_place, resolve
from pipeline.errors import UsageError
from pipeline.host import datasets as host

LINE = json.dumps({"id": "a", "document": "Tie the rope. Pull.", "summary": "Tie it."}) + "\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a user's file."""
    folder = tmp_path / "data"
    (folder / "texts").mkdir(parents=True)
    (folder / "texts" / "mine.jsonl").write_text(LINE, encoding="utf-8")
    return folder


def found(given: str, data: Path) -> Dataset:
    dataset = resolve(given, data, in_place)
    assert isinstance(dataset, Dataset)
    return dataset


def test_a_file_is_named_relative_to_the_data_folder_or_absolute(data: Path) -> None:
    relative = found("texts/mine.jsonl", data)
    assert (relative.path, relative.documents) == ("texts/mine.jsonl", 1)
    assert found(str(data / "texts" / "mine.jsonl"), data) == relative


def test_other_content_is_another_dataset(data: Path) -> None:
    before = found("texts/mine.jsonl", data)
    (data / "texts" / "mine.jsonl").write_text(LINE.replace("Tie", "Cut"), encoding="utf-8")
    assert found("texts/mine.jsonl", data).name != before.name


def test_a_file_that_the_orchestrator_copied_is_the_same_dataset(data: Path) -> None:
    copied = host.resolve(str(data / "texts" / "mine.jsonl"), data)
    assert isinstance(copied, Dataset)
    assert found(copied.path, data) == copied


def test_a_copy_that_was_changed_is_refused(data: Path) -> None:
    copied = host.resolve(str(data / "texts" / "mine.jsonl"), data)
    assert isinstance(copied, Dataset)
    (data / copied.path).write_text(LINE * 2, encoding="utf-8")
    with pytest.raises(UsageError, match="changed since it was prepared"):
        found(copied.path, data)


@pytest.mark.parametrize("given", ["../outside.jsonl", "{tmp}/outside.jsonl", "texts/link.jsonl"])
def test_a_file_outside_the_data_folder_is_refused(given: str, data: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.jsonl").write_text(LINE, encoding="utf-8")
    (data / "texts" / "link.jsonl").symlink_to(tmp_path / "outside.jsonl")
    with pytest.raises(UsageError, match=r"lies outside the data folder .*--dataset outside\.jsonl"):
        found(given.format(tmp=tmp_path), data)


def test_a_malformed_line_is_named_by_file_and_line(data: Path) -> None:
    (data / "texts" / "mine.jsonl").write_text(LINE + "{broken\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"mine\.jsonl: line 2: not valid JSON"):
        found("texts/mine.jsonl", data)


@pytest.mark.parametrize(
    ("given", "fault"), [("texts/no.jsonl", "no such file"), ("texts", "not a file"), ("sampel", "did you mean sample")]
)
def test_what_is_no_file_is_refused_in_the_words_that_help(given: str, fault: str, data: Path) -> None:
    with pytest.raises(UsageError, match=fault):
        found(given, data)


@pytest.mark.parametrize("name", ["mine.csv", "mine.TSV", "mine.parquet"])
def test_a_file_that_has_to_be_converted_is_refused_with_the_command_that_does_so(name: str, data: Path) -> None:
    (data / name).write_text("id,document,summary\na,b,c\n", encoding="utf-8")
    with pytest.raises(UsageError, match=rf"--dataset {name}: only JSON lines are read here; .*--prepare"):
        found(name, data)
