"""The memory estimate, against what was measured and against the sizes of real files."""

from dataclasses import replace

import pytest

from pipeline.analysis.memory import (
    CONTEXT_BYTES,
    Estimate,
    Lengths,
    estimate,
    files_bytes,
    kv_cache_bytes,
    lengths,
    weights_bytes,
)
from pipeline.catalog import load_catalog
from pipeline.entries import Footprint, Model

GIB = 1024**3
CATALOG = load_catalog()
LLAMA = CATALOG.models["llama-2-7b-chat"]
GEMMA = CATALOG.models["gemma-3-270m"]
MEASURED_LONGEST = Lengths(1300, 1300)
"""Of the measured prompts: up to about 1,000 tokens, and 300 new ones."""


def estimated(name: str, batch_size: int | None, model: Model = LLAMA, dtype: str = "bfloat16") -> Estimate:
    experiment = CATALOG.experiments[name]
    assert experiment.weights is not None
    source = model.weights[experiment.weights]
    found = estimate(model, source, experiment.memory, dtype, batch_size, MEASURED_LONGEST, "cuda")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("experiment", "batch_size", "measured_gib", "off_by"),
    [
        ("none", 1, 13.1, 0.02),
        ("none", 16, 22.8, 0.03),
        ("none", 64, 54.8, 0.02),
        ("4-bit", 1, 4.4, 0.05),
        ("4-bit", 16, 13.1, 0.12),
        ("8-bit", 1, 7.3, 0.03),
    ],
)
def test_the_estimate_is_that_near_to_what_was_allocated_on_an_h100(
    experiment: str, batch_size: int, measured_gib: float, off_by: float
) -> None:
    """Peak memory of PyTorch's allocator, which the driver's own share is not part of."""
    found = estimated(experiment, batch_size)
    assert (found.likely_bytes - CONTEXT_BYTES) / GIB == pytest.approx(measured_gib, rel=off_by)


@pytest.mark.parametrize(
    ("form", "measured_bytes"), [("hf", 536_223_056), ("awq", 387_803_064), ("w4a16", 387_414_248)]
)
def test_the_size_of_weights_that_are_made_here_is_known_to_a_thousandth(form: str, measured_bytes: int) -> None:
    """model.safetensors of the embedded model, as --prepare made it."""
    assert files_bytes(GEMMA, GEMMA.weights[form]) == pytest.approx(measured_bytes, rel=0.001)


def test_a_token_of_llama_2_7b_keeps_half_a_mebibyte() -> None:
    assert LLAMA.attention is not None
    assert kv_cache_bytes(LLAMA.attention, 1, 16) == GIB // 2048


def test_a_layer_with_a_window_keeps_no_more_than_its_window() -> None:
    assert GEMMA.attention is not None
    per_token_and_layer = 2 * 256 * 2
    assert kv_cache_bytes(GEMMA.attention, 1000, 16) == (3 * 1000 + 15 * 512) * per_token_and_layer


def test_quantised_weights_take_what_their_files_take() -> None:
    source = LLAMA.weights["gguf"]
    assert weights_bytes(LLAMA, source, Footprint(), "float32", 123) == 123
    assert weights_bytes(LLAMA, source, Footprint(), "float32") == 4_080_000_000


def test_unquantised_weights_take_the_dtypes_bits_whatever_their_files_take() -> None:
    assert weights_bytes(GEMMA, GEMMA.weights["hf"], Footprint(), "float32", 123) == 4 * GEMMA.parameters


def test_a_cache_that_grows_can_be_shrunk_so_that_the_weights_alone_are_needed() -> None:
    assert estimated("none", 64).least_bytes == estimated("none", 1).least_bytes == 2 * LLAMA.parameters


def test_a_pool_needs_room_for_the_longest_request_and_no_more() -> None:
    found = estimated("vllm", None)
    assert found.gpu_share == 0.9
    assert found.least_bytes == found.weights_bytes + 1300 * GIB // 2048


def test_slots_are_all_reserved_from_the_start() -> None:
    assert estimated("gguf-q4", 8).kv_cache_bytes == 8 * 1300 * GIB // 2048


def test_no_share_of_main_memory_is_reserved() -> None:
    found = estimate(GEMMA, GEMMA.weights["hf"], Footprint(gpu_share=0.9), "float32", 8, None, "cpu")
    assert found is not None
    assert (found.gpu_share, found.kv_cache_bytes) == (1.0, None)


def test_a_model_of_unknown_shape_has_no_estimate() -> None:
    unknown = replace(GEMMA, linear_parameters=None, attention=None)
    assert estimate(unknown, GEMMA.weights["hf"], Footprint(), "float32", 8, MEASURED_LONGEST, "cpu") is None
    assert files_bytes(unknown, GEMMA.weights["hf"]) is None


def test_no_request_is_longer_than_its_bytes_or_the_models_context() -> None:
    prompt = replace(CATALOG.prompts["published-hf"], template="{document}")
    short = lengths(350, prompt, GEMMA, 10)
    assert short.bound == 1 + 350 + len("{document}") + 10
    assert short.likely < short.bound
    assert lengths(1_000_000, prompt, LLAMA, 300) == Lengths(4096, 4096)


def test_an_experiments_share_is_the_one_that_its_options_ask_for() -> None:
    pools = [item for item in CATALOG.experiments.values() if item.memory.kv_cache == "pool"]
    assert pools
    for item in pools:
        assert item.options.get("gpu_memory_utilization", 0.9) == item.memory.gpu_share, item.name


def test_over_two_gpus_each_holds_half() -> None:
    pool, longest = Footprint(kv_cache="pool"), MEASURED_LONGEST
    one, two = (
        estimate(LLAMA, LLAMA.weights["hf"], pool, "bfloat16", None, longest, "cuda", devices=devices)
        for devices in (1, 2)
    )
    assert one is not None and two is not None and one.kv_cache_bytes is not None
    assert (two.weights_bytes, two.kv_cache_bytes) == (one.weights_bytes // 2, one.kv_cache_bytes // 2)
