"""images/digests.json: written by the maintainer's command, read back strictly, found by content alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from images.digests import main
from pipeline.errors import UsageError
from pipeline.host.docker.digests import PATH, Digests, Published, Unpublished, read_digests
from pipeline.host.docker.images import content
from pipeline.host.docker.labels import project_version
from tests.containers.support import variant_of

DIGEST = f"sha256:{'1' * 64}"
OTHER_DIGEST = f"sha256:{'2' * 64}"
BASE = f"base:1@sha256:{'3' * 64}"
IMAGE, VARIANT = variant_of("reference")


def add(path: Path, image: str = "reference", digest: str = DIGEST, base: str = BASE) -> int:
    where = ["--registry", "registry.example/owner", "--digest", digest, "--base", base]
    return main(["--file", str(path), "add", image, "cpu", *where, "--revision", "c0ffee"])


def edited(path: Path, **fields: Any) -> Path:
    """The file with fields of the small image's entry replaced."""
    value = json.loads(path.read_text(encoding="utf-8"))
    value["images"]["reference"]["cpu"] |= fields
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that lists the small image."""
    path = tmp_path / "digests.json"
    assert add(path) == 0
    return path


def test_the_checked_in_file_lists_only_images_that_there_are() -> None:
    for name, variants in read_digests(PATH).images.items():
        for variant in variants:
            variant_of(name, variant)


def test_an_added_entry_is_found_for_this_checkout(path: Path) -> None:
    entry = read_digests(path).find(IMAGE, VARIANT)
    assert isinstance(entry, Published)
    assert entry.reference == f"registry.example/owner/summarisation-benchmark/reference@{DIGEST}"
    assert (entry.content, entry.version) == (content(IMAGE, VARIANT), project_version())
    assert (entry.base, entry.revision) == (BASE, "c0ffee")


def test_an_image_of_other_content_is_not_found(path: Path) -> None:
    found = read_digests(edited(path, content="0" * 64)).find(IMAGE, VARIANT)
    assert isinstance(found, Unpublished) and "other code or packages" in found.reason


def test_an_image_over_another_base_than_asked_for_is_not_found(path: Path) -> None:
    found = read_digests(path).find(IMAGE, VARIANT, base="mine:1")
    assert isinstance(found, Unpublished) and BASE in found.reason


def test_an_unlisted_image_is_not_found() -> None:
    assert isinstance(Digests().find(IMAGE, VARIANT), Unpublished)


def test_a_mirror_replaces_the_registry_and_keeps_the_digest(path: Path) -> None:
    entry = read_digests(path).find(IMAGE, VARIANT, registry="mirror.example/x/")
    assert isinstance(entry, Published)
    assert entry.reference == f"mirror.example/x/summarisation-benchmark/reference@{DIGEST}"


def test_an_entry_added_again_replaces_the_earlier_one(path: Path) -> None:
    assert add(path, digest=OTHER_DIGEST) == 0
    assert read_digests(path).images["reference"]["cpu"].digest == OTHER_DIGEST


def test_merged_files_are_sorted_and_the_merged_entries_win(path: Path, tmp_path: Path) -> None:
    second, third = tmp_path / "second.json", tmp_path / "third.json"
    assert add(second, digest=OTHER_DIGEST) == 0
    assert add(third, image="llama-cpp") == 0
    assert main(["--file", str(path), "merge", str(second), str(third)]) == 0
    images = read_digests(path).images
    assert list(images) == ["llama-cpp", "reference"]
    assert images["reference"]["cpu"].digest == OTHER_DIGEST


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"digest": "latest"}, r"images\.reference\.cpu\.digest: 'latest' is not sha256: and 64 .*images\.digests add"),
        ({"content": "abc"}, r"images\.reference\.cpu\.content: 'abc'"),
        ({"base": "python:3.11"}, r"images\.reference\.cpu\.base: 'python:3\.11'"),
        ({"repository": f"x@{DIGEST}"}, r"images\.reference\.cpu\.repository: "),
        ({"tag": "cpu"}, r"images\.reference\.cpu: unknown field 'tag'"),
    ],
)
def test_a_faulty_entry_is_refused_by_file_entry_and_mend(path: Path, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=f"{path.name}.*{said}"):
        read_digests(edited(path, **fields))


def test_a_file_of_another_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "digests.json"
    path.write_text('{"schema_version": 99, "images": {}}', encoding="utf-8")
    with pytest.raises(UsageError, match="schema_version 99"):
        read_digests(path)


@pytest.mark.parametrize("fault", [{"digest": "sha256:1"}, {"base": "python:3.11"}, {"image": "nothing"}])
def test_what_no_registry_gave_is_not_added(
    path: Path, fault: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = path.read_bytes()
    assert add(path, **fault) == 1
    assert capsys.readouterr().err.startswith("error: ")
    assert path.read_bytes() == before
