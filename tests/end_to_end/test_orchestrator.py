"""The command line as its user meets it: real processes, a real environment, real files."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.results import read_documents
from tests.conftest import REPOSITORY

LEAD = ["--gpu", "cpu", "--experiment", "lead-3", "--docs", "4"]


class Orchestrator:
    """Runs orchestrator.py over its own results folder and the checkout's cache, in processes unless told otherwise."""

    def __init__(self, results: Path, cache: Path) -> None:
        self.results = results
        self.cache = cache

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        folders = ["--results", str(self.results), "--cache", str(self.cache), "--formats", "md"]
        launcher = [] if "--launcher" in arguments else ["--launcher", "process"]
        return subprocess.run(
            [sys.executable, "orchestrator.py", *arguments, *launcher, *folders],
            cwd=REPOSITORY,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json").stdout)

    def job_folders(self) -> list[Path]:
        return sorted(path.parent for path in self.results.glob("*/*/result.json"))


@pytest.fixture
def orchestrator(tmp_path: Path, cache: Path) -> Orchestrator:
    return Orchestrator(tmp_path / "results", cache)


def test_a_run_leaves_a_whole_job_folder_and_a_report(orchestrator: Orchestrator) -> None:
    done = orchestrator(*LEAD, "--run", "mine")
    assert done.returncode == 0, done.stderr
    [folder] = orchestrator.job_folders()
    assert {path.name for path in folder.iterdir()} == {"job.json", "log.txt", "documents.jsonl", "result.json"}
    assert len(read_documents(folder / "documents.jsonl")) == 4
    assert "lead-3" in (orchestrator.results / "mine" / "report.md").read_text(encoding="utf-8")
    assert "lead-3" in done.stdout


def test_a_result_says_where_and_with_what_it_ran(orchestrator: Orchestrator) -> None:
    [result] = orchestrator.json(*LEAD)["results"]
    environment = result["environment"]
    assert environment["packages"]["rouge-score"] == "0.1.2"
    assert environment["python"].startswith("3.11")
    assert environment["cpu"] and environment["memory_bytes"] > 1 << 30
    assert result["metrics"]["docs_per_s"] > 0
    assert result["quality"]["settings"]["stemmer"] is False


def test_the_same_command_again_keeps_what_is_done(orchestrator: Orchestrator) -> None:
    first = orchestrator.json(*LEAD)["results"]
    again = orchestrator(*LEAD)
    assert "ok (kept)" in again.stderr
    assert orchestrator.json(*LEAD)["results"] == first


def test_a_run_says_that_it_set_a_damaged_run_file_aside(orchestrator: Orchestrator) -> None:
    path = orchestrator.results / "mine" / "run.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    done = orchestrator(*LEAD, "--run", "mine")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(f"set aside, with the label and commands in it: {path}: not valid JSON") == 1
    assert (path.parent / "run.json.damaged-1").exists()


def test_fresh_runs_it_again(orchestrator: Orchestrator) -> None:
    orchestrator(*LEAD)
    assert "(kept)" not in orchestrator(*LEAD, "--fresh").stderr
    assert len(orchestrator.job_folders()) == 1


def test_another_workload_in_the_same_run_stands_beside_the_first(orchestrator: Orchestrator) -> None:
    orchestrator(*LEAD, "--run", "both")
    results = orchestrator.json(*LEAD, "--run", "both", "--seed", "1")["results"]
    assert {result["job"]["workload"]["seed"] for result in results} == {0, 1}


def test_an_experiment_asked_for_by_name_that_cannot_run_is_skipped_with_status_1(orchestrator: Orchestrator) -> None:
    done = orchestrator("--gpu", "cpu", "--experiment", "lead-3", "--experiment", "flash-attn", "--docs", "2")
    assert done.returncode == 1
    assert "needs a CUDA device of compute capability 8.0 or newer" in " ".join(done.stdout.split())


def test_the_interpreter_at_hand_runs_what_it_has_and_names_what_it_lacks(orchestrator: Orchestrator) -> None:
    names = ("--experiment", "lead-3", "--experiment", "vllm", "--docs", "2")
    done = orchestrator("--gpu", "cpu", *names, "--env", "current", "--json")
    lead, vllm = json.loads(done.stdout)["results"]
    assert (lead["status"], lead["job"]["variant"], lead["job"]["launcher"]) == ("ok", "current-cpu", "process")
    assert lead["environment"]["packages"]["pytest"]
    assert (vllm["status"], vllm["failure"]["message"]) == (
        "skipped",
        f"image vllm, variant current-cpu: {sys.executable} lacks vllm",
    )
    assert done.returncode == 1


def test_an_engine_in_the_interpreter_at_hand_writes_what_it_writes_in_an_environment_of_its_own(
    orchestrator: Orchestrator,
) -> None:
    """An environment of transformers that has the host's packages too stands for a machine's own Python."""
    asked = ("--gpu", "cpu", "--experiment", "none", "--docs", "2", "--max-new-tokens", "6")
    assert orchestrator(*asked, "--run", "own").returncode == 0
    [python] = orchestrator.cache.glob("envs/transformers-cpu-*/bin/python")
    host = Path(pytest.__file__).parent.parent
    folders = ["--results", str(orchestrator.results), "--cache", str(orchestrator.cache), "--formats", "md"]
    done = subprocess.run(
        [str(python), "orchestrator.py", *asked, "--run", "current", "--env", "current", *folders],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(host)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    own, current = (
        read_documents(next((orchestrator.results / run).glob("none.*/documents.jsonl"))) for run in ("own", "current")
    )
    assert [item.text for item in current] == [item.text for item in own]
    assert "in the interpreter at hand" in (orchestrator.results / "current" / "report.md").read_text(encoding="utf-8")


def test_random_weights_give_speed_and_no_quality(orchestrator: Orchestrator) -> None:
    """Every document gets all its tokens, and what depends on the text is left out."""
    names = ("none", "vllm-awq", "vllm-ngram", "lead-3")
    asked = [argument for name in names for argument in ("--experiment", name)]
    found = orchestrator.json("--gpu", "cpu", *asked, "--docs", "2", "--max-new-tokens", "6", "--weights", "synthetic")
    results = {result["job"]["experiment"]: result for result in found["results"]}
    for name in ("none", "vllm-awq"):
        result = results[name]
        assert (result["status"], result["weights"]["kind"], result["job"]["synthetic"]) == ("ok", "synthetic", True)
        assert (result["metrics"]["output_tokens_mean"], result["quality"]) == (6.0, None)
        assert result["metrics"]["docs_per_s"] > 0
    assert results["lead-3"]["quality"]["rouge1_f1"] > 0
    assert results["vllm-ngram"]["status"] == "skipped"


def test_a_failing_job_keeps_the_next_from_nothing(orchestrator: Orchestrator, tmp_path: Path) -> None:
    """Weights that can't be fetched fail their experiments, each with the reason; the others run."""
    names = ("--gpu", "cpu", "--experiment", "gguf-q4", "--experiment", "lead-3")
    assert orchestrator(*names, "--prepare").returncode == 0
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "envs").symlink_to(orchestrator.cache / "envs")
    alone = Orchestrator(orchestrator.results, cache)
    done = alone(
        *(*names, "--docs", "2", "--json"),
        PIP_INDEX_URL="http://127.0.0.1:9/simple",
        PIP_EXTRA_INDEX_URL="",
        PIP_FIND_LINKS="",
        PIP_RETRIES="0",
        PIP_CONFIG_FILE=os.devnull,
    )
    assert done.returncode == 1
    by_name = {result["job"]["experiment"]: result for result in json.loads(done.stdout)["results"]}
    assert by_name["lead-3"]["status"] == "ok"
    assert by_name["gguf-q4"]["status"] == "failed"
    assert by_name["gguf-q4"]["failure"]["phase"] == "prepare"
    assert by_name["gguf-q4"]["failure"]["message"]


def test_only_failed_runs_just_what_failed_before(orchestrator: Orchestrator) -> None:
    """The same experiment over other documents was never run, so it never failed."""
    orchestrator(*LEAD, "--run", "again")
    [folder] = orchestrator.job_folders()
    result = json.loads((folder / "result.json").read_text())
    broken = {
        **result,
        "status": "failed",
        "failure": {"class": "unknown", "phase": "load", "message": "m", "hint": None},
    }
    (folder / "result.json").write_text(json.dumps(broken))
    done = orchestrator(*LEAD, "--run", "again", "--only-failed", "--json")
    assert [item["status"] for item in json.loads(done.stdout)["results"]] == ["ok"]
    other = orchestrator(*LEAD, "--run", "again", "--only-failed", "--seed", "7")
    assert "ok" not in other.stderr
    assert len(orchestrator.job_folders()) == 1


def test_a_job_over_its_time_limit_is_timed_out(orchestrator: Orchestrator, tmp_path: Path) -> None:
    """A minute is cut to a hundredth of a second here, which even lead-3 exceeds, and the launcher looks as often."""
    script = "import sys, orchestrator\n"
    script += "from pipeline.host import arguments\nfrom pipeline.host.launchers import process\n"
    script += "arguments.SECONDS_PER_MINUTE = process.TICK_S = 0.01\nsys.exit(orchestrator.main(sys.argv[1:]))"
    folders = ["--results", str(orchestrator.results), "--cache", str(orchestrator.cache)]
    done = subprocess.run(
        [sys.executable, "-c", script, *LEAD, "--launcher", "process", "--job-timeout", "1", "--json", *folders],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    [result] = json.loads(done.stdout)["results"]
    assert (done.returncode, result["status"], result["failure"]["class"]) == (1, "timed_out", "timed_out")


def test_a_plan_starts_and_writes_nothing(orchestrator: Orchestrator) -> None:
    plan = orchestrator.json("--gpu", "cpu", "--all", "--plan")["plan"]
    actions = {row["experiment"]: row["action"] for row in plan}
    assert actions["none"] == "run"
    assert actions["flash-attn"] == "skip"
    assert not orchestrator.results.exists()


def test_a_plan_says_how_many_launches_there_are_and_how_many_are_left(orchestrator: Orchestrator) -> None:
    orchestrator(*LEAD)
    assert "run 2 of 3" in orchestrator(*LEAD, "--launches", "3", "--plan").stdout
    [row] = orchestrator.json(*LEAD, "--launches", "3", "--plan")["plan"]
    assert (row["action"], row["launches"], row["kept"], row["earlier"]) == ("run", 3, 1, "ok")


def test_a_plan_for_a_gpu_that_is_not_here_says_what_it_lacks(orchestrator: Orchestrator) -> None:
    plan = orchestrator.json("--gpu", "t4", "--all", "--plan", "--dataset", "sample")["plan"]
    reasons = {row["experiment"]: row["reason"] for row in plan}
    assert reasons["flash-attn"] == "needs compute capability 8.0, this is t4 (compute capability 7.5)"


def test_the_list_names_everything(orchestrator: Orchestrator) -> None:
    listing = orchestrator("--list").stdout
    for name in ("vllm-awq", "llama-2-7b-chat", "wikilingua", "rtx4090", "published-vllm"):
        assert name in listing


def test_the_users_own_file_is_a_dataset(orchestrator: Orchestrator, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    lines = [{"id": str(n), "document": f"First. Second. Third. Number {n}.", "summary": "First."} for n in range(3)]
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    [result] = orchestrator.json("--gpu", "cpu", "--experiment", "lead-3", "--dataset", str(file))["results"]
    assert (result["status"], result["metrics"]["docs"]) == ("ok", 3)


def test_auto_takes_processes_where_no_docker_engine_answers_and_says_so(orchestrator: Orchestrator) -> None:
    plan = orchestrator("--gpu", "cpu", "--all", "--plan", "--launcher", "auto", DOCKER_HOST="unix:///nowhere")
    assert plan.returncode == 0
    assert "launcher process, since no Docker engine answers at unix:///nowhere" in plan.stdout


def test_docker_asked_for_by_name_must_answer(orchestrator: Orchestrator) -> None:
    done = orchestrator(*LEAD, "--launcher", "docker", DOCKER_HOST="unix:///nowhere")
    assert done.returncode == 1
    assert "no Docker engine answers at unix:///nowhere" in done.stderr
    assert "--launcher process" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_engine_on_another_machine_is_refused(orchestrator: Orchestrator) -> None:
    done = orchestrator(*LEAD, "--launcher", "docker", DOCKER_HOST="tcp://192.0.2.1:2375")
    assert done.returncode == 1
    assert "is not on this machine" in done.stderr


BAD = '{"id": "a", "document": "d", "summary": "s"}\n{"id": "b"}\n'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--experiment", "vlm-awq"], "unknown experiment 'vlm-awq'; did you mean vllm-awq"),
        (["--gpu", "a10o", "--all"], "unknown GPU"),
        (["--gpu", "t4", "--all"], "--gpu t4: "),
        (["--all", "--dataset", "{bad}"], "bad.jsonl: line 2: field 'document' is missing"),
        (["--all", "--dataset", "{empty}"], "empty.jsonl: the dataset is empty"),
        (["--all", "--dataset", "wikilingva"], "did you mean wikilingua"),
        (["--all", "--model", "gemma-3-27m"], "unknown model 'gemma-3-27m'; did you mean gemma-3-270m"),
        (["--all", "--prompt", "published"], "unknown prompt 'published'; did you mean published-hf"),
        (["--experiment", "lead-3", "--docs", "0"], "'0' is not a whole number above 0"),
        (["--experiment", "lead-3", "--docs", "31"], "31 documents asked for, the dataset has 30"),
        (["--experiment", "lead-3", "--run", "../up"], "--run: '../up' can't be used; use letters"),
        (["--all", "--scenario", "single", "--batch-size", "4"], "scenario single runs one document at a time"),
        ([], "nothing to run: name experiments with --experiment, or take --all"),
    ],
)
def test_bad_input_is_named_with_status_2(
    orchestrator: Orchestrator, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "bad.jsonl").write_text(BAD)
    (tmp_path / "empty.jsonl").write_text("")
    filled = [item.format(bad=tmp_path / "bad.jsonl", empty=tmp_path / "empty.jsonl") for item in arguments]
    gpu = [] if "--gpu" in arguments else ["--gpu", "cpu"]
    done = orchestrator(*gpu, *filled)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_results_folder_that_cannot_be_written_is_named_with_status_2(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = Orchestrator(tmp_path / "file", cache)(*LEAD)
    assert done.returncode == 2
    assert "the results folder can't be written to" in done.stderr


def test_two_commands_on_one_run_do_not_mix(orchestrator: Orchestrator) -> None:
    orchestrator(*LEAD, "--run", "busy")
    held = "import sys; from pathlib import Path; from pipeline.host.runs import RunFolder\n"
    held += "with RunFolder(Path(sys.argv[1]), 'busy').lock(): print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", held, str(orchestrator.results)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        second = orchestrator(*LEAD, "--run", "busy")
        holder.communicate()
    assert second.returncode == 1
    assert "run 'busy' is being worked on by another command" in second.stderr
