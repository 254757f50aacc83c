"""Figures derived from raw samples."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.metrics import ExactSum, derive, distribution, split_memory
from pipeline.analysis.samples import Samples
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


def test_percentiles_of_many_equal_numpys_too() -> None:
    numpy = pytest.importorskip("numpy")
    values = [random.Random(number).random() for number in range(20_000)]
    found = distribution(values)
    assert found is not None
    assert (found.p50, found.p90, found.p99) == pytest.approx(tuple(numpy.percentile(values, [50, 90, 99])), rel=1e-12)
    assert found.mean == math.fsum(values) / len(values)


@given(st.lists(st.none() | st.floats(min_value=-1e100, max_value=1e100), max_size=30))
def test_a_sum_of_one_value_after_the_other_is_that_of_all_together(values: list[float | None]) -> None:
    total, known = ExactSum(), [value for value in values if value is not None]
    for value in values:
        total.add(value)
    assert total.mean == (math.fsum(known) / len(known) if known else None)


def test_one_sample_is_all_its_percentiles() -> None:
    found = distribution([7.0])
    assert found is not None
    assert (found.mean, found.p50, found.p90, found.p99) == (7.0, 7.0, 7.0, 7.0)


def test_unknown_samples_are_ignored_not_counted_as_0() -> None:
    found = distribution([None, 2.0, 4.0])
    assert found is not None
    assert found.mean == 3.0


def test_speeds_are_over_the_generation_time() -> None:
    metrics = derive(
        Samples([document("a", output_tokens=30), document("b", output_tokens=50)]), 4.0, peak_memory_bytes=123
    )
    assert metrics.docs == 2
    assert metrics.docs_per_s == 0.5
    assert metrics.output_tokens_per_s == 20.0
    assert metrics.output_tokens_mean == 40.0
    assert metrics.peak_memory_bytes == 123
    assert metrics.energy_j is None


def test_documents_too_long_for_the_model_count_nowhere() -> None:
    long = document("c", text="", finish_reason="too_long", prompt_tokens=9000, output_tokens=None, latency_s=None)
    metrics = derive(Samples([document("a"), long]), 2.0)
    assert metrics.docs == 1
    assert metrics.docs_per_s == 0.5
    assert metrics.output_tokens_per_s == 25.0
    assert metrics.prompt_tokens_mean == 500


def test_what_is_not_known_is_none() -> None:
    silent = document("a", prompt_tokens=None, output_tokens=None, latency_s=None, ttft_s=None, tpot_s=None)
    metrics = derive(Samples([silent]), None)
    assert metrics.docs == 1
    unknown = (metrics.docs_per_s, metrics.output_tokens_per_s, metrics.prompt_tokens_mean, metrics.output_tokens_mean)
    assert unknown == (None, None, None, None)
    assert (metrics.latency_s, metrics.ttft_s, metrics.tpot_s) == (None, None, None)


def test_no_completed_document_has_no_speed_rather_than_speed_0() -> None:
    metrics = derive(Samples([document("a", finish_reason="too_long", output_tokens=None)]), 0.001)
    assert metrics.docs == 0
    assert metrics.docs_per_s is None
    assert metrics.output_tokens_per_s is None


def test_a_rate_of_tokens_needs_every_documents_count() -> None:
    documents = Samples([document("a"), document("b", output_tokens=None)])
    assert derive(documents, 1.0).output_tokens_per_s is None


def test_samples_of_further_repeats_count_for_times_and_not_for_lengths() -> None:
    first = [document("a", output_tokens=30), document("b", output_tokens=50)]
    again = [document("a", output_tokens=60, latency_s=4.0), document("b", output_tokens=100, latency_s=4.0)]
    metrics = derive(Samples(first), 4.0, again=[Samples(again)])
    assert (metrics.docs, metrics.docs_per_s, metrics.output_tokens_mean) == (2, 0.5, 40.0)
    assert metrics.output_tokens_per_s == 30.0  # 240 tokens in two repeats of 4 s
    assert metrics.latency_s is not None and metrics.latency_s.mean == 3.0


@pytest.mark.parametrize(
    ("grows", "overhead", "activations"),
    [(False, 1000 - 600 - 300, 1700 - 1000), (True, 1000 - 600, 1700 - 1000 - 300)],
)
def test_the_parts_of_memory_add_up_to_the_peak(grows: bool, overhead: int, activations: int) -> None:
    """A reserved KV cache is there once the model is loaded, one that grows comes on top."""
    assert split_memory(1700, 1000, 600, 300, kv_cache_grows=grows) == (overhead, activations)
    assert 600 + 300 + overhead + activations == 1700


@pytest.mark.parametrize(
    ("readings", "parts"),
    [
        ((1700, 1000, None, 300), (None, 700)),
        ((1700, 1000, 600, None), (None, 700)),
        ((1700, None, 600, 300), (None, None)),
        ((None, 1000, 600, 300), (100, None)),
    ],
)
def test_a_part_of_memory_that_rests_on_an_unknown_is_unknown(
    readings: tuple[int | None, int | None, int | None, int | None], parts: tuple[int | None, int | None]
) -> None:
    assert split_memory(*readings, kv_cache_grows=False) == parts


def test_readings_of_memory_that_do_not_go_together_give_no_part() -> None:
    """Pages that were reserved and never touched are in the pool's size and in no process's memory."""
    assert split_memory(900, 800, 600, 4000, kv_cache_grows=False) == (None, 100)
    assert split_memory(900, 800, 600, 4000, kv_cache_grows=True) == (200, None)
