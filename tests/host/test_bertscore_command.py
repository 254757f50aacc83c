"""--bertscore: what it prepares and starts, with a script in the place of the image's interpreter."""

import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.bertscore import FORMAT, BertScores, BertScoreSettings, BertScoreSummary, read_scorer, write_scores
from pipeline.catalog import load_catalog
from pipeline.errors import BenchmarkError, UsageError
from pipeline.host.arguments import parse
from pipeline.host.bertscore import Scored, score_run
from pipeline.host.environments import READY_FILE, environment_folder
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.report.bertscore import listing
from pipeline.report.watch import LineWatcher
from pipeline.results import RESULT_FILE
from pipeline.spec import JobWeights
from pipeline.weights import source_sha256, weights_folder, weights_sha256, write_manifest

CATALOG, SCORER = load_catalog(), read_scorer()
IMAGE = CATALOG.images[SCORER.image]
NOTE = "started.txt"
SUMMARY = BertScoreSummary(BertScoreSettings("tiny", "1", "a" * 64, 17, 512, "cpu"), "b" * 64, 2, 0.8, 0.7, 0.75, 0.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a run of one job in results/, and in cache/ the image's environment and the model."""
    (tmp_path / "results" / "run" / "job").mkdir(parents=True)
    (tmp_path / "results" / "run" / "job" / RESULT_FILE).touch()
    environment = environment_folder(tmp_path / "cache", IMAGE, IMAGE.variants[0])
    (environment / "bin").mkdir(parents=True)
    (environment / READY_FILE).touch()
    becomes(tmp_path, "")
    weights = weights_folder(tmp_path / "cache", SCORER.model, FORMAT)
    weights.mkdir(parents=True)
    (weights / "model.safetensors").write_bytes(b"S")
    relative = weights.relative_to(tmp_path / "cache").as_posix()
    source = source_sha256(SCORER.catalog(CATALOG), SCORER.model, FORMAT)
    write_manifest(weights, JobWeights(FORMAT, relative, "real", "1", weights_sha256(weights)), source)
    return tmp_path


def becomes(folder: Path, script: str) -> None:
    """What runs instead of `python -m pipeline`; its arguments are noted, but for the folders' options."""
    python = environment_folder(folder / "cache", IMAGE, IMAGE.variants[0]) / "bin" / "python"
    note = f"open({str(folder / NOTE)!r}, 'a').write(' '.join(sys.argv[9:]) + '\\n')"
    python.write_text(f"#!{sys.executable}\nimport sys\n{note}\n{script}")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)


def run(folder: Path, name: str = "run") -> list[Scored]:
    folders = [word for part in ("data", "cache", "results") for word in (f"--{part}", str(folder / part))]
    argv = ["--bertscore", name, "--gpu", "cpu", "--launcher", "process", *folders]
    arguments = parse(argv, CATALOG, LAUNCHERS)
    assert arguments.action == "bertscore"
    return score_run(arguments, CATALOG, name, LineWatcher())


def started(folder: Path) -> list[str]:
    return (folder / NOTE).read_text().splitlines()


def test_the_run_is_scored_in_the_image_and_the_summaries_of_its_jobs_come_back(folder: Path) -> None:
    write_scores(folder / "results" / "run" / "job", [BertScores("1", 0.8, 0.7, 0.75)], SUMMARY)
    assert run(folder) == [Scored("job", SUMMARY)]
    assert started(folder) == ["--bertscore run"]


def test_a_run_can_be_named_by_its_folder(folder: Path) -> None:
    run(folder, str(folder / "results" / "run"))
    assert started(folder) == ["--bertscore run"]


def test_a_model_that_is_missing_is_prepared_first_and_what_breaks_that_is_said(folder: Path) -> None:
    (weights_folder(folder / "cache", SCORER.model, FORMAT) / "model.safetensors").unlink()
    becomes(folder, "sys.exit('error: no such luck')")
    with pytest.raises(BenchmarkError, match=r"no such luck; see .*weights-roberta-large-hf.txt"):
        run(folder)
    assert started(folder) == ["--prepare roberta-large --format hf"]


def test_scoring_that_breaks_names_its_log(folder: Path) -> None:
    becomes(folder, "sys.exit('error: out of luck')")
    with pytest.raises(BenchmarkError, match=r"status 1; see .*bertscore-log.txt"):
        run(folder)
    assert "out of luck" in (folder / "results" / "run" / "bertscore-log.txt").read_text()


def test_a_run_that_is_not_there_is_a_usage_error_before_anything_starts(folder: Path) -> None:
    with pytest.raises(UsageError, match="no run of that name"):
        run(folder, "other")
    assert not (folder / NOTE).exists()


def test_a_line_a_job_has_f1_as_it_is_and_rescaled_and_a_dash_where_there_is_no_baseline() -> None:
    lines = listing([Scored("a", SUMMARY), Scored("b", replace(SUMMARY, f1_rescaled_mean=None))]).splitlines()
    assert lines == [
        "a: BERTScore F1 0.750, rescaled 0.500, over 2 documents",
        "b: BERTScore F1 0.750, rescaled –, over 2 documents",
    ]
