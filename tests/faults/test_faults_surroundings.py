"""The clock jumps, the cache can't be written to, weights are missing or damaged."""

import datetime
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.catalog import load_catalog
from pipeline.weights import read_weights, source_sha256, weights_sha256, write_manifest
from tests.containers.support import cannot_run
from tests.faults.register import fault
from tests.faults.rig import GENERATES_SLOWLY, mounted, remount, rig, unrig
from tests.faults.scene import LEAD, Scene, small

OwnWeights = Callable[[str], Path]

MODEL = "gemma-3-270m"
DEAD_INDEX = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_RETRIES": "1",
}
OLDER_CODE = "from pipeline import jobs; jobs.code_sha256 = lambda: '0' * 64"
PAUSES_ARE_SHORT = "from pipeline.host import prepare; prepare.RETRY_PAUSE_S = 0.1"
FALLS_BACK = """
import dataclasses
import transformers
from pipeline.worker import runner
def for_a_gpu(*arguments, before=runner.make_setup):
    return dataclasses.replace(before(*arguments), device="cuda")
runner.make_setup = for_a_gpu
def on_the_cpu(*arguments, before=transformers.AutoModelForCausalLM.from_pretrained, **named):
    return before(*arguments, **{**named, "device_map": {"": "cpu"}})
transformers.AutoModelForCausalLM.from_pretrained = on_the_cpu
"""


@pytest.fixture
def clock(tmp_path: Path) -> dict[str, str]:
    """Variables of a process whose time of day is shifted by what stands in the file CLOCK, read at every look."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        cannot_run("the package faketime is not on this machine")
    file = tmp_path / "clock"
    file.write_text("+0")
    return {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def set_clock(clock: dict[str, str], offset: str) -> None:
    """Let the time of day jump by replacing the file at once."""
    file = Path(clock["FAKETIME_TIMESTAMP_FILE"])
    file.with_suffix(".new").write_text(offset)
    file.with_suffix(".new").replace(file)


def started_at(scene: Scene) -> str:
    """Of the run's last command."""
    return str(json.loads(scene.folder.joinpath("run.json").read_text(encoding="utf-8"))["commands"][-1]["started_at"])


@fault("the clock jumps a year ahead and two back while a job runs", part="clock")
def test_the_clock_jumps(scene: Scene, own_cache: Path, clock: dict[str, str]) -> None:
    rig(own_cache, GENERATES_SLOWLY)
    command = scene.start(*LEAD, "--job-timeout", "1", **clock)
    command.until_it_says("lead-3: generate")
    for documents, offset in enumerate(("+365d", "-730d", "+30d"), start=1):
        set_clock(clock, offset)
        command.until(lambda count=documents: len(scene.documents()) >= count, "a document")  # type: ignore[misc]
    ended = command.wait()
    assert (ended.code, ended.result["status"]) == (0, "ok")
    ahead = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=30)
    assert ahead.date().isoformat() in (scene.folder / "report.md").read_text(encoding="utf-8")
    unrig(own_cache)
    scene.aftermath(ended)


@fault("the clock is set back a year between two commands", part="clock")
def test_the_clock_is_set_back(scene: Scene, clock: dict[str, str]) -> None:
    """Of two answers to one question the later command's counts, whatever the dates say."""
    set_clock(clock, "+365d")
    ended = scene.run(*LEAD, prelude=OLDER_CODE, **clock)
    assert ended.code == 0
    ahead = started_at(scene)
    again = scene.aftermath(ended)
    assert started_at(scene) < ahead
    assert len(list(scene.folder.glob("lead-3.*"))) == 3
    assert again.result["job"]["command"] == 3


@fault("the cache is read-only, everything in it is prepared", part="cache")
def test_a_read_only_cache(scene: Scene, own_weights: OwnWeights, brief: Path) -> None:
    own_weights("gguf")
    with mounted("-t", "tmpfs", "tmpfs", over=scene.cache):
        remount(scene.cache, "ro")
        ended = scene.run(*small(brief), "--experiment", "lead-3")
        assert (ended.code, len(ended.results), ended.classes) == (0, 2, {}), ended
        scene.aftermath(ended)


