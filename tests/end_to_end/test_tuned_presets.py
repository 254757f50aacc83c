"""Tuned presets of a results folder among the experiments: listed, planned, asked for by name; a damaged file."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator import main
from pipeline.catalog import load_catalog
from pipeline.tuning.preset import PRESETS_FILE, add_preset, as_preset
from pipeline.tuning.space import changed, load_settings, space_for

CATALOG = load_catalog()
NAME = "gguf-q4-tuned-cpu-gemma-3-270m"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with a preset for the embedded model on a CPU."""
    original = CATALOG.experiments["gguf-q4"]
    space = space_for(original, load_settings()["llama_cpp"], "cpu", "offline", real_weights=True)
    trial = changed(original, space, {"physical_batch": 256}, "gguf-q4-t1")
    folder = tmp_path / "results"
    folder.mkdir()
    add_preset(folder, as_preset(trial, original, "cpu", "gemma-3-270m", "tuned in a test"))
    return folder


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def planned(results: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    rows = told(capsys, "--plan", *arguments, "--launcher", "process", "--results", str(results))["plan"]
    return {row["experiment"]: row for row in rows}


def test_the_list_shows_a_preset_behind_what_it_was_made_of(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--results", str(results)]) == 0
    lines = capsys.readouterr().out.splitlines()
    [place] = [number for number, line in enumerate(lines) if NAME in line]
    assert "gguf-q4 " in lines[place - 1]
    names = list(told(capsys, "--list", "--results", str(results))["catalog"]["experiments"])
    assert names[names.index("gguf-q4") + 1] == NAME


def test_another_results_folder_has_no_such_experiment(
    tmp_path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--plan", "--gpu", "cpu", "--experiment", NAME, "--results", str(tmp_path / "other")]) == 2
    assert f"unknown experiment '{NAME}'" in capsys.readouterr().err


@pytest.mark.parametrize("asked", [("--all",), ("--experiment", NAME)])
def test_a_preset_is_planned_where_it_was_tuned_for(
    asked: tuple[str, ...], results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert planned(results, capsys, "--gpu", "cpu", *asked)[NAME]["image"] == "llama-cpp"


def test_a_preset_is_skipped_on_another_gpu_with_what_to_tune(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = planned(results, capsys, "--gpu", "t4", "--all", "--model", "gemma-3-270m")[NAME]
    assert "was tuned for gemma-3-270m on cpu, this is gemma-3-270m on t4: --tune gguf-q4" in json.dumps(row)


def test_a_damaged_file_is_an_error_that_names_it_and_the_mend(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (results / PRESETS_FILE).write_text("experiments: [")
    assert main(["--list", "--results", str(results)]) == 2
    said = capsys.readouterr().err
    assert str(results / PRESETS_FILE) in said and "move the file away to do without its presets" in said
