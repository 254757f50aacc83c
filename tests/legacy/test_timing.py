"""How fast old experiments were, and where their stored figures contradict their documents."""

import json
from typing import Any

import pytest

from pipeline.legacy.content import Totals, parse_documents
from pipeline.legacy.timing import OldSpeed, contradictions, speed_of
from tests.legacy.pairs import in_batches, old_documents


def timed(totals: Totals, batch_size: int | None = None, **fields: Any) -> tuple[OldSpeed, tuple[str, ...]]:
    """The speed of four documents with those fields, and what contradicts it."""
    documents = parse_documents(json.dumps(old_documents(4, **fields)).encode(), "data.json")
    found = speed_of(documents, totals, batch_size)
    return found, contradictions(documents, totals, found, batch_size)


def test_documents_with_times_of_their_own_ran_one_by_one() -> None:
    found, told = timed(Totals(avg_inf_time=2.0, total_time=8.05), inference_time=2.0)
    assert (found.docs_per_s, found.generate_s, found.source) == (0.5, 8.0, "document times")
    assert (found.scenario, found.batch_size, found.batches_s) == ("single", 1, ())
    assert (found.stored_docs_per_s, told) == (0.5, ())


def test_a_batchs_time_counts_once() -> None:
    found, told = timed(Totals(avg_doc_per_sec=4 / 6), 3, **in_batches(3, seconds=3.0))
    assert (found.docs_per_s, found.source) == (pytest.approx(4 / 6), "batch times")
    assert (found.scenario, found.batch_size, found.batches_s) == ("offline", 3, (3.0, 3.0))
    assert told == ()


@pytest.mark.parametrize(
    ("totals", "docs_per_s", "source"),
    [
        (Totals(avg_doc_per_sec=4.0, total_time=2.0), 4.0, "stored average"),
        (Totals(avg_sec_per_doc=0.5), 2.0, "stored average"),
        (Totals(total_time=2.0), 2.0, "total_time"),
        (Totals(avg_inf_time=2.0), None, None),
        (Totals(total_time=0.0), None, None),
    ],
)
def test_without_the_documents_times_the_stored_figures_count_and_no_scenario_is_known(
    totals: Totals, docs_per_s: float | None, source: str | None
) -> None:
    found, _ = timed(totals)
    assert (found.docs_per_s, found.source) == (docs_per_s, source)
    assert (found.scenario, found.batch_size) == (None, None)


def test_times_of_some_documents_make_no_speed() -> None:
    found, _ = timed(Totals(), inference_time=lambda number: 1.0 if number else None)
    assert (found.docs_per_s, found.source) == (None, None)


@pytest.mark.parametrize(
    ("totals", "said"),
    [
        (Totals(avg_doc_per_sec=0.6), "stored docs/s 0.600, by the document times 0.500"),
        (Totals(avg_inf_time=2.5), "stored docs/s 0.400, by the document times 0.500"),
        (Totals(total_time=9.0), "total_time is 9.0 s, docs/s counts 8.0 s"),
        (Totals(total_docs=5), "its results are over 5 documents, its data holds 4"),
        (Totals(avg_doc_tokens=700.0), "avg_doc_tokens is 700.0, the documents' mean 500.0"),
    ],
)
def test_a_stored_figure_that_the_documents_contradict_is_told(totals: Totals, said: str) -> None:
    assert timed(totals, inference_time=2.0, num_doc_tokens=500)[1] == (said,)


@pytest.mark.parametrize(
    ("batch_size", "fields", "said"),
    [
        (4, in_batches(2), ("its name says batch size 4, but the largest batch has 2",)),
        (2, in_batches(4), ("its name says batch size 2, but the largest batch has 4",)),
        (2, {"inference_time": 1.0}, ("its name says batch size 2, but documents were timed one by one",)),
        (8, in_batches(4), ()),
        (3, in_batches(3), ()),
        (2, {}, ()),
    ],
)
def test_batches_that_the_name_contradicts_are_told(batch_size: int, fields: Any, said: tuple[str, ...]) -> None:
    assert timed(Totals(), batch_size, **fields)[1] == said


def test_no_scenario_is_known_where_name_and_times_contradict_each_other() -> None:
    assert timed(Totals(), 2, inference_time=1.0)[0].scenario is None
