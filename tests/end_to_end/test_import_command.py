"""--import, as its user runs it: into a run, again, with damage, and beside measured rows."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from orchestrator import main
from pipeline.host.runs import RunFolder
from pipeline.results import OtherKind, read_result, write_documents, write_result
from tests.builders import make_documents, make_result
from tests.legacy.pairs import SAMPLE, old_documents, write_pair

STEM = "10_a100_default_batchsize-2"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The published pair, in a folder of one's own."""
    folder = tmp_path / "old files"
    folder.mkdir()
    for kind in ("data", "results"):
        shutil.copy(SAMPLE / f"{kind}_{STEM}.json", folder)
    return folder


def run_import(folder: Path, *more: str) -> int:
    results = folder.parent / "results"
    return main(["--import", str(folder), "--results", str(results), "--formats", "md,csv,html", *more])


def contents(run: Path) -> dict[str, bytes]:
    """The files of the run's jobs."""
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.glob("*/*"))}


def test_a_pair_becomes_a_job_of_a_run_named_after_the_folder(old: Path) -> None:
    assert run_import(old) == 0
    job = old.parent / "results" / "imported-old-files" / f"imported.{STEM}"
    assert sorted(path.name for path in job.iterdir()) == ["articles.txt", "documents.jsonl", "result.json"]
    result = json.loads((job / "result.json").read_text())
    assert (result["status"], result["job"]["experiment"], result["job"]["ranked"]) == ("ok", "none", False)
    assert result["imported"]["data"]["name"] == f"data_{STEM}.json"
    assert (job / "articles.txt").read_text().splitlines()[0] == "https://www.wikihow.com/Change-a-Bathtub-Faucet"


