"""Checkpoints by llm-compressor: what it is not given, and why."""

import pytest

from pipeline.worker.convert.llm_compressor import unsupported

GEMMA = {"model_type": "gemma3_text", "hidden_size": 640, "intermediate_size": 2048}
KNOWN = {"gemma3_text", "mixtral"}


def test_a_model_that_transformers_knows_is_taken() -> None:
    assert unsupported(GEMMA, KNOWN) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_type": "t5"}, "its type t5 is no causal language model"),
        ({"quantization_config": {"quant_method": "awq"}}, "it is quantised already"),
        ({"model_type": "mixtral", "num_local_experts": 8}, "it is a mixture of experts"),
        ({"hidden_size": 576}, "its hidden_size 576 is no multiple of the group of 128"),
    ],
)
def test_a_model_that_the_tool_can_not_quantise_is_refused_with_the_reason(
    changes: dict[str, object], reason: str
) -> None:
    found = unsupported({**GEMMA, **changes}, KNOWN)

    assert found is not None and reason in found


def test_a_model_of_more_than_text_is_refused() -> None:
    found = unsupported({"model_type": "gemma3_text", "text_config": GEMMA}, KNOWN)

    assert found is not None and "no hidden_size" in found
