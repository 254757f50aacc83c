"""JSON and YAML from outside are read from files alone, into values that can be written again."""

import os
from pathlib import Path

import pytest

from pipeline import files
from pipeline.analysis.failures import read_tail
from pipeline.errors import UsageError
from pipeline.files import read_json, sha256_file
from pipeline.plain import inside, shown
from pipeline.yaml_files import read_yaml


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A named pipe that nothing writes to."""
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_a_pipe_in_a_files_place_is_refused_and_not_waited_for(pipe: Path) -> None:
    for read in (read_json, read_yaml):
        with pytest.raises(UsageError, match="pipe: can't be read"):
            read(pipe)
    for read_bytes in (sha256_file, read_tail):
        with pytest.raises(OSError, match="not a file"):
            read_bytes(pipe)


def test_a_device_without_end_is_refused() -> None:
    with pytest.raises(UsageError, match="/dev/zero: can't be read"):
        read_json(Path("/dev/zero"))


def test_a_json_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_JSON_BYTES", 10)
    (tmp_path / "large.json").write_text('["a", "b", "c"]', encoding="utf-8")
    with pytest.raises(UsageError, match=r"large\.json: larger than 10 bytes"):
        read_json(tmp_path / "large.json")


def test_a_date_in_yaml_is_text(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("seen: 2026-11-23\n", encoding="utf-8")
    assert read_yaml(tmp_path / "a.yaml") == {"seen": "2026-11-23"}


def test_a_few_lines_of_yaml_that_multiply_are_refused_by_line(tmp_path: Path) -> None:
    laughs = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
    (tmp_path / "a.yaml").write_text(f"a0: &a0 [x]\n{laughs}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"a\.yaml: not valid YAML \(line 2: aliases are not read; write it out\)"):
        read_yaml(tmp_path / "a.yaml")


def test_an_error_shows_a_value_briefly_whatever_it_is() -> None:
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    assert shown(deep) == "[[[...]]]"
    assert shown(10**5_000) == "a number of 16610 bits"
    assert len(shown("x" * 10_000)) < 250


def test_a_place_is_named_without_what_would_not_print() -> None:
    assert inside("file", "name") == "file.name"
    assert inside("file", 3) == "file[3]"
    assert inside("file", "a\x1b[2J") == r"file.'a\x1b[2J'"