@fault("the cache is read-only, and weights have to be made", part="cache")
def test_a_read_only_cache_without_weights(scene: Scene, own_cache: Path, brief: Path, wheels: dict[str, str]) -> None:
    with mounted("-t", "tmpfs", "tmpfs", over=own_cache):
        remount(own_cache, "ro")
        ended = scene.run(*small(brief), "--experiment", "lead-3", **wheels)
    assert ended.code == 1
    assert ended.classes == {"gguf-q4": "readonly_path"}, ended
    scene.aftermath(ended, **wheels)


@fault("the model is missing and the package index can't be reached", part="weights")
def test_a_missing_model(scene: Scene, own_cache: Path, brief: Path, wheels: dict[str, str]) -> None:
    ended = scene.run(*small(brief), "--experiment", "lead-3", prelude=PAUSES_ARE_SHORT, **DEAD_INDEX)
    assert ended.code == 1
    assert ended.classes == {"gguf-q4": "index_unreachable"}
    again = scene.aftermath(ended, **wheels)
    assert again.stderr.count("ok (kept)") == 1


@fault("the weights are cut short", part="weights")
def test_truncated_weights(scene: Scene, own_weights: OwnWeights, brief: Path, wheels: dict[str, str]) -> None:
    [file] = own_weights("gguf").glob("*.gguf")
    os.truncate(file, file.stat().st_size // 2)
    ended = scene.run(*small(brief), **wheels)
    assert (ended.code, ended.result["status"]) == (0, "ok"), ended
    scene.aftermath(f"{ended.said()}, made again")


@fault("one bit of the weights has flipped", part="weights")
def test_a_flipped_bit(scene: Scene, own_weights: OwnWeights, brief: Path, wheels: dict[str, str]) -> None:
    [file] = own_weights("gguf").glob("*.gguf")
    with file.open("r+b") as stream:
        stream.seek(file.stat().st_size // 2)
        [byte] = stream.read(1)
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte ^ 1]))
    ended = scene.run(*small(brief), **wheels)
    assert (ended.code, ended.result["status"]) == (0, "ok"), ended
    assert "changed since they were prepared; they are made again" in ended.stderr
    scene.aftermath(f"{ended.said()}, noticed and made again")


@fault("a safetensors file ends within its tensors, and its manifest agrees", part="weights")
def test_weights_prepared_from_a_damaged_file(scene: Scene, own_weights: OwnWeights, brief: Path) -> None:
    """Only the engine can find out."""
    own_weights("gguf")  # what they are made from
    folder, catalog = own_weights("hf"), load_catalog()
    weights = read_weights(catalog, MODEL, "hf", scene.cache)
    assert weights is not None
    file = folder / "model.safetensors"
    os.truncate(file, 1 << 20)  # its header is whole
    write_manifest(folder, replace(weights, sha256=weights_sha256(folder)), source_sha256(catalog, MODEL, "hf"))
    ended = scene.run("--experiment", "none", "--dataset", str(brief), "--docs", "2", "--max-new-tokens", "4")
    assert ended.code == 1
    assert ended.classes == {"none": "weights_truncated"}, ended
    shutil.rmtree(folder)
    own_weights("hf")
    scene.aftermath(ended)


@fault("the engine loads the model on the CPU, and says nothing, where a GPU was asked for", part="worker")
def test_a_silent_fall_back_to_the_cpu(scene: Scene, own_weights: OwnWeights, brief: Path) -> None:
    own_weights("gguf")
    own_weights("hf")
    rig(scene.cache, FALLS_BACK, "transformers")
    ended = scene.run("--experiment", "none", "--dataset", str(brief), "--docs", "2", "--max-new-tokens", "4")
    assert ended.code == 1
    assert ended.classes == {"none": "gpu_not_passed"}, ended
    unrig(scene.cache, "transformers")
    scene.aftermath(ended)
