"""What may stand in old files, and how a fault in them is told."""

import json
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.legacy.content import OldDocument, Totals, parse_documents, parse_totals
from tests.legacy.pairs import in_batches, old_documents


def documents(entries: Any) -> tuple[OldDocument, ...]:
    return parse_documents(json.dumps(entries).encode(), "data.json")


def totals(fields: Any) -> Totals:
    return parse_totals(json.dumps(fields).encode(), "results.json")


def test_fields_that_are_missing_or_null_are_not_known_and_others_are_passed_over() -> None:
    [found] = documents(old_documents(1, inference_time=None, model="llama"))
    assert (found.inference_time, found.batch_id, found.num_doc_tokens) == (None, None, None)
    assert totals({"pred_score": 0.25, "total_time": None, "note": "x"}) == Totals(pred_score=0.25)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"url": 3}, r"data.json\[1\].url: expected str, found 3; mend the field, or take the pair away"),
        ({"gt_summary": None}, r"data.json\[1\].gt_summary: expected str, found None"),
        ({"gt_summary": " "}, r"data.json\[1\].gt_summary: is empty; fill it, or remove the document"),
        ({"url": "/"}, r"data.json\[1\].url: is empty"),
        ({"inference_time": "fast"}, r"data.json\[1\].inference_time: expected float, found 'fast'"),
        ({"inference_time": -1.0}, r"data.json\[1\].inference_time: -1.0 is out of range; mend the figure"),
        ({"inference_time": 1e-300}, r"data.json\[1\].inference_time: 1e-300 is out of range; mend the figure"),
        ({"num_doc_tokens": 10**200}, r"data.json\[1\].num_doc_tokens: 1000.* is out of range"),
        ({"num_doc_tokens": 1.5}, r"data.json\[1\].num_doc_tokens: expected int, found 1.5"),
        ({"url": "https://www.wikihow.com/Tie-Knot-0"}, r"data.json\[1\].url: .* stands in document 0 already"),
        ({"batch_inference_time": 1.0}, r"data.json\[1\].batch_id: is missing, so nothing says whose"),
        (
            {"batch_inference_time": 1.0, "inference_time": 1.0},
            r"data.json\[1\]: has inference_time and batch_inference_time; keep the one that was measured",
        ),
        (
            {"inference_secs": 1.0, "inference_time": 1.0},
            r"data.json\[1\]: has inference_time and inference_secs; keep the one that was measured",
        ),
    ],
)
def test_a_field_that_does_not_fit_is_named_with_its_document_and_the_mend(fields: Any, fault: str) -> None:
    entries = old_documents(2)
    entries[1] |= fields
    with pytest.raises(UsageError, match=fault):
        documents(entries)


def test_one_batch_has_one_time() -> None:
    entries = old_documents(4, **in_batches(2))
    entries[3]["batch_inference_time"] = 2.5
    with pytest.raises(UsageError, match=r"data.json\[3\].batch_inference_time: 2.5, and 2.0 in an earlier document"):
        documents(entries)


def test_a_field_that_is_missing_is_named() -> None:
    entries = old_documents(1)
    del entries[0]["pred_summary"]
    with pytest.raises(UsageError, match=r"data.json\[0\]: field 'pred_summary' is missing; mend the field"):
        documents(entries)


@pytest.mark.parametrize("value", [{}, [], "text", None])
def test_a_data_file_is_a_list_of_documents(value: Any) -> None:
    with pytest.raises(UsageError, match=r"data.json: expected a list of documents, found"):
        documents(value)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ([], r"results.json: expected fields, found \[\]"),
        ({"score": 1}, r"results.json: holds none of total_time, total_docs, avg_doc_per_sec"),
        ({"pred_score": 25.5}, r"results.json.pred_score: 25.5 is no F1, which is 0 to 1"),
        ({"total_docs": True}, r"results.json.total_docs: expected int, found True"),
        ({"avg_doc_per_sec": -0.1}, r"results.json.avg_doc_per_sec: -0.1 is out of range"),
    ],
)
def test_a_results_file_that_does_not_fit_is_told_with_its_field(value: Any, fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        totals(value)


def test_damage_is_told_with_its_place() -> None:
    with pytest.raises(UsageError, match=r"data.json: not valid JSON .*line 1 column 3"):
        parse_documents(b"[{", "data.json")
