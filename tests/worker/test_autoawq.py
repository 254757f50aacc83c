"""Calibrated AWQ checkpoints: what is refused and why, what is calibrated on, and that a broken one is not kept."""

import pytest

from pipeline.errors import BenchmarkError
from pipeline.worker.convert.autoawq import WINDOW_TOKENS, WINDOWS, calibration_windows, check_perplexity, unsupported

LLAMA = {"model_type": "llama", "hidden_size": 256, "intermediate_size": 512, "rope_theta": 10000.0}
LISTED = ["llama", "mistral"]
BOS = 1


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


@pytest.mark.parametrize("after", [15.1, float("nan"), float("inf")])
def test_a_checkpoint_of_much_higher_perplexity_is_broken(after: float) -> None:
    with pytest.raises(BenchmarkError, match="broken"):
        check_perplexity(10.0, after)


def test_what_rounding_without_calibration_costs_a_small_model_is_too_much() -> None:
    with pytest.raises(BenchmarkError, match=r"perplexity 70\.3, 43\.1 before"):
        check_perplexity(43.1, 70.3)


def test_a_small_loss_is_kept() -> None:
    check_perplexity(10.0, 11.0)


def test_every_window_is_full_and_begins_with_bos() -> None:
    documents = [[7] * (3 * WINDOW_TOKENS), [8] * (WINDOW_TOKENS // 2)]
    windows = calibration_windows(documents, BOS)

    assert len(windows) == 3
    assert all(len(window) == WINDOW_TOKENS and window[0] == BOS and window.count(BOS) == 1 for window in windows)


def test_windows_come_from_every_document_before_the_limit_is_reached() -> None:
    documents = [[number] * (9 * WINDOW_TOKENS) for number in range(10, 30)]
    windows = calibration_windows(documents, None)

    assert len(windows) == WINDOWS
    assert {window[0] for window in windows} == set(range(10, 30))
