"""A job that goes on from the documents of an interrupted attempt: what is generated, and what is still known."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.entries import Prompt
from pipeline.errors import UsageError
from pipeline.measures import DocumentResult
from pipeline.results import DOCUMENTS_FILE, Result, read_documents, write_documents
from pipeline.worker import runner
from pipeline.worker.runner import PhaseError, Roots, run
from tests.worker.test_runner import DATA, StepwiseBackend, make_job

Execute = Callable[..., Result]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The job's documents."""
    (tmp_path / "run/job").mkdir(parents=True)
    return tmp_path / "run/job" / DOCUMENTS_FILE


@pytest.fixture
def execute(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> Execute:
    """Run a job that resumes its documents, in the same folder each time."""

    def call(backend: StepwiseBackend, **overrides: Any) -> Result:
        monkeypatch.setattr(runner, "create_backend", lambda name, setup: backend)
        job = make_job(**{"resume_documents": True, **overrides})
        return run(job, Roots(DATA, tmp_path, tmp_path), lambda *_: None)

    return call


@pytest.fixture
def whole(execute: Execute, path: Path) -> list[DocumentResult]:
    """The documents of an attempt that nothing interrupted."""
    execute(StepwiseBackend())
    return read_documents(path)


def cause_of(execute: Execute, **overrides: Any) -> str:
    with pytest.raises(PhaseError) as caught:
        execute(StepwiseBackend(), **overrides)
    assert isinstance(caught.value.__cause__, UsageError)
    return str(caught.value.__cause__)


def generated_by(backend: StepwiseBackend) -> list[str]:
    return [request.id for call in backend.calls for request in call if not request.id.startswith("warmup-")]


def test_only_documents_without_a_completion_are_generated(
    execute: Execute, path: Path, whole: list[DocumentResult]
) -> None:
    write_documents(path.parent, whole[:2])
    backend = StepwiseBackend()
    execute(backend)
    assert generated_by(backend) == [whole[2].id]


def test_all_documents_are_there_in_the_end_and_scored(
    execute: Execute, path: Path, whole: list[DocumentResult]
) -> None:
    write_documents(path.parent, whole[1:2])
    result = execute(StepwiseBackend())
    completed = read_documents(path)
    assert [(item.id, item.text, item.rouge1_f1) for item in completed] == [
        (item.id, item.text, item.rouge1_f1) for item in whole
    ]
    assert result.metrics is not None and result.metrics.docs == 3


def test_a_job_that_went_on_has_no_speed_but_the_seconds_of_its_last_part(
    execute: Execute, path: Path, whole: list[DocumentResult]
) -> None:
    write_documents(path.parent, whole[:1])
    result = execute(StepwiseBackend())
    timing, metrics = result.timing, result.metrics
    assert metrics is not None
    assert (timing.generate_s, timing.repeats, len(timing.segments)) == (None, (), 1)
    assert timing.segments[0] > 0 and timing.load_s is not None
    assert (metrics.docs_per_s, metrics.output_tokens_per_s, metrics.energy_j) == (None, None, None)
    assert (metrics.latency_s, metrics.ttft_s, metrics.tpot_s) == (None, None, None)
    assert metrics.peak_memory_bytes is None
    assert result.warnings == ("1 of 3 documents are an interrupted attempt's, so there is no speed",)


def test_each_documents_own_times_stay_on_record(execute: Execute, path: Path, whole: list[DocumentResult]) -> None:
    write_documents(path.parent, whole[:1])
    execute(StepwiseBackend())
    completed = read_documents(path)
    assert completed[0] == whole[0]
    assert all(item.latency_s is not None and item.ttft_s is not None for item in completed)


def test_with_all_documents_complete_no_engine_is_loaded(
    execute: Execute, path: Path, whole: list[DocumentResult]
) -> None:
    backend = StepwiseBackend(fail_in="load")
    result = execute(backend)
    assert (result.status, backend.calls, result.prompt_ids_sha256) == ("ok", [], None)
    assert result.quality is not None and result.quality.rouge1_f1 is not None
    assert "no engine was started, so prompt ids and settings are not known" in result.warnings[0]
    assert read_documents(path) == whole


def test_the_prompt_ids_fingerprint_is_over_all_documents(
    execute: Execute, path: Path, whole: list[DocumentResult]
) -> None:
    path.unlink()
    complete = execute(StepwiseBackend()).prompt_ids_sha256
    write_documents(path.parent, whole[:2])
    assert execute(StepwiseBackend()).prompt_ids_sha256 == complete


def test_with_nothing_to_go_on_from_it_is_timed_and_says_what_the_disk_took(execute: Execute) -> None:
    result = execute(StepwiseBackend())
    assert result.timing.generate_s is not None and result.timing.repeats == (result.timing.generate_s,)
    assert result.metrics is not None and result.metrics.docs_per_s is not None
    assert result.warnings[0].startswith("--resume-documents: keeping each document safe on the disk took 0.")


def test_a_torn_last_line_is_generated_again(execute: Execute, path: Path, whole: list[DocumentResult]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:20])
    backend = StepwiseBackend()
    execute(backend)
    assert generated_by(backend) == [whole[2].id]
    assert [item.id for item in read_documents(path)] == [item.id for item in whole]


@pytest.mark.usefixtures("whole")
def test_damage_elsewhere_names_file_and_line(execute: Execute, path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"{damaged\n" + lines[2])
    assert f"{path}: line 2: not valid JSON" in cause_of(execute)


@pytest.mark.usefixtures("whole")
def test_a_document_of_another_workload_is_refused(execute: Execute, path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    stranger = {**json.loads(lines[1]), "id": "stranger"}
    path.write_text(lines[0] + json.dumps(stranger) + "\n")
    assert f"{path}: line 2: document 'stranger' is not of this workload" in cause_of(execute)


def test_a_document_of_another_prompt_is_refused(execute: Execute, path: Path, whole: list[DocumentResult]) -> None:
    other = replace(make_job().workload, prompt=Prompt("other", "Other: {document}"))
    assert f"line 1: document {whole[0].id!r} was given another prompt" in cause_of(execute, workload=other)


def test_a_document_that_stands_there_twice_is_refused(
    execute: Execute, path: Path, whole: list[DocumentResult]
) -> None:
    write_documents(path.parent, [*whole[:2], whole[0]])
    assert f"{path}: line 3: document {whole[0].id!r} stands there twice" in cause_of(execute)


def test_what_a_break_leaves_is_gone_on_from(execute: Execute, path: Path) -> None:
    """A break after the first of the documents: the next attempt does the other two."""

    class Breaking(StepwiseBackend):
        def generate(self, requests: Any, on_step: Any = None) -> Any:
            for number, completion in enumerate(super().generate(requests, on_step)):
                if number == 1 and len(self.calls) > 1:
                    raise RuntimeError("broke")
                yield completion

    with pytest.raises(PhaseError):
        execute(Breaking())
    [done] = read_documents(path)
    backend = StepwiseBackend()
    execute(backend)
    assert len(generated_by(backend)) == 2
    assert done.id not in generated_by(backend)


def test_a_job_that_is_not_to_resume_starts_again(execute: Execute, whole: list[DocumentResult]) -> None:
    backend = StepwiseBackend()
    result = execute(backend, resume_documents=False)
    assert len(generated_by(backend)) == len(whole)
    assert result.timing.generate_s is not None and result.warnings == ()
