"""What the runner relies on, checked for every adapter that runs no model, each in its own environment."""

from collections.abc import Callable

import pytest

from tests.conformance.observing import ON_A_CPU, Observation

EXPERIMENTS = [experiment.name for experiment in ON_A_CPU if experiment.weights is None]


@pytest.fixture(params=EXPERIMENTS)
def seen(request: pytest.FixtureRequest, probe: Callable[[str], Observation]) -> Observation:
    """One experiment's observation after another."""
    return probe(request.param)


def test_every_document_gets_exactly_one_text(seen: Observation) -> None:
    ids = [completion["id"] for completion in seen["together"]]
    assert sorted(ids) == sorted(request["id"] for request in seen["requests"])
    assert all(completion["text"].strip() for completion in seen["together"])


def test_documents_get_texts_of_their_own(seen: Observation) -> None:
    texts = {completion["text"] for completion in seen["together"]}
    assert len(texts) == len(seen["requests"])


def test_there_are_no_tokens_and_no_steps(seen: Observation) -> None:
    assert {completion["output_ids"] for completion in seen["together"]} == {None}
    assert {completion["finish_reason"] for completion in seen["together"]} == {"stop"}
    assert seen["prompt_ids_sha256"] is None
    assert seen["steps"]["tokens"] == {}


@pytest.mark.parametrize("again", ["again", "single"])
def test_a_text_depends_on_its_document_alone(seen: Observation, again: str) -> None:
    texts = {completion["id"]: completion["text"] for completion in seen["together"]}
    assert {completion["id"]: completion["text"] for completion in seen[again]} == texts


def test_a_closed_engine_leaves_no_process(seen: Observation) -> None:
    assert seen["children_left"] == []
