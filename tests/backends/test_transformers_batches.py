"""The transformers adapter's pure parts: batches, padding, where a completion ends, options."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.entries import Sampling
from pipeline.worker.backend import Request, Setup, create_backend
from pipeline.worker.backends import transformers as adapter

EOS = (1, 106)


def request(name: str, prompt_length: int) -> Request:
    return Request(id=name, document="", prompt_ids=(7,) * prompt_length, max_new_tokens=8)


def setup(options: Mapping[str, Any]) -> Setup:
    return Setup(
        weights=Path("nowhere"),
        device="cpu",
        dtype="float32",
        options=options,
        batch_size=2,
        max_length=64,
        eos_ids=EOS,
        seed=0,
    )


def test_the_longest_prompts_come_first() -> None:
    requests = [request("short", 2), request("longest", 9), request("middle", 5)]
    assert [item.id for item in adapter.longest_first(requests)] == ["longest", "middle", "short"]


def test_padding_stands_left_of_the_prompt_and_is_masked_even_where_the_prompt_holds_the_pad_id() -> None:
    ids, mask = adapter.pad_left([(5, 0, 6), (0,)], pad_id=0)
    assert ids == [[5, 0, 6], [0, 0, 0]]
    assert mask == [[1, 1, 1], [0, 0, 1]]


def test_a_completion_ends_with_its_first_end_of_sequence_id() -> None:
    assert adapter.cut([5, 106, 1, 0, 0], EOS, max_new_tokens=5) == ((5, 106), "stop")


def test_a_completion_without_an_end_of_sequence_id_ends_at_its_own_limit() -> None:
    assert adapter.cut([5, 6, 7, 8], EOS, max_new_tokens=3) == ((5, 6, 7), "length")


def test_an_end_of_sequence_id_after_the_limit_is_not_part_of_the_completion() -> None:
    assert adapter.cut([5, 6, 1], EOS, max_new_tokens=2) == ((5, 6), "length")


def test_an_end_of_sequence_id_at_the_limit_is_a_stop() -> None:
    assert adapter.cut([5, 1], EOS, max_new_tokens=2) == ((5, 1), "stop")


def test_nothing_of_the_sampling_is_left_to_the_engines_own_defaults() -> None:
    arguments = adapter.sampling_arguments(Sampling("sample", temperature=0.7))
    assert arguments == {"do_sample": True, "temperature": 0.7, "top_p": 1.0, "top_k": 0}


def test_four_bit_layers_compute_in_the_dtype_of_the_setup_unless_told_otherwise() -> None:
    four_bit = {"quantization": {"load_in_4bit": True}}
    told = {"quantization": {"load_in_4bit": True, "bnb_4bit_compute_dtype": "float16"}}
    assert adapter.quantization_arguments(four_bit, "bfloat16") == {
        "load_in_4bit": True,
        "bnb_4bit_compute_dtype": "bfloat16",
    }
    assert adapter.quantization_arguments(told, "bfloat16") == told["quantization"]


def test_without_a_quantization_option_nothing_is_quantised() -> None:
    assert adapter.quantization_arguments({"attention": "sdpa"}, "bfloat16") is None


def test_the_quantisation_is_named_by_what_the_loaded_model_tells() -> None:
    four_bit = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    eight_bit = {"quant_method": "bitsandbytes", "load_in_4bit": False, "load_in_8bit": True}
    assert adapter.quantization_label(four_bit) == "bitsandbytes nf4"
    assert adapter.quantization_label(eight_bit) == "bitsandbytes int8"
    assert adapter.quantization_label({"quant_method": "awq"}) == "awq"
    assert adapter.quantization_label(None) is None


@pytest.mark.parametrize(
    ("options", "named"),
    [({"atention": "sdpa"}, "'atention' is unknown"), ({"attention": "flash"}, "'flash' is unknown")],
)
def test_an_option_that_the_adapter_does_not_know_is_refused_by_name(options: Mapping[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        create_backend("transformers", setup(options))


def test_closing_an_adapter_that_was_never_loaded_is_harmless() -> None:
    backend = create_backend("transformers", setup({"attention": "sdpa"}))
    backend.close()
    backend.close()
