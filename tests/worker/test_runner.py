"""The runner's clock, phases and files, around an engine whose every step the test decides."""

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.documents import choose, fingerprint, read_documents
from pipeline.entries import Attention, Prompt, Rates
from pipeline.results import DOCUMENTS_FILE, RESULT_FILE, Result, document_at, read_result
from pipeline.results import read_documents as read_completions
from pipeline.spec import Job, JobGpu, JobModel, JobWeights, Precision, Workload
from pipeline.worker import runner
from pipeline.worker.backend import Completion, MemoryUse, OnStep, Request, Settings
from pipeline.worker.generation import generate
from pipeline.worker.runner import PhaseError, Roots, run

DATA = Path("data").resolve()
STEP_S = 0.05
LOAD_S = 0.05
NEW_TOKENS = 4
MODEL = JobModel("m", 4096, eos_ids=(1,), bos_id=2, prompt_prefix="", prompt_suffix="")


@dataclass
class StepwiseBackend:
    """Generates NEW_TOKENS tokens a request, a step of STEP_S for all requests at once, and remembers the calls."""

    fail_in: str = ""
    lose: str = ""
    stops_early: bool = False
    calls: list[list[Request]] = field(default_factory=list)
    closed: int = 0

    def load(self) -> None:
        time.sleep(LOAD_S)
        self._maybe_fail("load")

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        self._maybe_fail("encode")
        return [[3, *prompt.encode()] for prompt in prompts]

    def compile_for(self, requests: Sequence[Request]) -> bool:
        return False

    def generate(self, requests: Sequence[Request], on_step: OnStep | None = None) -> Iterator[Completion]:
        self.calls.append(list(requests))
        for _ in range(NEW_TOKENS):
            time.sleep(STEP_S)
            if on_step:
                on_step({request.id: 1 for request in requests})
        for request in reversed(requests):
            if len(self.calls) > 1:
                self._maybe_fail("generate")
            if request.id != self.lose:
                written = NEW_TOKENS - self.stops_early
                yield Completion(
                    request.id, f"About {request.id}.", (5,) * written, "stop" if self.stops_early else "length"
                )

    def memory(self) -> MemoryUse:
        return MemoryUse(weights_bytes=7)

    def settings(self) -> Settings:
        return Settings(dtype="float32", batch_size_used=3)

    def close(self) -> None:
        self.closed += 1

    def _maybe_fail(self, phase: str) -> None:
        if self.fail_in == phase:
            raise RuntimeError(f"broke in {phase}")


def make_job(**overrides: Any) -> Job:
    documents = choose(read_documents(DATA / "sample/howto_en.jsonl"), 3, 0)
    workload = Workload(
        "sample", "sample/howto_en.jsonl", fingerprint(documents), 3, 0, Prompt("p", "Text: {document}"), NEW_TOKENS
    )
    job = Job(
        schema_version=1,
        key="a" * 64,
        run="run",
        folder="run/job",
        experiment="stepwise",
        optimization="none",
        ranked=True,
        backend="stepwise",
        image="none",
        variant="cpu",
        launcher="process",
        scenario="offline",
        launch=1,
        dtype="float32",
        options={},
        batch_size=3,
        gpu=JobGpu("cpu", "CPU", "cpu"),
        model=MODEL,
        weights=None,
        workload=workload,
        lock_sha256="",
        code_sha256="",
    )
    return replace(job, **overrides)


Runner = Callable[..., Result]


