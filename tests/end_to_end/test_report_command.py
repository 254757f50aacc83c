"""--report over results that lie there: which files it writes, what it says, and what it makes of damage."""

import csv
import io
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator import main
from pipeline.bertscore import BertScores, BertScoreSettings, BertScoreSummary, write_scores
from pipeline.catalog import load_catalog
from pipeline.commands.reports import report as end_with_report
from pipeline.documents import choose, fingerprint, read_documents
from pipeline.files import sha256_file
from pipeline.host.arguments import parse
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.runs import open_runs
from pipeline.report.watch import LineWatcher
from pipeline.results import Result, write_documents, write_result
from tests.builders import make_documents, make_result, make_workload
from tests.conftest import REPOSITORY

DATASET = "sample/howto_en.jsonl"


def leave(results: Path, run: str, name: str, result: Result, scores: tuple[float, ...] = (0.2, 0.3)) -> Path:
    folder = results / run / name
    folder.mkdir(parents=True)
    write_result(folder, result)
    if result.status == "ok":
        write_documents(folder, make_documents(scores))
    if result.status == "failed":
        (folder / "log.txt").write_text("what happened\n")
    return folder


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A run of three experiments, and another on another machine."""
    folder = tmp_path / "results"
    work = make_workload(docs=2)
    leave(folder, "mine", "none--1", make_result("none", 0.5, run="mine", workload=work, docs=2))
    leave(folder, "mine", "vllm--2", make_result("vllm", 1.0, run="mine", workload=work, docs=2))
    leave(folder, "mine", "8-bit--3", make_result("8-bit", run="mine", workload=work, status="failed"))
    t4 = make_result("none", 2.0, run="other", workload=work, docs=2, gpu="t4", gpu_name="Tesla T4")
    leave(folder, "other", "none--4", t4)
    return folder


def report(results: Path, *arguments: str) -> int:
    return main(["--report", *arguments, "--results", str(results), "--data", str(REPOSITORY / "data")])


def test_all_files_are_written_into_the_runs_folder(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(results, "mine", "--formats", "html,md,csv") == 0
    files = {path.name for path in (results / "mine").glob("report.*")}
    assert files == {"report.html", "report.md", "report.csv"}
    said = capsys.readouterr().out
    assert "On this CPU, vllm summarises 1 documents a second, 2 times the baseline" in " ".join(said.split())
    assert all(f"Report:  {results / 'mine' / name}" in said for name in files)


def test_logs_are_named_from_the_results_folder(results: Path) -> None:
    report(results, "mine", "--formats", "md")
    assert "log: `mine/8-bit--3/log.txt`" in (results / "mine" / "report.md").read_text(encoding="utf-8")


def test_several_runs_make_one_report_elsewhere_whose_paths_lead_back(results: Path, tmp_path: Path) -> None:
    output = tmp_path / "reports" / "both"
    assert report(results, "mine", str(results / "other"), "--output", str(output), "--formats", "md") == 0
    text = (output / "report.md").read_text(encoding="utf-8")
    assert "## Across machines" in text
    assert "`../results/mine/8-bit--3/log.txt`" in text
    assert not (results / "mine" / "report.md").exists()


def test_a_run_that_is_named_twice_counts_once(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = ("mine", "./mine", f"{results / 'mine'}/")
    assert report(results, *named, "--output", str(tmp_path / "out"), "--json", "--formats", "csv") == 0
    made = json.loads(capsys.readouterr().out)
    assert made["runs"] == ["mine"]
    assert [len(row["launches"]) for row in made["tables"][0]["rows"]] == [1, 1, 1]


def test_two_runs_of_one_name_are_not_merged(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "elsewhere" / "mine"
    shutil.copytree(results / "mine", other)
    output = ("--output", str(tmp_path / "reports" / "both"), "--json", "--formats", "csv")
    assert report(results, "mine", str(other), *output) == 0
    rows = json.loads(capsys.readouterr().out)["tables"][0]["rows"]
    assert {row["experiment"] for row in rows} == {
        f"{name} (../{place}/mine)" for name in ("none", "vllm", "8-bit") for place in ("results", "elsewhere")
    }


def test_json_is_the_whole_report_and_nothing_else_on_standard_output(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(results, "mine", "--json", "--formats", "csv") == 0
    value = json.loads(capsys.readouterr().out)
    assert value["runs"] == ["mine"]
    assert [row["experiment"] for row in value["tables"][0]["rows"]] == ["vllm", "none", "8-bit"]


def test_the_baseline_the_margin_and_the_price_reach_the_report(results: Path) -> None:
    options = ("--baseline", "vllm", "--margin", "0.2", "--price-per-hour", "3.6", "--formats", "csv")
    report(results, "mine", *options)
    with (results / "mine" / "report.csv").open(newline="", encoding="utf-8") as stream:
        none = next(row for row in csv.DictReader(stream) if row["experiment"] == "none")
    assert (none["baseline"], none["speed_ratio"], none["cost_per_1000"]) == ("vllm", "0.5", "2.0")


def test_a_baseline_without_a_result_is_refused_with_those_there_are(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(results, "mine", "--baseline", "4-bit") == 2
    assert "--baseline 4-bit: no result is of it; there are 8-bit, none, vllm" in capsys.readouterr().err


def test_a_run_that_is_not_there_is_bad_usage(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(results, "mime") == 2
    assert "'mime': no run of that name and no run's folder" in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_bad_usage_and_stays_empty(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (results / "norun").mkdir()
    assert report(results, "norun") == 2
    assert "'norun': no run of that name and no run's folder" in capsys.readouterr().err
    assert list((results / "norun").iterdir()) == []


def test_a_damaged_run_file_is_named_once(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (results / "mine" / "run.json").write_text("{")
    assert report(results, "mine", "--formats", "md") == 0
    told = capsys.readouterr().err
    assert told.count(f"left out of the report: {results / 'mine' / 'run.json'}: not valid JSON") == 1


def test_a_pdf_that_no_browser_can_make_is_noted_once_and_an_older_one_goes(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    old = results / "mine" / "report.pdf"
    old.write_text("of an earlier report")
    assert report(results, "mine") == 0
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if "pdf" in line] == ["report.pdf was left out: no browser was found to print it"]
    assert not old.exists()


def test_a_browser_that_prints_nothing_is_named(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    browser = tmp_path / "chromium"
    browser.write_text("#!/bin/sh\nexit 1\n")
    browser.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert report(results, "mine", "--formats", "pdf") == 0
    assert f"report.pdf was left out: {browser} did not print the page" in capsys.readouterr().err


TEXT = "A summary of article"


def test_texts_that_are_left_out_are_in_no_file_and_their_datasets_are_not_missed(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = ("--results", str(results), "--data", str(tmp_path / "nowhere"))
    assert main(["--report", "mine", "--formats", "html,md,csv", *nowhere]) == 0
    assert "documents and references of howto_en are not shown" in capsys.readouterr().err
    assert TEXT in (results / "mine" / "report.html").read_text(encoding="utf-8")
    assert main(["--report", "mine", "--formats", "html,md,csv", "--without-texts", *nowhere]) == 0
    assert "are not shown" not in capsys.readouterr().err
    for file in (results / "mine").glob("report.*"):
        assert TEXT not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(("options", "held"), [([], True), (["--without-texts"], False)])
def test_a_runs_own_report_leaves_texts_out_too(results: Path, options: list[str], held: bool) -> None:
    arguments = parse(["--all", "--formats", "html", *options], load_catalog(), LAUNCHERS)
    end_with_report(open_runs(["mine"], results)[0], arguments, LineWatcher(io.StringIO()))
    assert (TEXT in (results / "mine" / "report.html").read_text(encoding="utf-8")) == held


def test_where_no_pdf_was_asked_for_none_is_missed(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert report(results, "mine", "--formats", "html,md,csv") == 0
    assert "pdf" not in capsys.readouterr().err


def test_a_terminal_that_is_not_utf_8_still_gets_the_report(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert report(results, "mine", "--formats", "md") == 0
    sys.stdout.flush()
    assert b"vllm summarises 1 documents a second" in written.getvalue()


def test_damaged_and_foreign_results_are_named_and_left_out(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (results / "mine" / "vllm--2" / "result.json").write_text("{")
    foreign = results / "mine" / "foreign" / "result.json"
    foreign.parent.mkdir()
    foreign.write_text('{"schema_version": 99}')
    assert report(results, "mine", "--formats", "md") == 0
    told = capsys.readouterr().err
    assert f"left out of the report: {results / 'mine' / 'vllm--2' / 'result.json'}" in told
    assert f"left out of the report: {foreign}: schema_version 99, this version reads 1" in told
    assert "vllm" not in (results / "mine" / "report.md").read_text(encoding="utf-8")


def test_damaged_documents_are_named_and_the_result_stays(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (results / "mine" / "vllm--2" / "documents.jsonl").write_text("{\n")
    assert report(results, "mine", "--formats", "md") == 0
    assert "documents.jsonl: line 1: not valid JSON" in capsys.readouterr().err
    assert "| **vllm**" in (results / "mine" / "report.md").read_text(encoding="utf-8")


def test_documents_that_were_cut_off_are_named_and_move_no_row(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = results / "mine" / "none--1" / "documents.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    assert report(results, "mine", "--json", "--formats", "csv") == 0
    told = capsys.readouterr()
    assert f"{path}: does not hold the 2 documents that the job completed, but 1" in told.err
    assert [row["standing"] for row in json.loads(told.out)["tables"][0]["rows"]] == ["ranked", "ranked", "failed"]


def test_documents_too_long_for_the_model_are_missed_by_nobody(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = results / "mine" / "none--1"
    skipped = replace(make_documents((0.2, 0.3, 0.4))[-1], finish_reason="too_long")
    write_documents(folder, [*make_documents((0.2, 0.3)), skipped])
    assert report(results, "mine", "--formats", "md") == 0
    assert "documents.jsonl" not in capsys.readouterr().err


def test_bertscore_is_read_where_it_is_of_the_outputs_that_lie_there(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = results / "mine" / "none--1"
    settings = BertScoreSettings("roberta-large", "r", "s", layer=17, max_tokens=512, device="cpu")
    scores = [BertScores(item.id, 0.8, 0.9, 0.85) for item in make_documents((0.2, 0.3))]
    for digest, shown in ((sha256_file(folder / "documents.jsonl"), 0.85), ("0" * 64, None)):
        write_scores(folder, scores, BertScoreSummary(settings, digest, 2, 0.8, 0.9, 0.85))
        report(results, "mine", "--json", "--formats", "csv")
        rows = json.loads(capsys.readouterr().out)["tables"][0]["rows"]
        found = next(row for row in rows if row["experiment"] == "none")["scores"].get("bertscore_f1")
        assert (found and found["value"]) == shown


def test_bertscores_of_no_document_that_lies_there_are_no_score(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = results / "mine" / "none--1"
    settings = BertScoreSettings("roberta-large", "r", "s", layer=17, max_tokens=512, device="cpu")
    summary = BertScoreSummary(settings, sha256_file(folder / "documents.jsonl"), 0, 0.8, 0.9, 0.85)
    for scores in ([], [BertScores("another", 0.8, 0.9, 0.85)]):
        write_scores(folder, scores, summary)
        report(results, "mine", "--json", "--formats", "md,html,csv")
        rows = json.loads(capsys.readouterr().out)["tables"][0]["rows"]
        assert all("bertscore_f1" not in row["scores"] for row in rows)


def test_a_link_in_place_of_the_documents_is_not_followed(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    documents = results / "mine" / "vllm--2" / "documents.jsonl"
    documents.unlink()
    documents.symlink_to(results / "mine" / "none--1" / "documents.jsonl")
    report(results, "mine", "--json", "--formats", "md")
    told = capsys.readouterr()
    assert "documents.jsonl: a link, which no job leaves" in told.err
    assert all(list(item["outputs"]) == ["none"] for item in json.loads(told.out)["tables"][0]["documents"])


def test_results_of_before_there_were_launches_and_rates_are_read(results: Path) -> None:
    """Fields that were added to schema 1 later may be missing."""
    path = results / "mine" / "none--1" / "result.json"
    value = json.loads(path.read_text(encoding="utf-8"))
    for part, names in {
        "job": ("repeats", "preset", "command"),
        "environment": ("rates", "throttled"),
        "timing": ("prefill_s", "decode_s"),
        "metrics": ("overhead_bytes", "activations_bytes", "docs_too_long"),
        "quality": ("hit_limit", "copied_outputs", "coverage_mean", "density_mean", "repetition_mean"),
    }.items():
        for name in names:
            del value[part][name]
    del value["roofline"], value["roofline_measured"], value["attempts"]
    path.write_text(json.dumps(value), encoding="utf-8")
    lines = [json.loads(line) for line in (path.parent / "documents.jsonl").read_text().splitlines()]
    for line in lines:
        del line["coverage"], line["density"], line["repetition"]
    (path.parent / "documents.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert report(results, "mine", "--formats", "md,csv") == 0
    assert "| none " in (results / "mine" / "report.md").read_text(encoding="utf-8")


def test_references_are_shown_where_the_dataset_lies_there_unchanged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    shutil.copytree(REPOSITORY / "data" / "sample", data / "sample")
    chosen = choose(read_documents(data / DATASET), 2, 0)
    work = make_workload(docs=2, documents=DATASET, documents_sha256=fingerprint(chosen))
    leave(tmp_path, "mine", "none--1", make_result("none", run="mine", workload=work, docs=2))
    made = [item.id for item in make_documents((0.2, 0.3))]
    path = tmp_path / "mine" / "none--1" / "documents.jsonl"
    text = path.read_text(encoding="utf-8")
    for fake, article in zip(made, chosen, strict=True):
        text = text.replace(f'"{fake}"', json.dumps(article.id))
    path.write_text(text, encoding="utf-8")

    def documents() -> tuple[list[dict[str, object]], str]:
        arguments = ["--report", "mine", "--results", str(tmp_path), "--data", str(data), "--json", "--formats", "csv"]
        assert main(arguments) == 0
        told = capsys.readouterr()
        return json.loads(told.out)["tables"][0]["documents"], told.err

    shown, _ = documents()
    assert [(item["id"], item["reference"]) for item in shown] == [(item.id, item.summary) for item in chosen]
    lines = (data / DATASET).read_text(encoding="utf-8").splitlines(keepends=True)
    (data / DATASET).write_text("".join(line.replace("the", "a") for line in lines), encoding="utf-8")
    shown, told = documents()
    assert {item["reference"] for item in shown} == {None}
    assert "holds others than those that were summarised" in told
