"""Files that are damaged, and results on disks that fill up, refuse or lose power."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.results import read_documents, read_result
from tests.faults.register import fault
from tests.faults.rig import GENERATES_SLOWLY, cut_power, fill, mounted, remount, rig, root, unrig
from tests.faults.scene import LEAD, PATIENCE_S, Command, Scene

ON_A_FINISHED_JOB = """
from pipeline.report.watch import LineWatcher
told = LineWatcher.finished
def finished(*arguments):
    told(*arguments)
    struck()
LineWatcher.finished = finished
"""
PAGE_BYTES = 4096  # a tmpfs hands out whole pages


@pytest.fixture
def small_disk(scene: Scene) -> Iterator[Path]:
    """The results lie on a disk of one MiB."""
    with mounted("-t", "tmpfs", "-o", "size=1m", "tmpfs", over=scene.results):
        yield scene.results


@pytest.fixture
def disk_that_can_lose_power(scene: Scene, tmp_path: Path) -> Iterator[Path]:
    """The results lie on an ext4 file system of their own."""
    image = tmp_path / "disk"
    with image.open("wb") as stream:
        stream.truncate(32 << 20)
    root("mkfs.ext4", "-q", str(image))
    with mounted("-o", "loop", str(image), over=scene.results):
        subprocess.run(["sync", "--file-system", scene.results], check=True)
        yield image


def generating(scene: Scene, cache: Path, *arguments: str) -> Command:
    """A command whose job has begun to generate, half a second a document."""
    rig(cache, GENERATES_SLOWLY)
    command = scene.start(*LEAD, *arguments)
    command.until(scene.documents, "a document")
    return command


def power_comes_back(scene: Scene, disk: Path) -> None:
    """Mount what reached the disk, once nobody has it open any more.

    A container that starts at this moment has a copy of all mounts until it has let go of those that aren't its own. As
    long as one has this one, the same file system, without power, would be mounted again.
    """
    deadline = time.monotonic() + PATIENCE_S
    while subprocess.run(["umount", scene.results], capture_output=True, check=False).returncode != 0:
        assert time.monotonic() < deadline, f"still open: {scene.processes()}"
        time.sleep(0.1)
    while attached := root("losetup", "--associated", str(disk)):
        assert time.monotonic() < deadline, f"still mounted elsewhere: {attached}"
        time.sleep(0.1)
    subprocess.run(["mount", "-o", "loop", disk, scene.results], check=True)


def finish(scene: Scene) -> Path:
    """Run the job to its end; its folder."""
    assert scene.run(*LEAD).code == 0
    return scene.job_folder("lead-3")


@fault("the results' disk is full", part="files")
def test_a_full_disk(scene: Scene, small_disk: Path) -> None:
    filler = fill(small_disk)
    ended = scene.run(*LEAD)
    assert ended.code == 1
    assert "No space left on device" in ended.stderr
    filler.unlink()
    scene.aftermath(ended)


@fault("the results' disk fills up while a job generates, no byte is left", part="files")
def test_a_disk_that_fills_up(scene: Scene, own_cache: Path, small_disk: Path) -> None:
    command = generating(scene, own_cache)
    filler = fill(small_disk)
    ended = command.wait()
    assert ended.code == 1
    assert "No space left on device" in ended.stderr
    filler.unlink()
    unrig(own_cache)
    scene.aftermath(ended)


@fault("the results' disk fills up while a job generates, and a result still fits", part="files")
def test_a_disk_with_room_for_a_result(scene: Scene, own_cache: Path, small_disk: Path) -> None:
    rig(own_cache, GENERATES_SLOWLY.replace("0.5", "0.1"))
    command = scene.start("--experiment", "lead-3", "--docs", "30")
    command.until(scene.documents, "a document")
    # the documents take 6; a result has the room of the requests, which lie there until the engine is closed
    filler = fill(small_disk, leave_bytes=3 * PAGE_BYTES)
    ended = command.wait()
    assert ended.code == 1, ended
    assert ended.classes == {"lead-3": "disk_full"}, ended
    filler.unlink()
    unrig(own_cache)
    scene.aftermath(ended)


@fault("the results folder is read-only", part="files")
def test_a_read_only_folder(scene: Scene, small_disk: Path) -> None:
    remount(small_disk, "ro")
    ended = scene.run(*LEAD)
    assert ended.code == 2
    assert "the results folder can't be written to" in ended.stderr
    remount(small_disk, "rw")
    scene.aftermath(ended)


@fault("the results' disk is gone in mid-run: input/output errors", part="files")
def test_a_disk_that_goes_away(scene: Scene, own_cache: Path, disk_that_can_lose_power: Path) -> None:
    command = generating(scene, own_cache)
    cut_power(scene.results)
    ended = command.wait()
    assert ended.code == 1
    assert "Traceback" not in ended.stderr
    power_comes_back(scene, disk_that_can_lose_power)
    unrig(own_cache)
    scene.aftermath(ended)


@fault("the power fails right after a job", part="files")
def test_power_fails_after_a_job(scene: Scene, disk_that_can_lose_power: Path) -> None:
    """What the command called done is there when the machine is back."""
    code = f"from pathlib import Path; from tests.faults.rig import cut_power; cut_power(Path({str(scene.results)!r}))"
    scene.run(*LEAD, prelude=f"{ON_A_FINISHED_JOB}def struck():\n    {code}\n")
    power_comes_back(scene, disk_that_can_lose_power)
    again = scene.aftermath("the machine is off")
    assert again.stderr.count("ok (kept)") == 1


@fault("the power fails while a job generates, with --resume-documents", part="files")
def test_power_fails_in_mid_job(scene: Scene, own_cache: Path, disk_that_can_lose_power: Path) -> None:
    command = generating(scene, own_cache, "--resume-documents")
    command.until(lambda: len(scene.documents()) >= 3, "three documents")
    # the last may be there to be read, and not on the disk yet, where one is before the next is begun
    before = [document["text"] for document in scene.documents()][:-1]
    cut_power(scene.results)
    command.kill()
    power_comes_back(scene, disk_that_can_lose_power)
    kept = [document["text"] for document in scene.documents()]
    assert kept[: len(before)] == before
    unrig(own_cache)
    again = scene.aftermath("the machine is off")
    assert [document["text"] for document in scene.documents()][: len(kept)] == kept
    assert again.result["timing"]["generate_s"] is None


def damaged(scene: Scene, name: str, content: bytes) -> None:
    """One file of a finished job is damaged, and the job is run again."""
    folder = finish(scene)
    folder.joinpath(name).write_bytes(content)
    again = scene.aftermath("no command runs")
    assert "(kept)" not in again.stderr
    assert read_result(folder / "result.json").status == "ok"


@fault("result.json is cut short", part="files")
def test_a_truncated_result(scene: Scene) -> None:
    whole = finish(scene).joinpath("result.json").read_bytes()
    damaged(scene, "result.json", whole[: len(whole) // 2])


@fault("result.json is empty", part="files")
def test_an_empty_result(scene: Scene) -> None:
    damaged(scene, "result.json", b"")


@fault("result.json holds bytes that are no text", part="files")
def test_a_binary_result(scene: Scene) -> None:
    damaged(scene, "result.json", bytes(range(256)) * 16)


@fault("another job's result.json is damaged", part="files")
def test_another_jobs_damaged_result(scene: Scene) -> None:
    folder = finish(scene)
    other = folder.with_name("lead-3.offline--00000000")
    other.mkdir()
    other.joinpath("result.json").write_bytes(b"\x00")
    ended = scene.run(*LEAD, "--fresh")
    assert (ended.code, ended.result["status"]) == (0, "ok")
    assert f"left out of the report: {other / 'result.json'}" in ended.stderr
    shutil.rmtree(other)
    scene.aftermath(f"{ended.said()}, names it and leaves it out")


def torn(scene: Scene, cache: Path, *arguments: str) -> list[str]:
    """An interrupted job whose documents.jsonl ends in mid-line; the whole lines' texts."""
    command = generating(scene, cache, *arguments)
    command.kill()
    scene.nothing_runs()
    path = scene.job_folder("lead-3") / "documents.jsonl"
    content = path.read_bytes()
    path.write_bytes(content + content[:40])
    unrig(cache)
    return [document["text"] for document in scene.documents()]


