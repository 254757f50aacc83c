"""Two models of folders of one's own in one command: prepared, run and reported, each beside its own rows."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.results import read_result
from pipeline.worker.synthetic import checkpoint
from tests.conftest import REPOSITORY

TEMPLATE = "{{ bos_token }}[INST] {{ messages[0].content }} [/INST]"


def write_model(folder: Path, template: str | None) -> Path:
    """A small model that reads the sample's longest document; its tokens are bytes."""
    folder.mkdir()
    checkpoint.write(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 8192}))
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    return folder


@pytest.fixture(scope="module")
def run(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The command, done, and its results folder."""
    home = tmp_path_factory.mktemp("several")
    own_cache = home / "cache"
    own_cache.mkdir()
    (own_cache / "envs").symlink_to(cache / "envs")
    models = [write_model(home / "chat", TEMPLATE), write_model(home / "base", None)]
    named = [word for model in models for word in ("--model", str(model))]
    options = ["--gpu", "cpu", "--experiment", "none", "--experiment", "lead-3", "--dataset", "sample", "--docs", "2"]
    options += ["--max-new-tokens", "4", "--launcher", "process", "--run", "mine", "--formats", "md"]
    folders = ["--cache", str(own_cache), "--results", str(home / "results")]
    command = [sys.executable, "orchestrator.py", *options, *named, *folders]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done, home / "results" / "mine"


def test_all_of_it_runs_in_one_run(run: Any) -> None:
    done, folder = run
    assert done.returncode == 0, done.stderr
    jobs = [read_result(path).job for path in sorted(folder.glob("*/result.json"))]
    models = [job.model.split("--")[0] if job.model else None for job in jobs]
    assert models == [None, None, "base", "chat"]  # lead-3 once for each prompt


def test_each_model_is_fed_its_own_prompt(run: Any) -> None:
    _, folder = run
    jobs = {path.parent.name.split(".")[1]: json.loads(path.read_text()) for path in folder.glob("none.*/job.json")}
    told = {
        name.split("--")[0]: (job["model"]["prompt_prefix"], job["workload"]["prompt"]["name"])
        for name, job in jobs.items()
    }
    assert told == {"chat": ("[INST] ", "published-hf"), "base": ("", "published-vllm")}
    assert {job["weights"]["kind"] for job in jobs.values()} == {"real"}


def test_the_report_has_a_table_for_each_model_with_the_reference_beside_it(run: Any) -> None:
    _, folder = run
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "The fastest is none with" in report
    tables = [part for part in report.split("\n## ") if part.startswith("offline on cpu")]
    assert [[name for name in ("base", "chat") if f"{name}--" in part.partition("|")[0]] for part in tables] == [
        ["chat"],
        ["base"],
    ]
    assert all("lead-3" in part for part in tables)
