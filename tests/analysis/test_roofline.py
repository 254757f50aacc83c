"""The lower bound on a workload's time: against figures measured on an H100, closed forms, and what always holds."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analysis.roofline import RequestLength, bound, precision
from pipeline.catalog import load_catalog
from pipeline.entries import Attention, Rates, Scenario
from pipeline.measures import Roofline
from pipeline.spec import JobModel, Precision

CATALOG = load_catalog()
H100 = CATALOG.gpus["h100"]
LISTED = Rates("listed", H100.bandwidth_bytes_per_s[0], H100.flops_per_s, H100.flops8_per_s)
MEASURED = Rates("measured", 3.02e12, 7.9e14)
MEMORY = 80 * 1024**3
HALF = Precision(16, 16, 16, 16)
EIGHT = Precision(8, 8, 8, 8)
PROMPT, OUTPUT = 545, 300
"""The mean prompt and the length of every output in the calibration."""


def shape(name: str) -> JobModel:
    model = CATALOG.models[name]
    return JobModel(
        name, model.context_length, (2,), 1, "", "", model.linear_parameters, model.output_parameters, model.attention
    )


LLAMA = shape("llama-2-7b-chat")
TINY = JobModel("tiny", 100, (2,), 1, "", "", 1000, 100, Attention(layers=2, kv_heads=1, head_dim=5))
"""In 16 bits its weights take 2,200 bytes, and a token keeps 2 x 2 x 5 values, 40 bytes."""
SLOW = Rates("listed", 1000.0, 1e9, 2e9)


def bounded(
    docs: int,
    bits: Precision = HALF,
    rates: Rates = LISTED,
    scenario: Scenario = "offline",
    prompt: int = PROMPT,
    memory: int | None = MEMORY,
) -> Roofline:
    found = bound([RequestLength(prompt, OUTPUT)] * docs, LLAMA, bits, rates, scenario, memory)
    assert found is not None
    return found


def tiny(*lengths: tuple[int, int], scenario: Scenario = "offline", memory: int | None = None) -> Roofline:
    found = bound([RequestLength(*length) for length in lengths], TINY, HALF, SLOW, scenario, memory)
    assert found is not None
    return found


# The calibration's own sums count embeddings and norms, and one step more than the first token leaves to do: up to
# 2.5 % more than what can't be avoided.


def test_a_hundred_documents_in_16_bits_take_an_h100_five_seconds() -> None:
    found = bounded(100)
    assert found.bound_s == pytest.approx(5.2, rel=0.02)
    assert 100 / found.bound_s == pytest.approx(19, rel=0.025)
    assert found.prefill_s == pytest.approx(0.74, rel=0.04)
    assert found.decode_s == pytest.approx(4.5, rel=0.02)
    assert found.bound_by == "kv_cache"


def test_a_hundred_documents_in_8_bits_take_an_h100_half_of_that() -> None:
    found = bounded(100, EIGHT)
    assert found.bound_s == pytest.approx(2.6, rel=0.02)
    assert 100 / found.bound_s == pytest.approx(38, rel=0.025)
    assert found.prefill_s == pytest.approx(0.37, rel=0.04)


def test_a_single_documents_step_in_8_bits_takes_an_h100_two_milliseconds() -> None:
    assert bounded(1, EIGHT).step_weights_s == pytest.approx(2.0e-3, rel=0.02)


def test_vllm_reached_three_quarters_of_the_listed_and_more_of_the_measured_limit() -> None:
    took_s = 100 / 14.73
    assert bounded(100).bound_s / took_s == pytest.approx(0.77, rel=0.025)
    assert bounded(100, rates=MEASURED).bound_s / took_s == pytest.approx(0.87, rel=0.025)


@pytest.mark.parametrize(
    ("experiment", "docs", "docs_per_s", "prompt", "kv_bits"),
    [
        ("none", 1, 0.053, PROMPT, None),
        ("none", 1, 0.376, PROMPT, None),  # compiled
        ("none", 16, 0.80, PROMPT, None),
        ("none", 64, 2.02, PROMPT, None),
        ("none", 32, 6.62, 704, None),  # compiled
        ("none", 100, 1.40, PROMPT, None),  # continuous batching
        ("4-bit", 1, 0.063, PROMPT, None),
        ("4-bit", 16, 0.71, PROMPT, None),
        ("8-bit", 1, 0.026, PROMPT, None),
        ("vllm", 1, 0.44, PROMPT, None),
        ("vllm", 100, 14.73, PROMPT, None),
        ("vllm-awq", 1, 0.63, PROMPT, None),
        ("vllm-awq", 100, 15.90, PROMPT, None),
        ("vllm-awq", 1000, 15.07, PROMPT, None),
        ("vllm-fp8", 1, 0.57, PROMPT, 8),
        ("vllm-fp8", 100, 21.7, PROMPT, 8),
    ],
)
@pytest.mark.parametrize("rates", [LISTED, MEASURED])
def test_no_configuration_measured_on_an_h100_was_faster_than_its_bound(
    experiment: str, docs: int, docs_per_s: float, prompt: int, kv_bits: float | None, rates: Rates
) -> None:
    entry = CATALOG.experiments[experiment]
    assert entry.weights is not None
    source = CATALOG.models["llama-2-7b-chat"].weights[entry.weights]
    bits = precision(source, replace(entry.memory, kv_bits=kv_bits), "bfloat16")
    assert bits is not None
    assert bounded(docs, bits, rates, prompt=prompt).bound_s < docs / docs_per_s


def test_quantised_weights_keep_their_files_bits_and_others_the_engines_or_the_dtypes() -> None:
    models, experiments = CATALOG.models, CATALOG.experiments
    llama = models["llama-2-7b-chat"].weights
    assert precision(llama["hf"], experiments["none"].memory, "float32") == Precision(32, 32, 32, 16)
    assert precision(llama["hf"], experiments["4-bit"].memory, "bfloat16") == Precision(4.5, 16, 16, 16)
    assert precision(llama["hf"], experiments["vllm-fp8"].memory, "bfloat16") == Precision(8, 16, 16, 8)
    assert precision(llama["awq"], experiments["vllm-awq"].memory, "float16") == Precision(4.16, 16, 16, 16)


def test_gguf_files_quantise_the_output_layer_too() -> None:
    gguf = CATALOG.models["gemma-3-270m"].weights["gguf"]
    assert precision(gguf, CATALOG.experiments["gguf-q4"].memory, "float32") == Precision(5.43, 8.5, 16, 8)


def test_a_dtype_of_unknown_width_has_no_precision() -> None:
    assert precision(CATALOG.models["gemma-3-270m"].weights["hf"], CATALOG.experiments["none"].memory, "int3") is None


def test_one_token_of_output_needs_no_decode_step() -> None:
    found = tiny((10, 1))
    assert (found.decode_s, found.kv_cache_s) == (0.0, 0.0)
    assert found.prefill_s == found.weights_s == 2.2


def test_each_further_token_reads_the_weights_and_the_cache_before_it() -> None:
    """Three steps after the first token, behind 10, 11 and 12 tokens."""
    found = tiny((10, 4))
    assert found.weights_s == pytest.approx(2.2 * (1 + 3))
    assert found.kv_cache_s == pytest.approx(0.040 * (10 + 11 + 12))
    assert found.bound_s == pytest.approx(found.weights_s + found.kv_cache_s)


def test_a_step_reads_the_weights_once_for_all_documents_in_offline() -> None:
    found = tiny((10, 4), (20, 2))
    assert found.weights_s == pytest.approx(2.2 * (1 + 3))
    assert found.kv_cache_s == pytest.approx(0.040 * (10 + 11 + 12 + 20))


def test_single_is_the_sum_over_documents() -> None:
    both = tiny((10, 4), (20, 2), scenario="single")
    assert both.bound_s == pytest.approx(tiny((10, 4)).bound_s + tiny((20, 2)).bound_s)
    assert both.weights_s == pytest.approx(2.2 * (1 + 3 + 1 + 1))


def test_documents_that_do_not_fit_together_take_more_steps() -> None:
    """Room for 600 bytes of cache beside the weights; 10 documents read 13,200 in all, so 22 steps and not 3."""
    found = tiny(*[(10, 4)] * 10, memory=2200 + 600)
    assert found.weights_s == pytest.approx(2.2 * (1 + 22))


def test_a_layer_with_a_window_reads_no_more_than_its_window() -> None:
    windowed = replace(TINY, attention=Attention(layers=2, kv_heads=1, head_dim=5, windowed_layers=1, window=11))
    found = bound([RequestLength(10, 5)], windowed, HALF, SLOW, "offline")
    assert found is not None
    assert found.kv_cache_s == pytest.approx(0.020 * (10 + 11 + 12 + 13) + 0.020 * (10 + 11 + 11 + 11))


def test_prompts_long_enough_are_bound_by_arithmetic() -> None:
    rates = replace(SLOW, flops_per_s=1e6)
    found = bound([RequestLength(5000, 1)], TINY, HALF, rates, "offline")
    assert found is not None
    assert found.prefill_s == pytest.approx(2 * (5000 * 1000 + 100) / 1e6)
    assert found.bound_by == "arithmetic"


def test_products_in_8_bits_take_the_rate_for_8_bits_or_on_hardware_without_the_dtypes() -> None:
    eight = replace(HALF, arithmetic_bits=8)
    arithmetic = []
    for rates in (SLOW, replace(SLOW, flops8_per_s=None)):
        found = bound([RequestLength(10, 4)], TINY, eight, rates, "offline")
        assert found is not None and found.arithmetic_s is not None
        arithmetic.append(found.arithmetic_s)
    assert arithmetic[1] == pytest.approx(2 * arithmetic[0])


def test_arithmetic_whose_rate_was_not_measured_is_left_out_and_not_zero() -> None:
    found = bounded(100, EIGHT, MEASURED)
    assert found.arithmetic_s is None
    assert found.prefill_s == found.step_weights_s


def test_without_the_models_shape_there_is_no_bound() -> None:
    for missing in ("linear_parameters", "output_parameters", "attention"):
        assert bound([RequestLength(1, 1)], replace(LLAMA, **{missing: None}), HALF, LISTED, "single") is None


def test_without_a_request_there_is_no_bound() -> None:
    assert bound([], LLAMA, HALF, LISTED, "offline") is None


lengths = st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 500)), min_size=1, max_size=8)


@settings(max_examples=100, deadline=None)
@given(lengths, st.sampled_from(["single", "offline"]), st.integers(0, 4))
def test_more_work_or_slower_hardware_never_lowers_the_bound(
    drawn: list[tuple[int, int]], scenario: Scenario, harder: int
) -> None:
    gemma = shape("gemma-3-270m")
    requests, memory = [RequestLength(*item) for item in drawn], 600 * 1024**2
    first = requests[0]
    more = [
        [replace(first, prompt_tokens=first.prompt_tokens + 1), *requests[1:]],
        [replace(first, output_tokens=first.output_tokens + 1), *requests[1:]],
        [*requests, RequestLength(7, 7)],
        requests,
        requests,
    ][harder]
    slower = replace(LISTED, bandwidth_bytes_per_s=1e12, flops_per_s=1e14) if harder == 3 else LISTED
    wider = Precision(32, 32, 32, 16) if harder == 4 else HALF
    before = bound(requests, gemma, HALF, LISTED, scenario, memory)
    after = bound(more, gemma, wider, slower, scenario, memory)
    assert before is not None and after is not None
    assert after.bound_s >= before.bound_s


@settings(max_examples=100, deadline=None)
@given(lengths)
def test_handing_all_documents_over_at_once_never_takes_longer_than_one_by_one(drawn: list[tuple[int, int]]) -> None:
    requests = [RequestLength(*item) for item in drawn]
    offline, single = (bound(requests, LLAMA, HALF, LISTED, way, MEMORY) for way in ("offline", "single"))
    assert offline is not None and single is not None
    assert offline.bound_s <= single.bound_s * (1 + 1e-9)
