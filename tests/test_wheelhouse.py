"""What the wheelhouse has to hold beside a lock's own files."""

import io
import tarfile
from pathlib import Path

import pytest

from images import wheelhouse


def archive(path: Path, **files: str) -> Path:
    """A source archive with these files, in a folder of its name."""
    with tarfile.open(path, "w:gz") as content:
        for name, text in {"setup_py": "", **files}.items():
            member = tarfile.TarInfo(f"{path.name.removesuffix('.tar.gz')}/{name.replace('_', '.')}")
            member.size = len(text.encode())
            content.addfile(member, io.BytesIO(text.encode()))
    return path


def test_a_source_archive_that_says_nothing_is_built_with_setuptools(tmp_path: Path) -> None:
    assert wheelhouse.build_tools(archive(tmp_path / "a-1.tar.gz")) == ["setuptools>=40.8.0", "wheel"]
    settings = "[tool.other]\nkey = 1\n"
    assert wheelhouse.build_tools(archive(tmp_path / "b-1.tar.gz", pyproject_toml=settings))[0] == "setuptools>=40.8.0"


def test_a_source_archive_names_its_own_tools(tmp_path: Path) -> None:
    declared = '[build-system]\nrequires = ["hatchling==1.2"]\n'
    assert wheelhouse.build_tools(archive(tmp_path / "a-1.tar.gz", pyproject_toml=declared)) == ["hatchling==1.2"]


def test_only_archives_of_the_wanted_packages_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheelhouse, "WHEELHOUSE", tmp_path)
    for name in ("rouge_score-0.1.2", "rouge_score-0.1.1", "flash_attn-2.8.3"):
        archive(tmp_path / f"{name}.tar.gz")
    found = wheelhouse.sources("rouge-score==0.1.2 \\\n    --hash=sha256:00\nsix==1.17.0 \\\n")
    assert [path.name for path in found] == ["rouge_score-0.1.2.tar.gz"]
