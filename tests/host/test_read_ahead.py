"""What is read into the page cache, when, and only once."""

import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pipeline.catalog import load_catalog
from pipeline.hardware import Hardware
from pipeline.host import read_ahead
from pipeline.host.environments import environment_folder
from pipeline.host.launchers.process import ProcessLauncher
from pipeline.host.page_cache import SMALL_BYTES, files_below, libraries_below, missing_bytes, read_in
from pipeline.host.read_ahead import ReadAhead, for_run
from pipeline.spec import JobGpu, JobWeights

SIZE = 3 * SMALL_BYTES


def file(path: Path, size: int = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))
    return path


def drop(path: Path) -> None:
    """Take a file out of the page cache, as far as the system follows the advice."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@pytest.fixture
def ahead() -> Iterator[ReadAhead]:
    made = ReadAhead(enabled=True, room_bytes=lambda: 1 << 30)
    with made.running():
        yield made


@pytest.fixture(autouse=True)
def _all_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system of the tests' may hold its files in memory: every file counts as one that has to be read."""
    monkeypatch.setattr(read_ahead, "missing_bytes", lambda path: path.stat().st_size)


def read(ahead: ReadAhead, own: Sequence[Path], following: Sequence[Path] = (), phases: Sequence[str] = ()) -> int:
    before = ahead.read_bytes
    with ahead.job(lambda: own, lambda: following):
        for phase in phases:
            ahead.phase(phase)  # type: ignore[arg-type]
        ahead.wait()
    return ahead.read_bytes - before


def test_a_file_that_was_read_is_resident(tmp_path: Path) -> None:
    path = file(tmp_path / "weights")
    assert sum(read_in(path, bytearray(1 << 20), threading.Event())) == SIZE
    assert missing_bytes(path) == 0


def test_what_was_dropped_from_the_page_cache_is_missing(tmp_path: Path) -> None:
    path = file(tmp_path / "weights")
    drop(path)
    if subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True).stdout.strip() == "tmpfs":
        pytest.skip("the files of a tmpfs are always in memory")
    assert missing_bytes(path) in (0, SIZE)  # some file systems keep their own counsel


def test_a_job_s_own_files_are_read_as_it_starts(tmp_path: Path, ahead: ReadAhead) -> None:
    assert read(ahead, [file(tmp_path / "weights")]) == SIZE


def test_two_jobs_over_the_same_weights_have_them_read_once(tmp_path: Path, ahead: ReadAhead) -> None:
    path = file(tmp_path / "weights")
    (tmp_path / "link").symlink_to(path)
    assert read(ahead, [path]) == SIZE
    assert read(ahead, [path, tmp_path / "link"]) == 0


def test_the_next_job_s_files_are_read_once_the_job_generates_and_not_before(tmp_path: Path, ahead: ReadAhead) -> None:
    following = file(tmp_path / "next")
    assert read(ahead, [], [following], ["load", "warmup"]) == 0
    assert read(ahead, [], [following], ["load", "warmup", "generate"]) == SIZE


def test_what_was_read_in_the_timed_section_is_told(tmp_path: Path, ahead: ReadAhead) -> None:
    read(ahead, [file(tmp_path / "own")], [file(tmp_path / "next")], ["load"])
    assert ahead.timed_bytes == 0
    read(ahead, [], [file(tmp_path / "next")], ["generate"])
    assert ahead.timed_bytes == SIZE


def test_nothing_is_read_that_memory_has_no_room_for(tmp_path: Path) -> None:
    full = ReadAhead(enabled=True, room_bytes=lambda: SIZE - 1)
    with full.running():
        assert read(full, [file(tmp_path / "weights")]) == 0


def test_files_that_are_gone_or_empty_are_passed_by(tmp_path: Path, ahead: ReadAhead) -> None:
    assert read(ahead, [tmp_path / "gone", file(tmp_path / "empty", 0), file(tmp_path / "there")]) == SIZE


def test_what_is_off_reads_nothing_and_says_that_it_can_t_tell(tmp_path: Path) -> None:
    off = ReadAhead(enabled=False)
    with off.running():
        assert read(off, [file(tmp_path / "weights")], [file(tmp_path / "next")], ["generate"]) == 0
    assert off.timed_bytes is None


def hardware(device: str, *, present: bool = True) -> Hardware:
    return Hardware(JobGpu("it", "It", device), "float32", present=present)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("device", "present", "cores", "resumes", "expected"),
    [
        ("cuda", True, 8, False, True),
        ("cuda", True, 2, False, False),
        ("cuda", True, 8, True, False),
        ("cuda", False, 8, False, False),
        ("cpu", True, 64, False, False),
    ],
)
def test_only_a_gpu_run_with_cores_to_spare_reads_ahead(
    monkeypatch: pytest.MonkeyPatch, device: str, present: bool, cores: int, resumes: bool, expected: bool
) -> None:
    monkeypatch.setattr(read_ahead, "usable_cpus", lambda: cores)
    assert for_run(hardware(device, present=present), resumes=resumes).enabled is expected


def test_of_an_environment_its_shared_libraries_and_compiled_modules_are_read(tmp_path: Path) -> None:
    wanted = {
        file(tmp_path / name, 1) for name in ("torch/lib/libtorch.so", "nvidia/libcublas.so.13", "a/m.cpython.pyc")
    }
    file(tmp_path / "torch" / "version.py", 1)
    assert set(libraries_below(tmp_path)) == wanted


def test_weights_may_be_a_file_or_a_folder(tmp_path: Path) -> None:
    folder = [file(tmp_path / "hf" / name, 1) for name in ("a", "b")]
    assert list(files_below(tmp_path / "hf")) == folder
    assert list(files_below(folder[0])) == folder[:1]
    assert list(files_below(tmp_path / "gone")) == []


def test_the_process_launcher_names_its_environment_s_libraries_and_the_weights(tmp_path: Path) -> None:
    image = load_catalog().images["vllm"]
    [variant] = [variant for variant in image.variants if variant.name == "cpu"]
    library = file(environment_folder(tmp_path, image, variant) / "lib" / "libtorch.so", 1)
    shard = file(tmp_path / "models" / "hf" / "model.safetensors", 1)
    weights = JobWeights("hf", "models/hf", "real", "main", "0" * 64)
    launcher = ProcessLauncher(tmp_path, tmp_path, tmp_path)
    assert list(launcher.files(image, variant, weights)) == [library, shard]
    assert list(launcher.files(image, variant, None)) == [library]
