"""Why smaller weights don't help: the rows measured on an H100, told in words with the figures that show it."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.analysis.roofline import RequestLength, bound, precision
from pipeline.comparison.explanation import bounded_by, explain
from pipeline.measures import Distribution
from pipeline.results import Result
from tests.analysis.test_roofline import CATALOG, LISTED, MEASURED, MEMORY, OUTPUT, PROMPT, shape
from tests.builders import make_result

LLAMA = shape("llama-2-7b-chat")
GPU = {"gpu_name": "NVIDIA H100 80GB HBM3", "model": LLAMA.name}


def row(experiment: str, docs: int, docs_per_s: float, step_s: float | None, **fields: Any) -> Result:
    """A row whose batch was all documents, each step of which took step_s."""
    entry = CATALOG.experiments[experiment]
    assert entry.weights is not None
    bits = precision(CATALOG.models[LLAMA.name].weights[entry.weights], entry.memory, "bfloat16")
    assert bits is not None
    rates = fields.pop("rates", LISTED)
    prompt = fields.pop("prompt", PROMPT)
    limit = bound([RequestLength(prompt, OUTPUT)] * docs, LLAMA, bits, rates, "offline", MEMORY)
    tpot = None if step_s is None else Distribution(step_s, step_s, step_s, step_s)
    figures = {"docs": docs, "prompt_tokens_mean": float(prompt), "output_tokens_mean": float(OUTPUT), "tpot_s": tpot}
    listed = {"roofline" if rates.kind == "listed" else "roofline_measured": limit}
    return make_result(experiment, docs_per_s, **{"batch_size_used": docs, **GPU, **figures, **fields}, **listed)


def explained(result: Result, baseline: Result) -> str:
    text = explain(result, baseline)
    assert text is not None
    return text


def test_one_document_at_a_time_in_4_bits_waits_for_its_launches() -> None:
    """At 16 tokens a second for the baseline and 7.9 for 8 bits."""
    text = explained(row("8-bit", 1, 0.026, 1 / 7.9), row("none", 1, 0.053, 1 / 16))
    assert text == (
        "At a batch of 1 a step of the baseline takes 62 ms, where memory traffic and arithmetic need 4.1 ms. The rest "
        "is launching kernels and the host's work: smaller weights save at most 1.9 ms of a step, and their format "
        "makes it 64 ms longer."
    )


def test_a_cpu_launches_no_kernels() -> None:
    baseline = row("none", 1, 0.053, 1 / 16, gpu_name=None)
    assert "The rest is the kernels themselves" in explained(row("8-bit", 1, 0.026, 1 / 7.9, gpu_name=None), baseline)


def test_awq_in_a_large_batch_reads_as_much_kv_cache_as_its_baseline() -> None:
    text = explained(row("vllm-awq", 100, 15.76, 0.0187), row("vllm", 100, 14.73, 0.0196))
    assert text == (
        "At a batch of 100 a step reads KV cache for 11 ms and weights for 3.9 ms: smaller weights save at most 2.9 ms "
        "of its 20 ms."
    )


def test_prompts_that_take_longer_are_an_explanation_of_their_own() -> None:
    baseline = row("none", 64, 2.02, 0.02, prefill_s=2.0, decode_s=6.0)
    text = explained(row("4-bit", 64, 1.5, 0.02, prefill_s=4.5, decode_s=6.1), baseline)
    assert text.startswith(
        "Reading the prompts took 4.5 s, the baseline 2.0 s. Arithmetic bounds that (457 ms at least"
    )


def test_kernels_that_are_slower_than_their_traffic_are_named() -> None:
    text = explained(row("4-bit", 1, 0.1, 0.02), row("none", 1, 0.2, 0.006))
    assert "needs 1.3 ms a step, yet a step takes 20 ms, the baseline's 6.0 ms" in text


def test_a_smaller_batch_explains_by_itself() -> None:
    text = explained(row("4-bit", 32, 1.0, 0.1, batch_size_used=8), row("none", 32, 2.0, 0.1))
    assert text == "It ran with a batch of 8, the baseline with 32: each step served fewer documents."


def test_a_faster_row_needs_no_explanation() -> None:
    assert explain(row("vllm-awq", 1, 0.63, 1 / 188), row("vllm", 1, 0.44, 1 / 132)) is None


def test_a_row_with_weights_of_the_same_size_is_not_explained_by_them() -> None:
    assert explain(row("none", 1, 0.053, 1 / 16), row("vllm", 1, 0.44, 1 / 132)) is None


@pytest.mark.parametrize("field", ["scenario", "model", "gpu"])
def test_rows_that_can_not_be_compared_are_not_explained(field: str) -> None:
    slow, baseline = row("8-bit", 1, 0.026, 1 / 7.9), row("none", 1, 0.053, 1 / 16)
    other = {"scenario": "single", "model": "other", "gpu": "t4"}[field]
    assert explain(replace(slow, job=replace(slow.job, **{field: other})), baseline) is None


def test_without_steps_nothing_is_claimed() -> None:
    assert explain(row("8-bit", 1, 0.026, None), row("none", 1, 0.053, None)) is None


def test_without_a_roofline_nothing_is_claimed() -> None:
    assert explain(make_result("8-bit", 0.1), make_result("none", 0.2)) is None
    assert bounded_by(make_result("none")) is None


@pytest.mark.parametrize(
    ("experiment", "docs", "step_s", "expected"),
    [
        ("none", 1, 1 / 16, "overhead"),
        ("vllm", 1, 1 / 132, "memory: weights"),
        ("vllm", 100, 0.0196, "memory: KV cache"),
        # what bounds the limit, where no step was seen
        ("vllm", 1, None, "memory: weights"),
        ("vllm", 100, None, "memory: KV cache"),
    ],
)
def test_what_bounds_a_row_is_told_from_its_steps(
    experiment: str, docs: int, step_s: float | None, expected: str
) -> None:
    assert bounded_by(row(experiment, docs, 1.0, step_s)) == expected


def test_the_longer_phase_tells_what_bounds_a_row() -> None:
    """Reading 64 prompts takes 0.457 s at least."""
    assert bounded_by(row("none", 64, 1.0, 0.02, prefill_s=0.6, decode_s=0.5)) == "arithmetic"
    assert bounded_by(row("none", 64, 1.0, 0.02, prefill_s=6.0, decode_s=0.5)) == "overhead"


def test_reading_one_prompt_whose_products_take_longer_than_its_weights_traffic_is_arithmetic() -> None:
    assert bounded_by(row("none", 1, 1.0, 0.02, prefill_s=0.009, decode_s=0.005)) == "arithmetic"


def test_prompts_read_a_few_at_a_time_read_the_weights_for_each_batch() -> None:
    """64 passes over the weights take 0.256 s at least, more than 64 prompts of 20 tokens take of arithmetic."""
    short = row("none", 64, 1.0, 0.02, prefill_s=0.3, decode_s=0.2, batch_size_used=1, prompt=20)
    assert bounded_by(short) == "memory: weights"


def test_where_the_rate_of_arithmetic_is_not_known_overhead_is_not_claimed() -> None:
    slow, quick = (row("vllm-fp8", 100, 1.0, step_s, rates=MEASURED) for step_s in (0.1, 0.014))
    assert slow.roofline_measured is not None and slow.roofline_measured.arithmetic_s is None
    assert bounded_by(slow) is None
    assert bounded_by(replace(slow, timing=replace(slow.timing, prefill_s=6.0, decode_s=0.5))) is None
    assert bounded_by(quick) == "memory: KV cache"


def test_measured_rates_tell_where_none_are_listed() -> None:
    found = row("vllm", 100, 14.73, 0.0196, rates=MEASURED)
    assert found.roofline is None
    assert bounded_by(found) == "memory: KV cache"
