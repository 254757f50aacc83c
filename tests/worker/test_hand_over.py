"""What is known of an engine's work without holding all of it."""

import io
from collections.abc import Iterator, Sequence

import pytest

from pipeline.documents import Document
from pipeline.errors import BenchmarkError
from pipeline.worker.backend import Completion, OnStep, Request
from pipeline.worker.generation import generate
from pipeline.worker.hand_over import HandOver
from pipeline.worker.requests import ENCODED_AT_ONCE, build_requests
from tests.worker.test_runner import NEW_TOKENS, StepwiseBackend, ignore, make_job

REQUESTS = [Request(name, "Text.", (2, 3), NEW_TOKENS) for name in "abcdef"]


def test_only_what_the_engine_took_is_under_way_and_only_until_it_is_finished() -> None:
    over = HandOver(REQUESTS)
    taking = iter(over[2:])
    assert over.under_way == 0
    assert [next(taking).id, next(taking).id, over.under_way] == ["c", "d", 2]
    assert over.complete("d").position == 3
    assert (over.under_way, over.completed) == (1, 1)


def test_a_request_that_is_taken_again_is_under_way_once_and_a_finished_one_is_not() -> None:
    over = HandOver(REQUESTS)
    assert over[0] == over[0] == REQUESTS[0]
    assert over.under_way == 1
    over.complete("a")
    assert (over[-6].id, over.under_way) == ("a", 0)


@pytest.mark.parametrize("again", ["a", "b", "stranger"])
def test_a_completion_of_what_is_not_under_way_is_a_failure(again: str) -> None:
    class Confused(StepwiseBackend):
        def generate(self, requests: Sequence[Request], on_step: OnStep | None = None) -> Iterator[Completion]:
            for name in (requests[0].id, again):
                yield Completion(name, "Text.", (5,) * NEW_TOKENS, "length")

    with pytest.raises(BenchmarkError, match=f"completed {again}, which it was not working on"):
        generate(Confused(), REQUESTS, make_job(), None, io.BytesIO(), ignore)


def test_documents_that_the_engine_never_took_are_missed_too() -> None:
    class Lazy(StepwiseBackend):
        def generate(self, requests: Sequence[Request], on_step: OnStep | None = None) -> Iterator[Completion]:
            yield Completion(requests[0].id, "Text.", (5,) * NEW_TOKENS, "length")

    with pytest.raises(BenchmarkError, match="left 5 documents without a completion: b, …"):
        generate(Lazy(), REQUESTS, make_job(), None, io.BytesIO(), ignore)


def test_prompts_are_encoded_some_at_a_time() -> None:
    sizes: list[int] = []

    class Counting(StepwiseBackend):
        def encode(self, prompts: Sequence[str]) -> list[list[int]]:
            sizes.append(len(prompts))
            return super().encode(prompts)

    documents = (Document(str(number), "Text.", "s") for number in range(2 * ENCODED_AT_ONCE + 1))
    job = make_job()
    built = build_requests(Counting(), documents, job.workload, job.model)
    next(built)
    assert sizes == [ENCODED_AT_ONCE]
    assert sum(1 for _ in built) == 2 * ENCODED_AT_ONCE
    assert sizes == [ENCODED_AT_ONCE, ENCODED_AT_ONCE, 1]
