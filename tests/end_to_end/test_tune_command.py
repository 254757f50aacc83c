"""--tune with a real engine: trials are results, and what passed the gate is an experiment from then on.

One tuning of one choice serves all tests; each looks at another part of what it left.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator import main
from pipeline.catalog import load_catalog
from pipeline.commands.tune import judge
from pipeline.host import tune
from pipeline.host.arguments import parse
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.runs import RunFolder
from pipeline.results import read_result, write_documents, write_result
from pipeline.tuning.record import Tuning, read_tuning
from pipeline.tuning.space import Setting
from tests.builders import make_documents, make_result, make_workload

TUNE = ["--tune", "gguf-q4", "--budget", "60", "--gpu", "cpu", "--docs", "3", "--max-new-tokens", "8", "--run", "mine"]
SUBJECTS = ("cat", "dog", "horse", "cow", "hen", "fox", "bear", "seal")
# fewer tokens in one computation change no text
ONE_CHOICE = {"llama_cpp": (Setting("physical_batch", "n_ubatch", (256,)),)}


@dataclass
class Tuned:
    """Two commands over one folder, the second with --json."""

    results: Path
    folders: list[str]
    before: bytes
    status: int
    tuning: Tuning


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune, "load_settings", lambda: ONE_CHOICE)
        yield patch


def orchestrate(results: Path, cache: Path, *arguments: str) -> int:
    folders = ["--results", str(results), "--cache", str(cache), "--data", str(results.parent / "data")]
    dataset = ["--dataset", str(results.parent / "short.jsonl")]
    return main([*arguments, *dataset, *folders, "--launcher", "process", "--formats", "md,csv,html"])


@pytest.fixture(scope="module")
def one_core() -> Iterator[None]:
    """An engine whose threads wait for each other all but stops where others take a core from one of them."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    yield
    os.sched_setaffinity(0, cores)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, cache: Path, told: pytest.MonkeyPatch, one_core: None) -> Tuned:
    results = tmp_path_factory.mktemp("tune") / "results"
    lines = [
        {
            "id": name,
            "document": f"The {name} sat in the sun. It was warm. Then the {name} slept.",
            "summary": f"A {name}.",
        }
        for name in SUBJECTS
    ]
    (results.parent / "data").mkdir()
    (results.parent / "short.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    status = orchestrate(results, cache, *TUNE)
    tuning = read_tuning(results / "mine")
    assert tuning is not None
    folders = sorted(path.parent.name for path in results.glob("mine/*/result.json"))
    return Tuned(results, folders, (results / "mine" / "tuning.json").read_bytes(), status, tuning)


def test_every_trial_is_a_job_with_its_result(tuned: Tuned) -> None:
    assert tuned.status == 0
    assert [trial.why for trial in tuned.tuning.trials] == ["untuned", "alone"]
    results = {
        path.name: read_result(tuned.results / "mine" / path / "result.json") for path in map(Path, tuned.folders)
    }
    found = {result.job.experiment: result for result in results.values()}
    assert {result.status for result in found.values()} == {"ok"}
    assert found["gguf-q4"].job.tuned is None
    trial = found["gguf-q4-t1"]
    assert trial.job.tuned is not None and trial.job.tuned.settings == {"physical_batch": 256}
    assert trial.settings.engine_args["n_ubatch"] == 256
    assert trial.metrics is not None and trial.metrics.docs_per_s == tuned.tuning.trials[1].docs_per_s


def test_the_report_and_the_document_of_the_tuning_lie_in_the_runs_folder(tuned: Tuned) -> None:
    folder = tuned.results / "mine"
    assert (folder / "tuning.md").read_text(encoding="utf-8").startswith("# Tuning gguf-q4\n")
    for name in ("report.md", "report.csv", "report.html"):
        assert "gguf-q4-t1" in (folder / name).read_text(encoding="utf-8"), name


def test_a_preset_is_kept_if_and_only_if_the_gate_passed(tuned: Tuned) -> None:
    passed = any(judged.judgement == "pass" for judged in tuned.tuning.judged)
    assert (tuned.results / "tuned.yaml").exists() is passed is (tuned.tuning.preset is not None)


def test_the_same_command_again_runs_nothing_anew(
    tuned: Tuned, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert orchestrate(tuned.results, cache, *TUNE, "--json") == 0
    said = capsys.readouterr()
    assert ": load" not in said.err
    told: dict[str, Any] = json.loads(said.out)
    assert told["trials"] == json.loads(tuned.before)["trials"]
    assert sorted(path.parent.name for path in tuned.results.glob("mine/*/result.json")) == tuned.folders


def test_the_run_can_be_reported_on_and_its_speed_explained(
    tuned: Tuned, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert orchestrate(tuned.results, cache, "--report", "mine") == 0
    assert orchestrate(tuned.results, cache, "--explain-speed", "mine", "--baseline", "gguf-q4") == 0
    assert "gguf-q4-t1" in capsys.readouterr().out


def test_another_tuning_in_the_same_run_is_refused(
    tuned: Tuned, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = [*TUNE[:6], "--docs", "2", *TUNE[8:]]
    assert orchestrate(tuned.results, cache, *other) == 2
    assert "another tuning ran there (gguf-q4, gemma-3-270m on cpu, 3 documents, offline)" in capsys.readouterr().err


@pytest.mark.parametrize("compared", [[], ["--baseline", "4-bit"]])
def test_trials_are_judged_against_the_untuned_row_whatever_the_report_compares_with(
    compared: list[str], tmp_path: Path
) -> None:
    scores, work = [0.1 + number / 1000 for number in range(30)], make_workload(docs=30)
    for name, part in (("none", 1.0), ("4-bit", 0.5), ("none-t1", 1.0), ("none-t2", 0.5)):
        place = tmp_path / "mine" / f"{name}.offline"
        place.mkdir(parents=True)
        write_result(place, make_result(name, workload=work, docs=30, run="mine"))
        write_documents(place, make_documents([score * part for score in scores]))
    arguments = parse(["--gpu", "cpu", "--tune", "none", *compared], load_catalog(), LAUNCHERS)
    found = judge(RunFolder(tmp_path, "mine"), arguments, ["none-t1", "none-t2"])
    assert {name: judged.judgement for name, judged in found.items()} == {"none-t1": "pass", "none-t2": "fail"}
