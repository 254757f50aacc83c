"""Jobs whose batches run out of memory: what their results say, and that the clock counts what was really had."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.results import DOCUMENTS_FILE, Result, read_documents, read_result
from pipeline.worker import runner
from pipeline.worker.backend import Completion, MemoryUse, OnStep, Request, Settings, Setup
from pipeline.worker.batches import Batches
from pipeline.worker.runner import PhaseError, Roots, run
from pipeline.worker.token_times import TokenTimes
from tests.worker.test_runner import DATA, NEW_TOKENS, make_job

STEP_S = 0.05
FAILS_AFTER = 3


@dataclass
class SmallBackend:
    """Generates a step at a time; more than `most` documents run out of memory after FAILS_AFTER steps.

    warm: the warm-up, whose documents get few new tokens, fits at any size.
    """

    most: int
    warm: bool = False
    calls: list[list[Request]] = field(default_factory=list)
    batches: Batches = field(default_factory=lambda: Batches(1, shrink=False))

    def load(self) -> None:
        """Nothing to load."""

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        return [[3, *prompt.encode()] for prompt in prompts]

    def compile_for(self, requests: Sequence[Request]) -> bool:
        return False

    def generate(self, requests: Sequence[Request], on_step: OnStep | None = None) -> Iterator[Completion]:
        def attempt(batch: Sequence[Request]) -> list[str]:
            return self._attempt(batch, on_step)

        for request, text in self.batches.run(
            requests, attempt, lambda error: isinstance(error, MemoryError), lambda: None
        ):
            yield Completion(request.id, text, (5,) * NEW_TOKENS, "length")

    def _attempt(self, batch: Sequence[Request], on_step: OnStep | None) -> list[str]:
        self.calls.append(list(batch))
        excused = self.warm and batch[0].id.startswith("warmup-")
        for step in range(NEW_TOKENS):
            time.sleep(STEP_S)
            if len(batch) > self.most and step == FAILS_AFTER and not excused:
                if on_step:
                    on_step({request.id: -FAILS_AFTER for request in batch})
                raise MemoryError("full")
            if on_step:
                on_step({request.id: 1 for request in batch})
        return [f"About {request.id}." for request in batch]

    def memory(self) -> MemoryUse:
        return MemoryUse()

    def settings(self) -> Settings:
        return Settings(batch_size_used=self.batches.used)

    def close(self) -> None:
        """Nothing to free."""


Execute = Callable[..., Result]


@pytest.fixture
def phases() -> list[str]:
    """The phases of which `execute` was told, in order."""
    return []


@pytest.fixture
def execute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phases: list[str]) -> Execute:
    """Run a job of three documents on a backend; results lie under tmp_path."""

    def call(backend: SmallBackend, **overrides: Any) -> Result:
        def create(_name: str, setup: Setup) -> SmallBackend:
            assert setup.batches is not None
            backend.batches = setup.batches
            return backend

        monkeypatch.setattr(runner, "create_backend", create)
        (tmp_path / "run/job").mkdir(parents=True)
        job = make_job(**{"on_oom": "shrink", **overrides})
        return run(job, Roots(DATA, tmp_path, tmp_path), lambda phase, *_: phases.append(phase))

    return call


def test_the_result_says_at_which_batch_it_ran_and_what_was_asked(execute: Execute, tmp_path: Path) -> None:
    result = execute(SmallBackend(most=1))
    assert (result.settings.batch_size_asked, result.settings.batch_size_used) == (3, 1)
    assert read_result(tmp_path / "run/job/result.json") == result
    assert len(read_documents(tmp_path / "run/job" / DOCUMENTS_FILE)) == 3


def test_a_retreat_in_the_warm_up_costs_the_timed_section_nothing(execute: Execute) -> None:
    result = execute(SmallBackend(most=1))
    assert "halved once, to 1" in result.warnings[0]
    assert result.warnings[0].endswith("of which 0.0 s count in generate_s")


def test_a_retreat_in_the_timed_section_counts_in_it_and_the_warning_says_so(execute: Execute) -> None:
    result = execute(SmallBackend(most=1, warm=True))
    assert result.warnings[0].endswith("of which 0.2 s count in generate_s")
    assert result.timing.generate_s is not None
    assert result.timing.generate_s >= (FAILS_AFTER + 1 + 3 * NEW_TOKENS) * STEP_S


def test_with_repeats_the_warning_says_a_retreats_share_of_their_mean(execute: Execute) -> None:
    result = execute(SmallBackend(most=1, warm=True), repeats=2)
    assert "attempts that failed took 0.2 s, of which" in result.warnings[0]
    assert result.warnings[0].endswith("of which 0.1 s count in generate_s, the mean of 2 repeats")


def test_times_of_a_retried_document_are_those_of_the_attempt_that_it_came_from(
    execute: Execute, tmp_path: Path
) -> None:
    execute(SmallBackend(most=1, warm=True))
    completed = sorted(read_documents(tmp_path / "run/job" / DOCUMENTS_FILE), key=lambda item: item.latency_s or 0)
    lost_s = (FAILS_AFTER + 1) * STEP_S
    for number, document in enumerate(completed):
        assert document.ttft_s is not None and document.tpot_s is not None
        assert document.ttft_s >= lost_s + (number * NEW_TOKENS + 1) * STEP_S
        assert document.tpot_s < 2 * STEP_S


def test_tokens_that_were_taken_back_were_never_there() -> None:
    times = TokenTimes()
    times({"a": 2, "b": 1})
    times({"a": -2})
    assert (set(times.first), set(times.last), times.arrived) == ({"b"}, {"b"}, 3)


def test_asked_to_fail_it_fails_in_the_phase_where_memory_ran_out(execute: Execute) -> None:
    with pytest.raises(PhaseError) as caught:
        execute(SmallBackend(most=1, warm=True), on_oom="fail")
    assert caught.value.phase == "generate"
    assert "a batch of 3 ran out of memory: full" in str(caught.value.__cause__)


def test_a_search_ends_at_the_largest_that_fits_and_is_on_record(execute: Execute) -> None:
    backend = SmallBackend(most=2)
    result = execute(backend, find_batch_size=True, batch_size=1)
    settings = result.settings
    assert [(item.size, item.fits) for item in settings.batch_search] == [(1, True), (2, True), (3, False)]
    assert all(item.seconds > 0 and item.peak_bytes for item in settings.batch_search)
    assert (settings.batch_size_asked, settings.batch_size_used, result.warnings) == (None, 2, ())
    assert result.timing.search_s is not None and result.timing.search_s >= (2 * NEW_TOKENS + FAILS_AFTER) * STEP_S


def test_a_search_takes_the_longest_prompts_at_full_length_and_none_of_the_workload(execute: Execute) -> None:
    backend = SmallBackend(most=2)
    execute(backend, find_batch_size=True, batch_size=1)
    tried = [call for call in backend.calls if call[0].id.startswith("search-")]
    work = [request for call in backend.calls if call not in tried for request in call]
    lengths = sorted((len(request.prompt_ids) for request in tried[-1]), reverse=True)
    assert [len(call[0].prompt_ids) for call in tried] == [lengths[0]] * len(tried)
    assert all(request.full_length and request.max_new_tokens == NEW_TOKENS for call in tried for request in call)
    assert not {r.prompt_ids for call in tried for r in call} & {r.prompt_ids for r in work}


def test_after_a_search_it_warms_up_and_runs_at_the_size_found(execute: Execute) -> None:
    backend = SmallBackend(most=2)
    execute(backend, find_batch_size=True, batch_size=1)
    later = [len(call) for call in backend.calls if not call[0].id.startswith("search-")]
    assert later == [2, 2, 1]  # the warm-up, then the workload


def test_a_search_where_nothing_fits_is_the_failure(execute: Execute) -> None:
    with pytest.raises(PhaseError) as caught:
        execute(SmallBackend(most=0), find_batch_size=True, batch_size=2)
    assert caught.value.phase == "search"
    assert "a batch of 1 ran out of memory" in str(caught.value.__cause__)


def test_each_phase_announces_itself_in_order(execute: Execute, phases: list[str]) -> None:
    execute(SmallBackend(most=3), find_batch_size=True, batch_size=3)
    assert list(dict.fromkeys(phases)) == ["load", "encode", "search", "warmup", "generate", "score", "save"]
