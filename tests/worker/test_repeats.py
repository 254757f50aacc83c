"""The timed section run several times in one process: what is timed, kept and said of it."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.entries import Device, Sampling
from pipeline.measures import RepeatSample
from pipeline.results import DOCUMENTS_FILE, REPEATS_FILE, Result, read_documents, read_repeats
from pipeline.worker import runner
from pipeline.worker.backend import Completion, OnStep, Request, Settings
from pipeline.worker.runner import PhaseError, Roots, run
from pipeline.worker.telemetry import DeviceMeter
from tests.worker.test_runner import DATA, NEW_TOKENS, STEP_S, StepwiseBackend, ignore, make_job

Execute = Callable[..., Result]
FOLDER = "run/job"


@pytest.fixture
def execute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Execute:
    """Run a job with two repeats on a backend; results lie under tmp_path."""

    def call(backend: StepwiseBackend, **overrides: Any) -> Result:
        monkeypatch.setattr(runner, "create_backend", lambda name, setup: backend)
        (tmp_path / FOLDER).mkdir(parents=True)
        return run(make_job(**{"repeats": 2, **overrides}), Roots(DATA, tmp_path, tmp_path), ignore)

    return call


@dataclass
class Changing(StepwiseBackend):
    """Writes another text of the second document whenever it is asked."""

    def generate(self, requests: Sequence[Request], on_step: OnStep | None = None) -> Iterator[Completion]:
        for completion in super().generate(requests, on_step):
            again = f" Time {len(self.calls)}." if completion.id == requests[1].id else ""
            yield Completion(completion.id, completion.text + again, completion.output_ids, completion.finish_reason)


def test_each_repeat_is_timed_after_one_warm_up(execute: Execute) -> None:
    backend = StepwiseBackend()
    timing = execute(backend, repeats=3).timing
    assert [len(call) for call in backend.calls] == [3, 3, 3, 3]
    assert len(timing.repeats) == 3
    assert all(NEW_TOKENS * STEP_S <= seconds < 2 * NEW_TOKENS * STEP_S for seconds in timing.repeats)


def test_the_time_is_the_mean_of_the_repeats_and_speed_follows_from_it(execute: Execute) -> None:
    result = execute(StepwiseBackend())
    timing, metrics = result.timing, result.metrics
    assert timing.generate_s == pytest.approx(sum(timing.repeats) / 2)
    assert metrics is not None and timing.generate_s is not None
    assert metrics.docs_per_s == pytest.approx(3 / timing.generate_s)
    assert metrics.output_tokens_per_s == pytest.approx(3 * NEW_TOKENS / timing.generate_s)


def test_the_first_repeat_is_in_the_documents_and_the_others_beside_them(execute: Execute, tmp_path: Path) -> None:
    result = execute(Changing(), repeats=3)
    documents = read_documents(tmp_path / FOLDER / DOCUMENTS_FILE)
    samples = read_repeats(tmp_path / FOLDER / REPEATS_FILE)
    assert [document.text.count("Time 2.") for document in documents] == [0, 1, 0]
    assert sorted((sample.repeat, sample.id) for sample in samples) == sorted(
        (repeat, document.id) for repeat in (2, 3) for document in documents
    )
    assert {sample.id for sample in samples if not sample.same_text} == {documents[1].id}
    assert result.job.repeats == 3


def test_a_repeats_samples_have_their_own_times(execute: Execute, tmp_path: Path) -> None:
    execute(StepwiseBackend())
    for sample in read_repeats(tmp_path / FOLDER / REPEATS_FILE):
        assert sample.output_tokens == NEW_TOKENS
        assert sample.latency_s is not None and NEW_TOKENS * STEP_S <= sample.latency_s < 2 * NEW_TOKENS * STEP_S
        assert sample.ttft_s is not None and STEP_S <= sample.ttft_s < 3 * STEP_S


def test_times_are_over_the_samples_of_all_repeats(execute: Execute, tmp_path: Path) -> None:
    metrics = execute(StepwiseBackend()).metrics
    first = [document.latency_s for document in read_documents(tmp_path / FOLDER / DOCUMENTS_FILE)]
    second = [sample.latency_s for sample in read_repeats(tmp_path / FOLDER / REPEATS_FILE)]
    latencies = [latency for latency in first + second if latency is not None]
    assert len(latencies) == 6
    assert metrics is not None and metrics.latency_s is not None
    assert metrics.latency_s.mean == pytest.approx(sum(latencies) / 6)


def test_one_run_of_the_timed_section_leaves_no_file_of_repeats(execute: Execute, tmp_path: Path) -> None:
    execute(StepwiseBackend(), repeats=1)
    assert not (tmp_path / FOLDER / REPEATS_FILE).exists()


def test_greedy_texts_that_differ_between_repeats_are_counted_in_a_warning(execute: Execute) -> None:
    [warning] = execute(Changing()).warnings
    assert warning.startswith("the texts of 1 of 3 documents differed between repeats of greedy decoding")


def test_sampled_texts_may_differ_between_repeats(execute: Execute) -> None:
    assert execute(Changing(), sampling=Sampling("sample", 1.0)).warnings == ()


def test_the_quality_is_that_of_the_first_repeat(execute: Execute) -> None:
    class Degrading(StepwiseBackend):
        """Has nothing to say the second time."""

        def generate(self, requests: Sequence[Request], on_step: OnStep | None = None) -> Iterator[Completion]:
            for item in super().generate(requests, on_step):
                yield Completion(item.id, "" if len(self.calls) > 2 else item.text, item.output_ids, item.finish_reason)

    quality = execute(Degrading()).quality
    assert quality is not None and quality.empty_outputs == 0


def test_a_torn_last_sample_is_dropped(execute: Execute, tmp_path: Path) -> None:
    execute(StepwiseBackend())
    path = tmp_path / FOLDER / REPEATS_FILE
    path.write_bytes(path.read_bytes()[:-10])
    found = read_repeats(path)
    assert len(found) == 2 and isinstance(found[0], RepeatSample)


def test_a_prompt_that_was_served_from_a_cache_fails_the_job(execute: Execute) -> None:
    class Caching(StepwiseBackend):
        def settings(self) -> Settings:
            return Settings(cached_prompt_tokens=17)

    with pytest.raises(PhaseError) as caught:
        execute(Caching())
    assert caught.value.phase == "generate"
    assert "took 17 tokens of prompts from earlier requests" in str(caught.value.__cause__)


def test_what_held_the_clocks_down_is_recorded_and_said(execute: Execute, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def hot(_device: Device, _count: int) -> Iterator[DeviceMeter]:
        yield DeviceMeter(lambda: 1000, lambda: None, lambda: ["software thermal slowdown"])

    monkeypatch.setattr(runner, "device_meter", hot)
    result = execute(StepwiseBackend())
    assert result.environment.throttled == ("software thermal slowdown",)
    [warning] = result.warnings
    said = r"held the GPU's clocks down in the timed section: software thermal slowdown \((\d) of \1 readings\)"
    found = re.search(said, warning)
    assert found is not None and int(found[1]) >= 4  # at the start and the end of each of the two repeats


@pytest.mark.parametrize(("answer", "throttled"), [((), ()), (None, None)])
def test_clocks_that_nothing_held_down_and_those_of_which_nothing_is_known_are_told_apart(
    execute: Execute, monkeypatch: pytest.MonkeyPatch, answer: tuple[str, ...] | None, throttled: tuple[str, ...] | None
) -> None:
    @contextmanager
    def metered(_device: Device, _count: int) -> Iterator[DeviceMeter]:
        yield DeviceMeter(lambda: 1000, lambda: None, lambda: answer)

    monkeypatch.setattr(runner, "device_meter", metered)
    result = execute(StepwiseBackend())
    assert (result.environment.throttled, result.warnings) == (throttled, ())


def test_of_a_cpus_clocks_nothing_is_known(execute: Execute) -> None:
    assert execute(StepwiseBackend()).environment.throttled is None


def test_energy_is_the_mean_of_the_repeats_and_the_peak_their_largest(
    execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = iter([100, *(150, 150), *(400, 150)])  # once loaded, then at the start and the end of each repeat
    joules = iter([0.0, 10.0, 10.0, 40.0])

    @contextmanager
    def metered(_device: Device, _count: int) -> Iterator[DeviceMeter]:
        yield DeviceMeter(lambda: next(used, 150), lambda: next(joules))

    monkeypatch.setattr(runner, "device_meter", metered)
    metrics = execute(StepwiseBackend()).metrics
    assert metrics is not None
    assert (metrics.energy_j, metrics.peak_memory_bytes) == (20.0, 400)
    assert (metrics.weights_bytes, metrics.kv_cache_bytes) == (7, None)
