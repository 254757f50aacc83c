"""An image run alone, as its user meets it: a process in its own environment, with no orchestrator."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pipeline import choices
from pipeline.catalog import load_catalog
from pipeline.errors import UsageError
from pipeline.files import read_json
from pipeline.gpus import DetectedGpu
from pipeline.host.environments import ensure_environment, process_environment
from pipeline.results import Result, read_documents, read_result
from pipeline.worker import runner, standalone
from pipeline.worker.arguments import parse
from pipeline.worker.backend import Backend, Setup
from pipeline.worker.standalone import Standalone
from pipeline.worker.surroundings import read_surroundings, require_surroundings
from tests.conftest import REPOSITORY

LEAD = ("--experiment", "lead-3", "--gpu", "cpu")
DOCUMENTS = [{"id": str(n), "document": f"First. Second. Third. Number {n}.", "summary": "First."} for n in range(3)]
LINES = "".join(json.dumps(document) + "\n" for document in DOCUMENTS)


@dataclass(frozen=True)
class Worker:
    """Runs `python -m pipeline` over a results folder of its own."""

    python: Path
    environment: Mapping[str, str]
    data: Path
    cache: Path
    results: Path

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        roots = ("--data", str(self.data), "--cache", str(self.cache), "--results", str(self.results))
        return subprocess.run(
            [str(self.python), "-m", "pipeline", *roots, *arguments],
            cwd="/",
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def result(self) -> Result:
        """The only one."""
        [path] = self.results.glob("*/*/result.json")
        return read_result(path)


@pytest.fixture
def worker(data: Path, cache: Path, tmp_path: Path) -> Worker:
    """In the environment of the reference image, which has no engine."""
    image = load_catalog().images["reference"]
    folder = ensure_environment(cache, image, image.variants[0], tmp_path / "log.txt")
    environment = process_environment(cache, image, image.variants[0], network=False)
    return Worker(folder / "bin" / "python", environment, data, cache, tmp_path / "results")


def within(worker: Worker, image: str, variant: str) -> Worker:
    """The same as if it ran in that image; up to where an engine is needed that makes no difference."""
    names = {"BENCHMARK_IMAGE": image, "BENCHMARK_VARIANT": variant}
    return replace(worker, python=Path(sys.executable), environment={**worker.environment, **names})


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The error of a command that was refused as bad usage."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_an_experiment_is_run_scored_and_shown_as_one_row(worker: Worker) -> None:
    done = worker(*LEAD, "--docs", "4", "--run", "mine")
    assert done.returncode == 0, done.stderr
    heading, row, last = done.stdout.splitlines()
    assert heading.startswith("experiment  GPU")
    assert row.split()[:4] == ["lead-3", "cpu", "–", "4"]
    [folder] = worker.results.glob("mine/*")
    assert last == f"results: {folder}"
    assert {path.name for path in folder.iterdir()} == {"job.json", "documents.jsonl", "result.json"}
    assert len(read_documents(folder / "documents.jsonl")) == 4
    result = worker.result()
    assert result.status == "ok" and result.quality is not None and result.quality.rouge1_f1


def image_tree(target: Path) -> Path:
    """What an image carries of the repository: the package without host and report, and its own declaration."""
    left_out = shutil.ignore_patterns("host", "report", "__pycache__")
    shutil.copytree(REPOSITORY / "pipeline", target / "pipeline", ignore=left_out)
    (target / "images" / "reference").mkdir(parents=True)
    for name in ("image.yaml", "cpu.lock"):
        shutil.copy(REPOSITORY / "images" / "reference" / name, target / "images" / "reference")
    return target


def test_the_job_is_the_one_that_the_orchestrator_makes_also_with_what_an_image_carries_alone(
    worker: Worker, tmp_path: Path
) -> None:
    """All of it but the facts about the host, and so the key and the folder."""
    orchestrator = ("--launcher", "process", "--results", str(worker.results / "theirs"), "--cache", str(worker.cache))
    command = [sys.executable, "orchestrator.py", *LEAD, "--docs", "4", *orchestrator, "--formats", "md"]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    environment = {**worker.environment, "PYTHONPATH": str(image_tree(tmp_path / "app"))}
    alone = replace(worker, results=worker.results / "own", environment=environment)
    done = alone(*LEAD, "--docs", "4")
    assert done.returncode == 0, done.stderr
    [theirs], [own] = ((worker.results / name).glob("*/*/job.json") for name in ("theirs", "own"))
    assert own.relative_to(alone.results) == theirs.relative_to(worker.results / "theirs")
    assert {**read_json(own), "host": None} == {**read_json(theirs), "host": None}


def test_another_launcher_makes_another_job(worker: Worker) -> None:
    for launcher in ("process", "docker"):
        environment = {**worker.environment, "BENCHMARK_LAUNCHER": launcher}
        assert replace(worker, environment=environment)(*LEAD, "--docs", "2").returncode == 0
    jobs = [read_json(path) for path in worker.results.glob("*/*/job.json")]
    assert {job["launcher"] for job in jobs} == {"process", "docker"}
    assert len({job["key"] for job in jobs}) == 2


def test_a_second_run_takes_the_place_of_the_first(worker: Worker) -> None:
    for _ in range(2):
        assert worker(*LEAD, "--docs", "2").returncode == 0
    assert worker.result().status == "ok"


def test_an_experiment_that_cannot_run_here_is_skipped_with_its_reason_and_status_1(worker: Worker) -> None:
    done = within(worker, "flash-attn", "cu130")("--experiment", "flash-attn", "--gpu", "cpu", "--docs", "2")
    assert done.returncode == 1, done.stderr
    assert "flash-attn: skipped: needs a CUDA device of compute capability 8.0 or newer" in done.stdout
    result = worker.result()
    assert (result.status, result.failure and result.failure.class_) == ("skipped", "cannot_run_here")


def test_a_gpu_variant_without_a_gpu_is_skipped_and_says_what_a_container_needs(worker: Worker) -> None:
    done = within(worker, "vllm", "cu130")("--experiment", "vllm", "--gpu", "cpu", "--docs", "2")
    assert done.returncode == 1, done.stderr
    assert "this is variant cu130; no NVIDIA GPU was found (a container needs --gpus all)" in done.stdout


@pytest.fixture
def over_two(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], int]:
    """What an experiment over two GPUs comes to in a container that sees so many."""

    def run(visible: int) -> int:
        gpus = [
            DetectedGpu(index, f"GPU-{index}", "NVIDIA A100-SXM4-40GB", 40 << 30, 8.0, "580.65.06", "13.0")
            for index in range(visible)
        ]
        for module in (choices, standalone):
            monkeypatch.setattr(module, "detect_gpus", lambda: gpus)
        catalog, here = read_surroundings({"BENCHMARK_IMAGE": "vllm", "BENCHMARK_VARIANT": "cu130"})
        roots = runner.Roots(worker.data, worker.cache, worker.results)
        options = parse(["--experiment", "vllm-tp2", "--dataset", "sample", "--docs", "2"], catalog, here).options
        return Standalone(catalog, require_surroundings(here), roots).run("vllm-tp2", options)

    return run


def test_an_experiment_over_two_gpus_is_skipped_in_a_container_with_one(
    over_two: Callable[[int], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert over_two(1) == 1
    assert "vllm-tp2: skipped: needs 2 GPUs" in capsys.readouterr().out


def test_an_experiment_over_two_gpus_takes_both_of_its_container(over_two: Callable[[int], int]) -> None:
    with pytest.raises(UsageError, match="the hf weights of llama-2-7b-chat aren't there"):  # it would have run
        over_two(2)


def test_a_job_that_breaks_is_shown_with_its_phase_and_leaves_a_failed_result(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_name: str, _setup: Setup) -> Backend:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(runner, "create_backend", broken)
    catalog, here = read_surroundings({"BENCHMARK_IMAGE": "reference", "BENCHMARK_VARIANT": "cpu"})
    roots = runner.Roots(worker.data, worker.cache, worker.results)
    options = parse([*LEAD, "--docs", "2"], catalog, here).options
    assert Standalone(catalog, require_surroundings(here), roots).run("lead-3", options) == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("lead-3: failed (cuda_oom during load): RuntimeError: CUDA out of memory.")
    assert shown[1].startswith("→ a smaller --batch-size")
    assert worker.result().status == "failed"


def test_an_image_alone_repeats_the_timed_section_and_is_one_launch() -> None:
    catalog, here = read_surroundings({"BENCHMARK_IMAGE": "reference", "BENCHMARK_VARIANT": "cpu"})
    assert parse([*LEAD, "--repeats", "2"], catalog, here).options.repeats == 2
    with pytest.raises(SystemExit) as caught:
        parse([*LEAD, "--launches", "2"], catalog, here)
    assert caught.value.code == 2


def test_a_users_file_in_the_data_folder_is_used_where_it_lies(worker: Worker, tmp_path: Path) -> None:
    own = replace(worker, data=tmp_path / "data")
    (own.data / "texts").mkdir(parents=True)
    (own.data / "texts" / "mine.jsonl").write_text(LINES, encoding="utf-8")
    for given in ("texts/mine.jsonl", str(own.data / "texts" / "mine.jsonl")):
        assert own(*LEAD, "--dataset", given).returncode == 0
    assert own.result().job.workload.documents == "texts/mine.jsonl"
    assert [path.name for path in own.data.rglob("*")] == ["texts", "mine.jsonl"]


def test_a_job_file_is_relative_to_the_results_or_absolute(worker: Worker) -> None:
    worker(*LEAD, "--docs", "2")
    [job] = worker.results.glob("*/*/job.json")
    for given in (job.relative_to(worker.results), job):
        (job.parent / "result.json").unlink()
        done = worker("--job", str(given))
        assert done.returncode == 0, done.stderr
        assert '@progress ["generate"' in done.stdout
        assert worker.result().status == "ok"


def test_an_experiment_of_another_image_is_answered_with_ones_own(worker: Worker) -> None:
    message = refusal(worker("--experiment", "none"))
    assert "experiment 'none' runs in image transformers, this is reference; its experiments: lead-3" in message


def test_an_unknown_experiment_is_answered_with_the_nearest(worker: Worker) -> None:
    assert "unknown experiment 'lead-4'; did you mean lead-3" in refusal(worker("--experiment", "lead-4"))


def test_missing_weights_are_named_with_what_makes_them(worker: Worker, tmp_path: Path) -> None:
    elsewhere = replace(within(worker, "vllm", "cpu"), cache=tmp_path)
    message = refusal(elsewhere("--experiment", "vllm-awq", "--gpu", "cpu", "--docs", "2"))
    assert "the awq weights of gemma-3-270m aren't there" in message
    assert "in image transformers" in message and "--prepare gemma-3-270m --format awq" in message


def test_a_dataset_that_is_not_fetched_is_named_with_what_fetches_it(worker: Worker, tmp_path: Path) -> None:
    message = refusal(replace(worker, data=tmp_path)(*LEAD, "--dataset", "wikilingua"))
    assert "orchestrator.py --prepare --dataset wikilingua" in message and "--dataset sample" in message


def test_the_bundled_dataset_is_missed_where_the_data_folder_is_another(worker: Worker, tmp_path: Path) -> None:
    assert "take the repository's data folder" in refusal(replace(worker, data=tmp_path)(*LEAD))


def test_a_file_outside_the_data_folder_is_refused(worker: Worker, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text(LINES, encoding="utf-8")
    message = refusal(worker(*LEAD, "--dataset", str(tmp_path / "mine.jsonl")))
    assert "lies outside the data folder" in message and "e.g. --dataset mine.jsonl" in message


def test_a_results_folder_that_cannot_be_written_to_is_named_with_the_user_and_the_mend(
    worker: Worker, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    message = refusal(replace(worker, results=tmp_path / "file")(*LEAD, "--docs", "2"))
    assert f"{tmp_path / 'file'}" in message and f"by user {os.getuid()}" in message
    assert '-v "$PWD/results:/results" --user "$(id -u):$(id -g)"' in message


def test_a_gpu_that_is_not_there_is_refused_and_says_what_a_container_needs(worker: Worker) -> None:
    assert "started without --gpus all" in refusal(worker("--experiment", "lead-3", "--gpu", "v100"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run", "../up"], "--run: '../up' can't be used; use letters"),
        (["--scenario", "single", "--batch-size", "4"], "scenario single runs one document at a time"),
        (["--docs", "31"], "31 documents asked for, the dataset has 30"),
        (["--docs", "0"], "'0' is not a whole number above 0"),
        (["--format", "hf"], "--format: belongs to --prepare"),
        (["--measure"], "--measure: belongs to --self-check"),
        (["--prompt", "published"], "did you mean published-hf"),
    ],
)
def test_the_options_are_checked_as_the_orchestrator_does(worker: Worker, arguments: list[str], message: str) -> None:
    assert message in refusal(worker(*LEAD, *arguments))


def test_nothing_to_do_is_answered_with_what_there_is(worker: Worker) -> None:
    assert "--experiment --prepare --self-check --job" in refusal(worker())


def test_a_process_that_is_in_no_image_is_refused(worker: Worker) -> None:
    bare = {name: value for name, value in worker.environment.items() if not name.startswith("BENCHMARK_")}
    assert "don't say which image this is" in refusal(replace(worker, environment=bare)(*LEAD))


def test_the_help_shows_a_whole_docker_run_with_this_images_experiments(worker: Worker) -> None:
    shown = within(worker, "vllm", "cu130")("--help").stdout
    assert "run it: vllm, vllm-tp2, vllm-awq" in shown
    assert "docker run --rm --gpus all --network none" in shown
    assert "IMAGE --experiment vllm --gpu auto" in shown
    assert "IMAGE_OF_TRANSFORMERS --prepare llama-2-7b-chat" in shown


def test_the_help_of_an_image_that_runs_no_experiment_shows_what_it_does_instead(worker: Worker) -> None:
    scoring = within(worker, "bertscore", "cu130")("--help").stdout
    assert "--experiment" not in scoring
    assert "IMAGE --prepare roberta-large" in scoring
    assert "IMAGE --bertscore RUN" in scoring
    converting = within(worker, "llm-compressor", "cpu")("--help").stdout
    assert "--experiment" not in converting and "IMAGE --bertscore" not in converting
    assert "IMAGE --prepare gemma-3-270m" in converting


def test_preparing_takes_the_devices_model_and_refuses_what_another_image_makes(worker: Worker) -> None:
    assert "image reference makes no weights of gemma-3-270m; run it in image transformers" in refusal(
        worker("--prepare")
    )
    vllm = within(worker, "vllm", "cu130")
    assert "image vllm makes no weights of llama-2-7b-chat" in refusal(vllm("--prepare"))
    message = refusal(vllm("--prepare", "gemma-3-270m", "--format", "awq"))
    assert "run --prepare gemma-3-270m --format awq in image transformers" in message


def test_a_cache_that_cannot_be_written_to_is_named_with_the_mend(worker: Worker, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    elsewhere = replace(within(worker, "transformers", "cpu"), cache=tmp_path / "file")
    message = refusal(elsewhere("--prepare", "gemma-3-270m", "--format", "gguf"))
    assert "the cache can't be written to" in message and "without :ro" in message