@fault("documents.jsonl is torn", part="files")
def test_torn_documents(scene: Scene, own_cache: Path) -> None:
    torn(scene, own_cache)
    scene.aftermath("SIGKILL")
    assert len(read_documents(scene.job_folder("lead-3") / "documents.jsonl")) == 4


@fault("documents.jsonl is torn, with --resume-documents", part="files")
def test_torn_documents_that_are_gone_on_with(scene: Scene, own_cache: Path) -> None:
    texts = torn(scene, own_cache, "--resume-documents")
    scene.aftermath("SIGKILL")
    documents = read_documents(scene.job_folder("lead-3") / "documents.jsonl")
    assert len(documents) == 4
    assert [document.text for document in documents][: len(texts)] == texts


@fault("job.json of an interrupted job is damaged", part="files")
def test_a_damaged_job(scene: Scene, own_cache: Path) -> None:
    ended = generating(scene, own_cache).kill()
    scene.nothing_runs()
    scene.job_folder("lead-3").joinpath("job.json").write_bytes(b"{\xff")
    unrig(own_cache)
    scene.aftermath(ended)


@fault("run.json is damaged", part="files")
def test_a_damaged_run(scene: Scene) -> None:
    finish(scene)
    scene.folder.joinpath("run.json").write_text('{"name": "stru')
    again = scene.aftermath("no command runs")
    assert again.stderr.count("ok (kept)") == 1
    assert json.loads(scene.folder.joinpath("run.json").read_text(encoding="utf-8"))["commands"]
    assert scene.folder.joinpath("run.json.damaged-1").exists()


@fault("SIGKILL of the orchestrator while --fresh runs a finished job again", part="files")
def test_fresh_is_killed(scene: Scene, own_cache: Path) -> None:
    folder = finish(scene)
    before = folder.joinpath("result.json").read_bytes(), folder.joinpath("documents.jsonl").read_bytes()
    rig(own_cache, GENERATES_SLOWLY)
    command = scene.start(*LEAD, "--fresh")
    command.until(scene.documents, "a document")
    ended = command.kill()
    assert ended.code == -signal.SIGKILL
    unrig(own_cache)
    again = scene.aftermath(ended)
    assert again.stderr.count("ok (kept)") == 1
    assert (folder.joinpath("result.json").read_bytes(), folder.joinpath("documents.jsonl").read_bytes()) == before


@fault("the report can't be written", part="files")
def test_no_report(scene: Scene) -> None:
    report = scene.folder / "report.md"
    report.unlink(missing_ok=True)
    report.mkdir()
    ended = scene.run(*LEAD)
    assert ended.code == 1
    assert "report.md" in ended.stderr
    assert "Traceback" not in ended.stderr
    report.rmdir()
    again = scene.aftermath(ended)
    assert again.stderr.count("ok (kept)") == 1
