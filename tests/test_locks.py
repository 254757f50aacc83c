"""The locks against the package index: each, as its image installs it, resolves for the image's Python and platform."""

import dataclasses
import re
from pathlib import Path

import pytest

from images import lock as locks
from images.lock import check_lock, main
from pipeline.catalog import load_catalog
from pipeline.entries import Image, Variant
from pipeline.errors import BenchmarkError

CATALOG = load_catalog()
VARIANTS = [(image, variant) for image in CATALOG.images.values() for variant in image.variants]


def named(value: object) -> str:
    return value.name if isinstance(value, Image | Variant) else str(value)


@pytest.mark.usefixtures("findable_torch")
@pytest.mark.parametrize(("image", "variant"), VARIANTS, ids=named)
def test_a_lock_resolves_completely_for_its_python_and_platform(image: Image, variant: Variant) -> None:
    assert check_lock(image, variant, with_index=False) == locks.IMAGES / image.name / variant.lock


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Image, Variant, Path]:
    """A copy of the smallest lock, to be damaged."""
    image = CATALOG.images["reference"]
    variant = image.variants[0]
    copy = tmp_path / image.name / variant.lock
    copy.parent.mkdir()
    copy.write_text((locks.IMAGES / image.name / variant.lock).read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(locks, "IMAGES", tmp_path)
    return image, dataclasses.replace(variant, index=""), copy


def rewrite(path: Path, pattern: str, by: str) -> None:
    text, count = re.subn(pattern, by, path.read_text(encoding="utf-8"))
    assert count >= 1
    path.write_text(text, encoding="utf-8")


def test_a_lock_without_a_dependency_does_not_resolve(small: tuple[Image, Variant, Path]) -> None:
    image, variant, path = small
    rewrite(path, r"(?m)^nltk==.*(\n    .*)*\n", "")
    with pytest.raises(BenchmarkError, match=r"the lock does not resolve[^$]*nltk"):
        check_lock(image, variant)


def test_a_lock_whose_hashes_are_of_no_file_does_not_resolve(small: tuple[Image, Variant, Path]) -> None:
    image, variant, path = small
    rewrite(path, "(?m)sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}")
    with pytest.raises(BenchmarkError, match="the lock does not resolve"):
        check_lock(image, variant)


def test_two_pins_that_exclude_each_other_do_not_resolve(small: tuple[Image, Variant, Path]) -> None:
    image, variant, path = small
    rewrite(path, r"(?m)^regex==\S+", "regex==2019.1.24")  # nltk wants a newer one
    with pytest.raises(BenchmarkError, match=r"the lock does not resolve[^$]*regex"):
        check_lock(image, variant)


def test_the_command_checks_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    image = CATALOG.images["reference"]
    paths = [locks.IMAGES / image.name / variant.lock for variant in image.variants]
    before = [path.stat().st_mtime_ns for path in paths]
    assert main(["--check", "reference", "--without-index"]) == 0
    assert [path.stat().st_mtime_ns for path in paths] == before
    assert capsys.readouterr().out.splitlines() == [str(path.relative_to(locks.IMAGES.parent)) for path in paths]
