"""--explain-speed over results that lie there: what it prints, which file it writes, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator import main
from pipeline.results import read_result, write_documents, write_result
from tests.builders import make_documents, make_result, make_workload
from tests.conftest import REPOSITORY

SETTLED: dict[str, Any] = {"engine_args": {"device": "cpu"}, "dtype": "bfloat16", "run": "mine"}
EXAMPLE = REPOSITORY / "docs" / "examples" / "h200" / "synthetic"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A run with the baseline one document at a time and in batches, and 4-bit weights in batches."""
    folder = tmp_path / "results"
    for name, speed, fields in (
        ("none", 0.5, {"scenario": "single", "batch_size_used": 1}),
        ("none", 2.0, {"batch_size_used": 2}),
        ("4-bit", 3.0, {"batch_size_used": 2, "quantization": "bitsandbytes nf4"}),
    ):
        place = folder / "mine" / f"{name}.{fields.get('scenario', 'offline')}"
        place.mkdir(parents=True)
        work = make_workload(docs=2)
        write_result(place, make_result(name, speed, workload=work, docs=2, **SETTLED, **fields))
        write_documents(place, make_documents((0.2, 0.3)))
    return folder


def explain(results: Path, *arguments: str) -> int:
    return main(["--explain-speed", *arguments, "--results", str(results)])


def test_the_factors_are_printed(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(results, "mine") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "4-bit at 2 documents a step is 6 times as fast as none one document at a time: batching 4.00×, weight "
        "precision 1.50×." in said
    )
    assert "The factors multiply to 6.00×, which is the whole." in said


def test_the_document_is_written_where_it_was_asked_for_without_this_machines_folders(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "docs" / "speed.md"
    assert explain(results, "mine", "--output", str(output)) == 0
    assert f"Document: {output}" in capsys.readouterr().out
    text = output.read_text(encoding="utf-8")
    assert text.startswith("# Where the speed comes from: mine\n")
    assert "python orchestrator.py --explain-speed mine --output speed.md --results results" in text
    assert str(tmp_path) not in text


def test_the_same_results_make_the_same_document_again(results: Path, tmp_path: Path) -> None:
    output = tmp_path / "speed.md"
    explain(results, "mine", "--output", str(output))
    first = output.read_bytes()
    assert explain(results, "mine", "--output", str(output)) == 0
    assert output.read_bytes() == first


def add_model(results: Path, name: str) -> None:
    """The run with the same rows of another model, each ten times as fast."""
    for path in sorted((results / "mine").iterdir()):
        result = read_result(path / "result.json")
        place = path.with_name(f"{path.name}.{name}")
        place.mkdir()
        metrics = replace(result.metrics, docs_per_s=10 * result.metrics.docs_per_s)
        timing = replace(result.timing, generate_s=result.timing.generate_s / 10)
        write_result(place, replace(result, job=replace(result.job, model=name), metrics=metrics, timing=timing))
        write_documents(place, make_documents((0.2, 0.3)))


def test_a_run_of_several_models_is_explained_one_at_a_time(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_model(results, "mistral-7b-instruct")
    assert explain(results, "mine") == 2
    assert "it is of gemma-3-270m, mistral-7b-instruct; name one of them with --model" in capsys.readouterr().err
    assert explain(results, "mine", "--model", "mistral-7b-instruct") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "model mistral-7b-instruct" in said and "The factors multiply to 6.00×" in said


def test_a_model_that_the_run_does_not_hold_is_answered_with_those_that_it_holds(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(results, "mine", "--model", "llama-2-7b-chat") == 2
    assert "mine holds nothing of it, only of gemma-3-270m" in capsys.readouterr().err


def test_json_is_the_whole_and_nothing_else_on_standard_output(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(results, "mine", "--json") == 0
    way = json.loads(capsys.readouterr().out)["way"]
    assert [step["thing"] for step in way["steps"]] == ["batching", "weight precision"]


def test_a_damaged_result_is_named_and_left_out(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = results / "mine" / "4-bit.offline" / "result.json"
    damaged.write_text("{")
    assert explain(results, "mine") == 0
    assert f"left out: {damaged}" in capsys.readouterr().err


def test_a_run_that_is_not_there_is_bad_usage(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(results, "mime") == 2
    assert "'mime': no run of that name and no run's folder" in capsys.readouterr().err


def test_a_folder_in_place_of_the_document_is_bad_usage(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(results, "mine", "--output", str(tmp_path)) == 2
    assert f"--output {tmp_path}: a folder" in capsys.readouterr().err


def test_the_example_lacks_the_baseline_one_document_at_a_time_and_says_how_to_measure_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--explain-speed", str(EXAMPLE)]) == 0
    said = capsys.readouterr().out
    assert "none one document at a time was not measured" in " ".join(said.split())
    command = "--docs 8 --seed 1 --max-new-tokens 300 --run synthetic --experiment none --scenario single"
    assert any(line.endswith(command) for line in said.splitlines())


def test_the_document_on_performance_is_what_its_results_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    document = REPOSITORY / "docs" / "performance.md"
    [command] = [line for line in document.read_text(encoding="utf-8").splitlines() if line.startswith("python orches")]
    arguments = command.split()[2:]
    assert arguments[-2:] == ["--output", "docs/performance.md"]
    made = tmp_path / "performance.md"
    assert main([*arguments[:-1], str(made)]) == 0
    # the last part says where it was written
    assert (
        made.read_text(encoding="utf-8").split("## Made by")[0]
        == document.read_text(encoding="utf-8").split("## Made by")[0]
    )