def test_the_report_shows_the_stored_score_beside_the_recomputed_one(
    old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_import(old)
    said = " ".join(capsys.readouterr().out.split())
    assert "Imported results" in said
    assert "none (imported) a100 10 2 0.380 0.380 0.2894 0.2891 -0.0003" in said
    assert "Nothing was measured here: 1 imported result, never ranked." in said


def test_importing_again_changes_nothing(old: Path) -> None:
    run_import(old)
    run = old.parent / "results" / "imported-old-files"
    before = contents(run)
    assert run_import(old) == 0
    assert contents(run) == before


def test_a_pair_that_changed_since_replaces_its_row(old: Path) -> None:
    run_import(old, "--run", "old")
    write_pair(old, STEM, old_documents(3, inference_time=1.0), {"pred_score": 0.9})
    run_import(old, "--run", "old")
    [job] = (old.parent / "results" / "old").glob("imported.*")
    result = json.loads((job / "result.json").read_text())
    assert result["metrics"]["docs"] == 3
    assert len((job / "documents.jsonl").read_text().splitlines()) == 3
    assert result["imported"]["score"]["flagged"] is True


def test_one_bad_pair_is_told_and_loses_no_other(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pair(old, "11_a100_flash-attn", old_documents(2, url=3), {"total_time": 1})
    write_pair(old, "12_t4_8bit", "[{", {"total_time": 1})
    (old / "data_13_t4_4bit.json").write_text(json.dumps(old_documents()))
    assert run_import(old, "--run", "old") == 1
    said = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[:3] for line in said if line.startswith("error")] == [
        ["error", "not imported", "data_13_t4_4bit.json"],
        ["error", "not imported", "data_11_a100_flash-attn.json[0].url"],
        ["error", "not imported", "data_12_t4_8bit.json"],
    ]
    assert [path.name for path in (old.parent / "results" / "old").glob("*/")] == [f"imported.{STEM}"]


def test_a_copy_of_a_pair_makes_no_second_row(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("data", "results"):
        shutil.copy(old / f"{kind}_{STEM}.json", old / f"{kind}_11_a100_none.json")
    assert run_import(old, "--run", "old") == 1
    assert f"data_11_a100_none.json: a copy of data_{STEM}.json, as its results are" in capsys.readouterr().err
    assert len(list((old.parent / "results" / "old").glob("*/result.json"))) == 1


@pytest.mark.parametrize(
    ("files", "fault"),
    [((), "holds no file of a pair data_<id>_<gpu>_<name>.json"), (None, "can't be read (No such file or directory)")],
)
def test_a_folder_without_such_files_is_bad_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: tuple[str, ...] | None, fault: str
) -> None:
    folder = tmp_path / "absent"
    if files is not None:
        folder.mkdir()
    assert run_import(folder) == 2
    assert fault in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_where_nothing_can_be_imported_no_run_is_made(old: Path) -> None:
    (old / f"results_{STEM}.json").unlink()
    assert run_import(old) == 1
    assert not (old.parent / "results").exists()


def test_json_holds_what_was_imported_and_what_was_not(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pair(old, "12_t4_8bit", "[{", {"total_time": 1})
    run_import(old, "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["run"] == "imported-old-files"
    assert [one["job"]["experiment"] for one in told["imported"]] == ["none"]
    assert len(told["faults"]) == 1


def test_beside_a_measured_run_imported_rows_stand_apart_and_change_no_ranking(
    old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_import(old, "--run", "old")
    results = old.parent / "results"
    for name, speed in (("none", 0.5), ("vllm", 1.0)):
        folder = results / "new" / name
        folder.mkdir(parents=True)
        write_result(folder, make_result(name, speed, run="new", docs=2))
        write_documents(folder, make_documents((0.2, 0.3)))
    capsys.readouterr()
    output = old.parent / "both"
    assert (
        main(["--report", "old", "new", "--results", str(results), "--output", str(output), "--formats", "md,csv,html"])
        == 0
    )
    said = " ".join(capsys.readouterr().out.split())
    assert "vllm summarises 1 documents a second, 2 times the baseline" in said
    assert "beside none (gemma-3-270m, prompt completion): GPU: cpu instead of a100; batch size: 8" in said
    rows = list(csv.DictReader((output / "report.csv").open(encoding="utf-8")))
    assert [(row["run"], row["standing"]) for row in rows] == [
        ("new", "ranked"),
        ("new", "ranked"),
        ("old", "imported"),
    ]
    assert rows[2]["stored_rouge1_f1"].startswith("0.2891")
    page = (output / "report.html").read_text(encoding="utf-8")
    assert '<section id="imported"' in page and "10_a100_default_batchsize-2" in page


def test_an_imported_result_is_never_read_as_a_measured_one(old: Path) -> None:
    run_import(old, "--run", "old")
    with pytest.raises(OtherKind, match="was imported from old files and not measured here"):
        read_result(old.parent / "results" / "old" / f"imported.{STEM}" / "result.json")


def test_an_experiment_that_is_called_imported_is_a_measured_one(old: Path) -> None:
    run_import(old, "--run", "old")
    run = RunFolder(old.parent / "results", "old")
    folder = run.path / "imported.gemma-3-270m.offline--12345678"
    folder.mkdir()
    write_result(folder, make_result("imported"))
    assert [result.job.experiment for result in run.results_of_all_jobs()[0].values()] == ["imported"]
    assert [result.job.experiment for result in run.imported_results()[0].values()] == ["none"]
    assert run.results_of_all_jobs()[1] + run.imported_results()[1] == []


def test_damage_to_an_imported_job_is_told_and_its_figures_stay(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_import(old, "--run", "old")
    (old.parent / "results" / "old" / f"imported.{STEM}" / "documents.jsonl").write_text("")
    capsys.readouterr()
    assert main(["--report", "old", "--results", str(old.parent / "results"), "--formats", "md"]) == 0
    told = capsys.readouterr()
    assert "documents.jsonl: holds 0 documents instead of 10; import the pair again" in told.err
    assert "none (imported)" in told.out
