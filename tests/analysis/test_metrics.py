"""Figures derived from raw samples."""

import random

import pytest

from pipeline.analysis.metrics import derive, distribution
from pipeline.measures import DocumentResult


def document(name: str, **fields: object) -> DocumentResult:
    values: dict[str, object] = {
        "text": "A summary.",
        "finish_reason": "stop",
        "prompt_tokens": 500,
        "output_tokens": 50,
        "latency_s": 2.0,
        "ttft_s": 0.5,
        "tpot_s": 0.03,
    }
    return DocumentResult(id=name, **{**values, **fields})  # type: ignore[arg-type]


def test_distribution_of_nothing_is_none() -> None:
    assert distribution([]) is None
    assert distribution([None, None]) is None


def test_percentiles_interpolate_linearly() -> None:
    found = distribution([4.0, 1.0, 3.0, 2.0])
    assert found is not None
    assert (found.mean, found.p50, found.p90) == pytest.approx((2.5, 2.5, 3.7))
    assert found.p99 == pytest.approx(3.97)


def test_percentiles_equal_numpys() -> None:
    numpy = pytest.importorskip("numpy")
    values = random.Random(1).choices(range(1000), k=77)
    found = distribution(values)
    assert found is not None
    assert (found.p50, found.p90, found.p99) == pytest.approx(tuple(numpy.percentile(values, [50, 90, 99])), rel=1e-12)


def test_one_sample_is_all_its_percentiles() -> None:
    found = distribution([7.0])
    assert found is not None
    assert (found.mean, found.p50, found.p90, found.p99) == (7.0, 7.0, 7.0, 7.0)


def test_unknown_samples_are_ignored_not_counted_as_0() -> None:
    found = distribution([None, 2.0, 4.0])
    assert found is not None
    assert found.mean == 3.0


def test_speeds_are_over_the_generation_time() -> None:
    metrics = derive([document("a", output_tokens=30), document("b", output_tokens=50)], 4.0, peak_memory_bytes=123)
    assert metrics.docs == 2
    assert metrics.docs_per_s == 0.5
    assert metrics.output_tokens_per_s == 20.0
    assert metrics.output_tokens_mean == 40.0
    assert metrics.peak_memory_bytes == 123
    assert metrics.energy_j is None


def test_documents_too_long_for_the_model_count_nowhere() -> None:
    long = document("c", text="", finish_reason="too_long", prompt_tokens=9000, output_tokens=None, latency_s=None)
    metrics = derive([document("a"), long], 2.0)
    assert metrics.docs == 1
    assert metrics.docs_per_s == 0.5
    assert metrics.output_tokens_per_s == 25.0
    assert metrics.prompt_tokens_mean == 500


def test_what_is_not_known_is_none() -> None:
    silent = document("a", prompt_tokens=None, output_tokens=None, latency_s=None, ttft_s=None, tpot_s=None)
    metrics = derive([silent], None)
    assert metrics.docs == 1
    unknown = (metrics.docs_per_s, metrics.output_tokens_per_s, metrics.prompt_tokens_mean, metrics.output_tokens_mean)
    assert unknown == (None, None, None, None)
    assert (metrics.latency_s, metrics.ttft_s, metrics.tpot_s) == (None, None, None)


def test_no_completed_document_has_no_speed_rather_than_speed_0() -> None:
    metrics = derive([document("a", finish_reason="too_long", output_tokens=None)], 0.001)
    assert metrics.docs == 0
    assert metrics.docs_per_s is None
    assert metrics.output_tokens_per_s is None


def test_a_rate_of_tokens_needs_every_documents_count() -> None:
    assert derive([document("a"), document("b", output_tokens=None)], 1.0).output_tokens_per_s is None
