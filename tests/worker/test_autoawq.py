"""Calibrated AWQ checkpoints: what AutoAWQ is not given, and why."""

import pytest

from pipeline.worker.convert.autoawq import unsupported

LLAMA = {"model_type": "llama", "hidden_size": 256, "intermediate_size": 512, "rope_theta": 10000.0}
LISTED = ["llama", "mistral"]


def test_a_model_of_a_listed_type_is_taken() -> None:
    assert unsupported(LLAMA, LISTED) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_type": "gemma3_text"}, "gemma3_text is none of llama, mistral"),
        ({"intermediate_size": 500}, "intermediate_size 500 is no multiple of the group of 128"),
    ],
)
def test_a_model_that_the_tool_can_not_quantise_is_refused_with_the_reason(
    changes: dict[str, object], reason: str
) -> None:
    found = unsupported({**LLAMA, **changes}, LISTED)

    assert found is not None and reason in found


def test_a_config_that_the_tools_transformers_would_misread_is_refused() -> None:
    config = {name: value for name, value in LLAMA.items() if name != "rope_theta"}
    found = unsupported({**config, "rope_parameters": {"rope_theta": 500000.0}}, LISTED)

    assert found is not None and "rope_parameters" in found
