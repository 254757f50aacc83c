"""--doctor on this machine, and a run that leaves out what can't work before anything is fetched or made."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY


def orchestrate(cache: Path, results: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("HF_TOKEN", "HF_TOKEN_PATH")}
    return subprocess.run(
        [
            sys.executable,
            "orchestrator.py",
            "--gpu",
            "cpu",
            *arguments,
            "--cache",
            str(cache),
            "--results",
            str(results),
        ],
        cwd=REPOSITORY,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_doctor_finds_this_machine_fit_and_starts_nothing(cache: Path, tmp_path: Path) -> None:
    done = orchestrate(cache, tmp_path / "results", "--doctor", "--launcher", "process", "--json")
    checks = json.loads(done.stdout)["checks"]
    assert done.returncode == 0, done.stdout
    assert all(list(check) == ["check", "subject", "status", "message", "mend"] for check in checks)
    by_subject = {(check["check"], check["subject"]): check for check in checks}
    assert by_subject["dataset", "sample"]["status"] == "pass"
    assert by_subject["experiment", "none"]["status"] == "pass"
    assert by_subject["experiment", "flash-attn"]["status"] == "skip"
    assert by_subject["memory", "none"]["message"].startswith("estimate ")
    assert not (tmp_path / "results").exists()


def test_the_doctor_fails_where_docker_was_asked_for_and_does_not_answer(cache: Path, tmp_path: Path) -> None:
    done = orchestrate(cache, tmp_path, "--doctor", "--launcher", "docker", DOCKER_HOST="unix:///nowhere")
    assert done.returncode == 1
    assert "no Docker engine answers at unix:///nowhere" in done.stdout
    assert "mend: start it (systemctl start docker)" in done.stdout


def test_a_changed_dataset_is_a_finding_beside_the_others(cache: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(REPOSITORY / "data" / "sample", data / "sample")
    with (data / "sample" / "howto_en.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"id": "one more", "document": "d", "summary": "s"}\n')
    done = orchestrate(cache, tmp_path, "--doctor", "--launcher", "process", "--data", str(data))
    assert done.returncode == 1
    assert "howto_en.jsonl: changed" in done.stdout
    assert "not the sha256 of datasets.yaml" in done.stdout
    assert "its documents aren't here to tell the KV cache by" in done.stdout


def test_all_skips_a_gated_model_without_a_token_before_anything_is_made(cache: Path, tmp_path: Path) -> None:
    """The cache has lead-3's environment alone: an experiment that isn't skipped would first install its own."""
    own = tmp_path / "cache"
    (own / "envs").mkdir(parents=True)
    for folder in (cache / "envs").glob("reference-*"):
        (own / "envs" / folder.name).symlink_to(folder)
    names = ("--experiment", "none", "--experiment", "4-bit", "--experiment", "lead-3")
    options = ("--model", "llama-2-7b-chat", "--dataset", "sample", "--docs", "2", "--launcher", "process", "--json")
    done = orchestrate(own, tmp_path / "results", "--all", *names, *options, HF_HOME=str(tmp_path))
    results = {result["job"]["experiment"]: result for result in json.loads(done.stdout)["results"]}
    assert done.returncode == 0, done.stderr
    assert results["lead-3"]["status"] == "ok"
    for name in ("none", "4-bit"):
        assert results[name]["status"] == "skipped"
        assert "gated, not in the cache, and there is no token" in results[name]["failure"]["message"]
    assert "fail: hub, meta-llama/Llama-2-7b-chat-hf: gated" in done.stderr
    assert not list((own / "envs").glob("transformers-*"))
    assert not (own / "models").exists()
