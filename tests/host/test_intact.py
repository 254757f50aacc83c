"""Prepared weights whose bytes changed after they were prepared."""

import os
from pathlib import Path

import pytest

from pipeline.host.intact import are_intact, discard, note_hashed
from pipeline.spec import JobWeights
from pipeline.weights import MANIFEST_FILE, weights_sha256, write_manifest

MODEL = "tiny"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "models" / MODEL / "hf"
    made.mkdir(parents=True)
    (made / "model.safetensors").write_bytes(bytes(1000))
    return made


@pytest.fixture
def weights(folder: Path) -> JobWeights:
    found = JobWeights("hf", f"models/{MODEL}/hf", "real", "1", weights_sha256(folder))
    write_manifest(folder, found, "s" * 64)
    return found


def flip_a_bit(path: Path) -> None:
    """Change one byte and put the time of the last change of content back."""
    before = path.stat()
    with path.open("r+b") as stream:
        stream.seek(500)
        stream.write(b"\x01")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_weights_as_they_were_prepared_are_intact(weights: JobWeights, tmp_path: Path) -> None:
    assert are_intact(weights, MODEL, tmp_path)
    assert are_intact(weights, MODEL, tmp_path)


def test_one_flipped_bit_is_noticed_though_size_and_time_are_as_before(
    weights: JobWeights, folder: Path, tmp_path: Path
) -> None:
    assert are_intact(weights, MODEL, tmp_path)
    flip_a_bit(folder / "model.safetensors")
    assert not are_intact(weights, MODEL, tmp_path)


def test_files_that_were_not_touched_are_not_read_again(
    weights: JobWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert are_intact(weights, MODEL, tmp_path)
    monkeypatch.setattr("pipeline.host.intact.weights_sha256", lambda _: pytest.fail("hashed again"))
    assert are_intact(weights, MODEL, tmp_path)


def test_files_that_were_hashed_as_they_were_made_are_not_read_again(
    weights: JobWeights, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading them twice takes half a minute for 7 billion parameters."""
    note_hashed(weights, MODEL, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.host.intact.weights_sha256", lambda _: pytest.fail("hashed again"))
        assert are_intact(weights, MODEL, tmp_path)
    flip_a_bit(folder / "model.safetensors")
    assert not are_intact(weights, MODEL, tmp_path)


def test_touched_files_with_the_same_content_are_intact(weights: JobWeights, folder: Path, tmp_path: Path) -> None:
    assert are_intact(weights, MODEL, tmp_path)
    (folder / "model.safetensors").touch()
    assert are_intact(weights, MODEL, tmp_path)


def test_a_cache_that_is_only_read_is_hashed_each_time(
    weights: JobWeights, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("pipeline.host.intact.write_json", refuse)
    assert are_intact(weights, MODEL, tmp_path)


def test_discarded_weights_have_no_manifest(weights: JobWeights, folder: Path, tmp_path: Path) -> None:
    discard(weights, MODEL, tmp_path)
    assert not (folder / MANIFEST_FILE).exists()
