"""A job file, wherever it came from, reads and writes in the worker's folders alone, and opens no pickle unasked."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import codec
from pipeline.errors import BenchmarkError, UsageError
from pipeline.pickles import pickles_alone, pickles_in, require_safe
from pipeline.results import read_result
from pipeline.spec import Job, JobWeights
from pipeline.weights import weights_sha256
from pipeline.worker import runner
from pipeline.worker.backend import Setup
from pipeline.worker.job import run_job_file
from pipeline.worker.runner import Roots, make_setup
from tests.worker.test_runner import DATA, StepwiseBackend, ignore, make_job

WEIGHTS = JobWeights("hf", "models/m/hf", "real", "r", "0" * 64)


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    """Folders of the worker's, with a secret beside them."""
    for name in ("results/run/job", "cache/models/m/hf", "data/sample", "outside"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "data" / "sample" / "howto_en.jsonl").write_bytes((DATA / "sample" / "howto_en.jsonl").read_bytes())
    (tmp_path / "outside" / "secret.jsonl").write_text("secret")
    return Roots(tmp_path / "data", tmp_path / "cache", tmp_path / "results")


def job_file(roots: Roots, changes: dict[str, Any], **fields: Any) -> Path:
    """A job's file in which values were replaced, by their place: {"workload.documents": …}."""
    content = codec.encode(make_job(lock_sha256="0" * 64, code_sha256="0" * 64, **fields))
    for place, value in changes.items():
        *outer, last = place.split(".")
        inner = content
        for name in outer:
            inner = inner[name]
        inner[last] = value
    path = roots.results / "run" / "job" / "job.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


OUTSIDE = ["/etc", "../outside", "run/../../outside", "..", "", ".", "a\0b", "run//job", "C:\\x\\..\\y"]


@pytest.mark.parametrize("value", OUTSIDE)
@pytest.mark.parametrize("place", ["folder", "workload.documents", "weights.path"])
def test_a_path_that_leaves_its_folder_is_refused(place: str, value: str, roots: Roots) -> None:
    path = job_file(roots, {place: value}, weights=WEIGHTS)
    with pytest.raises(UsageError, match=rf"job\.json\.{place}: .*can't be used"):
        run_job_file(path, roots, ignore)


@pytest.mark.parametrize("value", ["../../x", "/x", "a/b", "-x", ".x", ""])
@pytest.mark.parametrize(
    "place", ["run", "experiment", "backend", "image", "variant", "launcher", "gpu.name", "workload.dataset"]
)
def test_a_name_that_is_none_is_refused(place: str, value: str, roots: Roots) -> None:
    with pytest.raises(UsageError, match=rf"job\.json\.{place}: .*can't be used"):
        run_job_file(job_file(roots, {place: value}), roots, ignore)


@pytest.mark.parametrize("repeats", [0, -1, 10**9])
def test_no_or_endless_repeats_are_refused(repeats: int, roots: Roots) -> None:
    with pytest.raises(UsageError, match=rf"job\.json: repeats: {repeats} is not from 1 to 1000"):
        run_job_file(job_file(roots, {"repeats": repeats}), roots, ignore)


def test_a_backend_is_one_module_and_no_other(roots: Roots) -> None:
    with pytest.raises(UsageError, match="name a Python module"):
        run_job_file(job_file(roots, {"backend": "transformers.os"}), roots, ignore)


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("results/run/link", "outside"),
        ("data/link.jsonl", "outside/secret.jsonl"),
        ("cache/models/m/link", "outside"),
    ],
)
def test_a_link_out_of_its_folder_is_not_followed(link: str, target: str, roots: Roots, tmp_path: Path) -> None:
    (tmp_path / link).symlink_to(tmp_path / target)
    places = {
        "results/run/link": {"folder": "run/link"},
        "data/link.jsonl": {"workload.documents": "link.jsonl"},
        "cache/models/m/link": {"weights.path": "models/m/link"},
    }
    with pytest.raises(UsageError, match="through a link"):
        run_job_file(job_file(roots, places[link], weights=WEIGHTS), roots, ignore)
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["secret.jsonl"]


def test_a_job_file_outside_the_results_is_not_run(roots: Roots, tmp_path: Path) -> None:
    elsewhere = job_file(roots, {}).rename(tmp_path / "outside" / "job.json")
    with pytest.raises(UsageError, match="--job"):
        run_job_file(elsewhere, roots, ignore)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Setup]:
    """The set-ups that an engine was made with."""
    seen: list[Setup] = []

    def create(_name: str, setup: Setup) -> StepwiseBackend:
        seen.append(setup)
        return StepwiseBackend()

    monkeypatch.setattr(runner, "create_backend", create)
    return seen


def put(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.PT", "model.pth", "model.ckpt", "model.pkl"])
def test_pickles_are_refused_before_any_engine_is_made(name: str, roots: Roots, opened: list[Setup]) -> None:
    put(roots.cache / WEIGHTS.path, name, "config.json")
    result = run_job_file(job_file(roots, {}, weights=WEIGHTS), roots, ignore)
    assert opened == []
    assert result.failure is not None
    assert (result.failure.class_, result.failure.phase) == ("pickle_blocked", "load")
    assert name in result.failure.message
    assert "--allow-pickle" in result.failure.message
    assert read_result(roots.results / "run/job/result.json") == result


def test_pickles_that_are_allowed_are_opened_and_the_result_says_so(roots: Roots, opened: list[Setup]) -> None:
    put(roots.cache / WEIGHTS.path, "pytorch_model.bin")
    weights = {"weights.pickled": True}
    result = run_job_file(job_file(roots, weights, weights=WEIGHTS, allow_pickle=True), roots, ignore)
    assert result.status == "ok"
    assert [setup.allow_pickle for setup in opened] == [True]
    assert any("pickles, which can run code" in warning for warning in result.warnings)


def test_beside_safetensors_a_pickle_is_never_opened_whatever_is_allowed(roots: Roots) -> None:
    put(roots.cache / WEIGHTS.path, "model.safetensors", "pytorch_model.bin")
    for allowed in (False, True):
        job: Job = make_job(weights=WEIGHTS, allow_pickle=allowed)
        assert make_setup(job, roots, runner.load_documents(job, roots)).allow_pickle is False


def test_a_single_file_that_is_a_pickle_is_refused_too(tmp_path: Path) -> None:
    put(tmp_path, "model.bin", "model.gguf")
    assert pickles_in(tmp_path / "model.gguf") == []
    with pytest.raises(BenchmarkError, match=r"model\.bin"):
        require_safe(pickles_in(tmp_path / "model.bin"), False, tmp_path)


def test_a_folder_without_weights_is_left_to_the_engines_own_error() -> None:
    assert pickles_alone(["config.json", "tokenizer.json"]) == []


def test_pickles_have_a_fingerprint_of_their_own(tmp_path: Path) -> None:
    put(tmp_path, "pytorch_model.bin")
    before = weights_sha256(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"y")
    assert weights_sha256(tmp_path) != before
