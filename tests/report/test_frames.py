"""Runs as DataFrames: every job, document and repeat there, under its own name, and nothing made up."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pipeline.documents import fingerprint, read_documents
from pipeline.errors import UsageError
from pipeline.measures import DocumentResult
from pipeline.report.frames import Frames, load
from pipeline.results import write_documents, write_result
from tests.builders import make_result, make_workload

DATA = Path(__file__).parent.parent.parent / "data"
SCORES = {"none": (0.30, 0.20, 0.25, 0.35), "vllm": (0.28, 0.16, 0.26, 0.33)}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Frames:
    """A run of two experiments in two launches each, over four documents, and one that failed."""
    results = tmp_path_factory.mktemp("results")
    chosen = read_documents(DATA / "sample" / "howto_en.jsonl")[:4]
    work = make_workload(docs=4, documents_sha256=fingerprint(chosen))
    for name, scores in SCORES.items():
        for launch in (1, 2):
            result = make_result(name, docs_per_s=launch / 2, docs=4, launch=launch, workload=work, run="mine")
            result = replace(result, timing=replace(result.timing, generate_s=8.0, repeats=(4.0, 12.0)))
            folder = results / "mine" / f"{name}--{launch}"
            folder.mkdir(parents=True)
            write_result(folder, result)
            lines = [
                DocumentResult(document.id, "text", "stop", output_tokens=9, latency_s=1.0, rouge1_f1=score)
                for document, score in zip(chosen, scores, strict=True)
            ]
            write_documents(folder, lines)
    broken = results / "mine" / "vllm-awq--1"
    broken.mkdir()
    write_result(broken, make_result("vllm-awq", status="failed", workload=work, run="mine"))
    return load(["mine"], results, DATA)


def test_every_job_is_there_with_the_fields_of_its_result(found: Frames) -> None:
    assert list(found.jobs.experiment) == ["none", "none", "vllm", "vllm", "vllm-awq"]
    assert list(found.jobs["metrics.docs_per_s"].dropna()) == [0.5, 1.0, 0.5, 1.0]
    assert found.jobs.status.iloc[-1] == "failed"
    assert found.jobs["failure.class"].iloc[-1]


def test_what_a_job_does_not_know_is_missing_and_not_zero(found: Frames) -> None:
    assert pd.isna(found.jobs["metrics.docs_per_s"].iloc[-1])
    assert found.documents.ttft_s.isna().all()


def test_every_document_of_every_launch_has_a_line(found: Frames) -> None:
    scores = found.documents.query("experiment == 'vllm' and launch == 2").rouge1_f1
    assert tuple(scores) == SCORES["vllm"]
    assert len(found.documents) == 16


def test_every_repeat_has_its_seconds_and_its_speed(found: Frames) -> None:
    mine = found.repeats.query("experiment == 'none' and launch == 1")
    assert list(mine.repeat) == [1, 2]
    assert list(mine.docs_per_s) == pytest.approx([4 / 4.0, 4 / 12.0])


def test_the_ranking_has_a_line_a_row_and_the_launches_behind_it(found: Frames) -> None:
    assert set(found.ranking.experiment) == {"none", "vllm", "vllm-awq"}
    assert set(found.ranking.table) == {1}
    assert list(found.launches.query("experiment == 'none'").docs_per_s) == [0.5, 1.0]
    assert set(found.launches.folder) == set(found.jobs.folder)


def test_differences_are_paired_over_the_documents(found: Frames) -> None:
    [difference] = found.differences.query("experiment == 'vllm' and score == 'rouge1_f1'").itertuples()
    pairs = zip(SCORES["vllm"], SCORES["none"], strict=True)
    assert difference.baseline == "none"
    assert difference.documents == 4
    assert difference.difference == pytest.approx(sum(mine - base for mine, base in pairs) / 4)


def test_columns_of_which_nothing_is_known_can_be_computed_with(found: Frames) -> None:
    assert found.ranking.docs_per_s_low.dtype == float


def test_a_run_that_is_named_twice_is_loaded_once(tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "none--1"
    folder.mkdir(parents=True)
    write_result(folder, make_result("none", status="failed", run="mine"))
    assert len(load(["mine", "./mine", str(tmp_path / "mine")], tmp_path, DATA).jobs) == 1


def test_a_damaged_run_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "run.json").write_text("{")
    assert "run.json: not valid JSON" in load(["mine"], tmp_path, DATA).left_out[0]


def test_a_damaged_result_is_named_and_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "none--1"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text("{")
    left = load(["mine"], tmp_path, DATA)
    assert left.jobs.empty and left.ranking.empty
    assert "none--1/result.json" in left.left_out[0]


def test_a_run_that_is_not_there_is_an_error_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run of that name"):
        load(["nothing"], tmp_path, DATA)