def ignore(*_: object) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def execute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Run a job on a backend; results lie under tmp_path."""

    def call(backend: StepwiseBackend, **overrides: Any) -> Result:
        monkeypatch.setattr(runner, "create_backend", lambda name, setup: backend)
        (tmp_path / "run/job").mkdir(parents=True)
        return run(make_job(**overrides), Roots(DATA, tmp_path, tmp_path), ignore)

    return call


RANDOM = JobWeights("synthetic-hf", "models/m/synthetic-hf", "synthetic", "1", "0" * 64)


@pytest.fixture
def random_weights(tmp_path: Path) -> JobWeights:
    (tmp_path / RANDOM.path).mkdir(parents=True)
    return RANDOM


def test_on_random_weights_every_request_is_to_get_all_its_tokens(execute: Runner, random_weights: JobWeights) -> None:
    backend = StepwiseBackend()
    assert execute(backend, weights=random_weights).status == "ok"
    assert all(request.full_length for request in backend.calls[-1])


def test_an_engine_that_stops_early_on_random_weights_gets_no_speed(
    execute: Runner, random_weights: JobWeights
) -> None:
    with pytest.raises(PhaseError) as caught:
        execute(StepwiseBackend(stops_early=True), weights=random_weights)
    assert f"got {NEW_TOKENS - 1} of {NEW_TOKENS} new tokens" in str(caught.value.__cause__)


def test_on_real_weights_a_document_may_end_early(execute: Runner) -> None:
    backend = StepwiseBackend(stops_early=True)
    assert execute(backend).status == "ok"
    assert not any(request.full_length for request in backend.calls[-1])


def test_generation_is_timed_without_load_and_warm_up(execute: Runner) -> None:
    timing = execute(StepwiseBackend()).timing
    assert timing.load_s is not None and timing.load_s >= LOAD_S
    assert timing.warmup_s is not None and timing.warmup_s >= NEW_TOKENS * STEP_S
    assert timing.generate_s is not None
    assert NEW_TOKENS * STEP_S <= timing.generate_s < 2 * NEW_TOKENS * STEP_S


def test_what_the_engine_compiled_is_not_in_its_loading_time_too(execute: Runner) -> None:
    class Compiling(StepwiseBackend):
        def load(self) -> None:
            time.sleep(1.0)

        def settings(self) -> Settings:
            return Settings(compile_s=0.9)

    timing = execute(Compiling()).timing
    assert timing.compile_s == 0.9
    assert timing.load_s is not None and 0.1 <= timing.load_s < 0.8


def test_what_an_engine_compiles_for_its_requests_is_timed_apart_and_is_its_warm_up(execute: Runner) -> None:
    class CompilingByShape(StepwiseBackend):
        def compile_for(self, requests: Sequence[Request]) -> bool:
            time.sleep(0.2)
            return True

    backend = CompilingByShape()
    timing = execute(backend).timing
    assert timing.compile_s is not None and timing.compile_s >= 0.2
    assert timing.warmup_s is not None and timing.warmup_s < 0.1
    assert len(backend.calls) == 1


@pytest.mark.parametrize(("scenario", "sizes"), [("offline", [3]), ("single", [1, 1, 1])])
def test_an_engine_compiles_for_what_it_is_handed_at_a_time_the_longest_first(
    execute: Runner, scenario: str, sizes: list[int]
) -> None:
    lengths: list[list[int]] = []

    class CompilingByShape(StepwiseBackend):
        def compile_for(self, requests: Sequence[Request]) -> bool:
            lengths.append([len(request.prompt_ids) for request in requests])
            return True

    execute(CompilingByShape(), scenario=scenario)
    assert [len(batch) for batch in lengths] == sizes
    flat = [length for batch in lengths for length in batch]
    assert flat == sorted(flat, reverse=True)


def test_an_engine_that_does_not_tell_has_its_whole_loading_time_and_no_compile_time(execute: Runner) -> None:
    timing = execute(StepwiseBackend()).timing
    assert timing.compile_s is None
    assert timing.load_s is not None and timing.load_s >= LOAD_S


def test_offline_hands_all_documents_over_at_once(execute: Runner) -> None:
    backend = StepwiseBackend()
    execute(backend)
    assert [len(call) for call in backend.calls] == [3, 3]  # the warm-up, then the workload


def test_single_hands_over_one_document_at_a_time(execute: Runner) -> None:
    backend = StepwiseBackend()
    result = execute(backend, scenario="single", batch_size=1)
    assert [len(call) for call in backend.calls] == [1, 1, 1, 1]
    assert result.timing.generate_s is not None and result.timing.generate_s >= 3 * NEW_TOKENS * STEP_S


def test_latency_counts_from_hand_over_in_offline_and_from_the_request_in_single(execute: Runner) -> None:
    result = execute(StepwiseBackend(), scenario="single", batch_size=1)
    assert result.metrics is not None and result.metrics.latency_s is not None
    assert result.metrics.latency_s.p99 < 2 * NEW_TOKENS * STEP_S


def test_time_to_first_token_and_per_token_come_from_the_steps(execute: Runner) -> None:
    metrics = execute(StepwiseBackend()).metrics
    assert metrics is not None and metrics.ttft_s is not None and metrics.tpot_s is not None
    assert STEP_S <= metrics.ttft_s.p50 < 3 * STEP_S
    assert STEP_S * 0.9 <= metrics.tpot_s.p50 < 2 * STEP_S


def test_what_is_not_observed_is_null() -> None:
    requests = [Request("a", "Text.", (2, 3), NEW_TOKENS)]
    written, places = io.BytesIO(), {}
    generated = generate(
        StepwiseBackend(),
        requests,
        make_job(),
        None,
        written,
        ignore,
        note=lambda at, place: places.update({at: place}),
    )
    document = document_at(written, places[0])
    assert (document.ttft_s, document.tpot_s) == (None, None)
    assert (generated.peak_memory_bytes, generated.energy_j) == (None, None)


def test_memory_is_sampled_during_generation(execute: Runner) -> None:
    metrics = execute(StepwiseBackend()).metrics
    assert metrics is not None and metrics.peak_memory_bytes is not None
    assert metrics.peak_memory_bytes > 10 << 20


def test_the_warm_up_uses_no_text_of_the_workload(execute: Runner) -> None:
    backend = StepwiseBackend()
    execute(backend)
    warmup, work = backend.calls
    assert not {request.prompt_ids for request in warmup} & {request.prompt_ids for request in work}


def test_no_warm_up_prompt_is_longer_than_that_of_its_document(execute: Runner) -> None:
    class Lengthening(StepwiseBackend):
        """Takes twice as many tokens for every text after those of the workload."""

        def encode(self, prompts: Sequence[str]) -> list[list[int]]:
            ids, self.times = super().encode(prompts), self.times + 1
            return [each * self.times for each in ids]

        times = 0

    backend = Lengthening()
    execute(backend)
    warmup, work = backend.calls
    lengths = {request.id: len(request.prompt_ids) for request in work}
    assert [len(request.prompt_ids) for request in warmup] == [
        lengths[request.id.removeprefix("warmup-")] for request in warmup
    ]


def test_every_prompt_starts_with_exactly_one_bos(execute: Runner) -> None:
    backend = StepwiseBackend()
    execute(backend)
    assert all(request.prompt_ids[:2] == (2, 3) for request in backend.calls[1])


def test_documents_come_back_in_the_datasets_order(execute: Runner, tmp_path: Path) -> None:
    execute(StepwiseBackend())
    chosen = choose(read_documents(DATA / "sample/howto_en.jsonl"), 3, 0)
    completed = read_completions(tmp_path / "run/job" / DOCUMENTS_FILE)
    assert [item.id for item in completed] == [item.id for item in chosen]


def test_the_written_result_is_the_returned_one(execute: Runner, tmp_path: Path) -> None:
    result = execute(StepwiseBackend())
    assert read_result(tmp_path / "run/job" / RESULT_FILE) == result


def test_documents_that_exceed_the_context_are_reported_and_not_generated(execute: Runner, tmp_path: Path) -> None:
    backend = StepwiseBackend()
    lengths = sorted(len(d.document.encode()) for d in choose(read_documents(DATA / "sample/howto_en.jsonl"), 3, 0))
    limit = lengths[1] + len("Text: ") + 2 + NEW_TOKENS
    result = execute(backend, model=replace(MODEL, context_length=limit))
    completed = read_completions(tmp_path / "run/job" / DOCUMENTS_FILE)
    assert [item.finish_reason for item in completed].count("too_long") == 1
    assert result.metrics is not None and result.metrics.docs == 2
    assert "1 document" in result.warnings[0]


def test_a_lost_document_is_a_failure_and_not_a_gap(execute: Runner) -> None:
    lost = choose(read_documents(DATA / "sample/howto_en.jsonl"), 3, 0)[0].id
    with pytest.raises(PhaseError) as caught:
        execute(StepwiseBackend(lose=lost))
    assert caught.value.phase == "generate"
    assert lost in str(caught.value.__cause__)


@pytest.mark.parametrize("phase", ["load", "encode", "generate"])
def test_a_break_names_its_phase_and_closes_the_engine(execute: Runner, phase: str) -> None:
    backend = StepwiseBackend(fail_in=phase)
    with pytest.raises(PhaseError) as caught:
        execute(backend)
    assert (caught.value.phase, backend.closed) == (phase, 1)


@pytest.mark.parametrize("phase", ["", "encode", "generate"])
def test_nothing_but_the_jobs_own_files_is_left_in_its_folder(execute: Runner, tmp_path: Path, phase: str) -> None:
    with suppress(PhaseError):
        execute(StepwiseBackend(fail_in=phase))
    assert {path.name for path in (tmp_path / "run/job").iterdir()} <= {DOCUMENTS_FILE, RESULT_FILE}


def test_documents_other_than_planned_are_refused(execute: Runner) -> None:
    job = make_job()
    with pytest.raises(PhaseError) as caught:
        execute(StepwiseBackend(), workload=replace(job.workload, documents_sha256="0" * 64))
    assert "the documents changed since the job was planned" in str(caught.value.__cause__)


def test_a_result_says_how_far_it_is_from_the_listed_and_the_measured_limit(execute: Runner) -> None:
    shaped = replace(MODEL, linear_parameters=10**6, output_parameters=10**5, attention=Attention(2, 1, 16))
    gpu = JobGpu("cpu", "CPU", "cpu", Rates("listed", 1e9, 1e12))
    result = execute(StepwiseBackend(), model=shaped, gpu=gpu, precision=Precision(32, 32, 32, 16))
    measured, generate_s = result.environment.rates, result.timing.generate_s
    assert measured is not None and generate_s is not None
    for found, by in ((result.roofline, gpu.rates), (result.roofline_measured, measured)):
        assert found is not None
        assert found.rates == by
        assert found.fraction == pytest.approx(found.bound_s / generate_s)


def test_rates_that_the_run_itself_went_beyond_are_warned_of(execute: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "measure", lambda *_: Rates("measured", 1.0))
    shaped = replace(MODEL, linear_parameters=1, output_parameters=1, attention=Attention(1, 1, 1))
    result = execute(StepwiseBackend(), model=shaped, precision=Precision(32, 32, 32, 16))
    assert result.roofline_measured is not None and (result.roofline_measured.fraction or 0) > 1
    assert any("something else used the machine" in warning for warning in result.warnings)


def test_a_job_whose_models_shape_is_not_known_has_no_limit(execute: Runner) -> None:
    result = execute(StepwiseBackend())
    assert (result.environment.rates, result.roofline, result.roofline_measured) == (None, None, None)
