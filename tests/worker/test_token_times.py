"""What the stamps of an engine's steps say of its prefill and decode, with a clock that the test turns."""

import io

import pytest

from pipeline.worker.backend import Request
from pipeline.worker.generation import Generated, generate
from pipeline.worker.telemetry import device_meter
from pipeline.worker.token_times import TokenTimes
from tests.worker.test_runner import NEW_TOKENS, STEP_S, StepwiseBackend, ignore, make_job

DOCS = 3


class Clock:
    """Stands in for time.perf_counter."""

    now = 100.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    turned = Clock()
    monkeypatch.setattr("pipeline.worker.token_times.time.perf_counter", turned)
    return turned


@pytest.fixture
def times(clock: Clock) -> TokenTimes:
    """Of requests that are handed over now."""
    made = TokenTimes()
    made.begin(clock.now)
    return made


def parts(times: TokenTimes) -> tuple[float, float]:
    """Seconds of prefill and of decode, as far as the clock is exact."""
    times.end_step()
    return round(times.prefill_s, 6), round(times.decode_s, 6)


def test_the_step_to_the_first_tokens_is_prefill_and_further_ones_are_decode(clock: Clock, times: TokenTimes) -> None:
    for seconds in (4, 1, 1):
        clock.passes(seconds)
        times({"a": 1, "b": 1})
    assert parts(times) == (4, 2)


def test_a_step_that_did_both_counts_as_prefill(clock: Clock, times: TokenTimes) -> None:
    clock.passes(4)
    times({"a": 1})
    clock.passes(5)
    times({"a": 1, "b": 1})
    clock.passes(1)
    times({"a": 1, "b": 1})
    assert parts(times) == (9, 1)


def test_tokens_that_are_told_one_by_one_are_of_one_step_until_a_request_gets_another(
    clock: Clock, times: TokenTimes
) -> None:
    """An engine that decodes `a` in the step that reads `b`'s prompt may tell of `a` first."""
    clock.passes(4)
    times({"a": 1})
    clock.passes(5)
    times({"a": 1})
    clock.passes(0.001)
    times({"b": 1})
    clock.passes(1)
    times({"a": 1})
    clock.passes(0.001)
    times({"b": 1})
    assert parts(times) == (9.001, 1.001)


def test_a_finished_request_ends_the_step(clock: Clock, times: TokenTimes) -> None:
    """The last step of one batch is not part of the next one's first."""
    clock.passes(4)
    times({"a": 1})
    clock.passes(1)
    times({"a": 1})
    times.end_step()
    clock.passes(3)
    times({"b": 1})
    assert parts(times) == (7, 1)


def test_what_passes_between_hand_overs_is_neither(clock: Clock, times: TokenTimes) -> None:
    clock.passes(4)
    times({"a": 1})
    clock.passes(60)
    times.begin(clock.now)
    clock.passes(2)
    times({"b": 1})
    assert parts(times) == (6, 0)


def test_an_attempt_that_is_taken_back_is_read_again(clock: Clock, times: TokenTimes) -> None:
    clock.passes(4)
    times({"a": 1})
    times({"a": -1})
    clock.passes(3)
    times({"a": 1})
    assert parts(times) == (7, 0)
    assert times.first == {"a": 107.0}


def generated(scenario: str) -> Generated:
    requests = [Request(name, "Text.", (2, 3), NEW_TOKENS) for name in "abc"]
    job = make_job(scenario=scenario)
    with device_meter("cpu") as meter:
        return generate(StepwiseBackend(), requests, job, meter, io.BytesIO(), ignore)


@pytest.mark.parametrize(("scenario", "batches"), [("offline", 1), ("single", DOCS)])
def test_the_timed_section_is_split_into_prefill_and_decode(scenario: str, batches: int) -> None:
    found = generated(scenario)
    assert found.prefill_s is not None and found.decode_s is not None
    assert batches * STEP_S <= found.prefill_s < 2 * batches * STEP_S
    decode_s = batches * (NEW_TOKENS - 1) * STEP_S
    assert decode_s <= found.decode_s < 1.5 * decode_s
    assert found.prefill_s + found.decode_s <= found.generate_s
