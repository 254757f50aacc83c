"""What calibrated checkpoints have in common: what is calibrated on, and that a broken one is not kept."""

from pathlib import Path

import pytest

from pipeline.errors import BenchmarkError
from pipeline.worker.convert import awq_layout
from pipeline.worker.convert.calibration import (
    WINDOW_TOKENS,
    WINDOWS,
    WORST_RATIO,
    Tool,
    calibration_windows,
    convert_with,
    uneven,
)
from pipeline.worker.convert.perplexity import DOCUMENTS, check_perplexity, from_loss

BOS = 1
TOOL = Tool("A tool", "tool", awq_layout, lambda *_: pytest.fail("it was begun"))


@pytest.mark.parametrize("after", [15.1, float("nan"), float("inf")])
def test_a_checkpoint_of_much_higher_perplexity_is_broken(after: float) -> None:
    with pytest.raises(BenchmarkError, match="broken"):
        check_perplexity(10.0, after, WORST_RATIO)


def test_what_rounding_without_calibration_costs_a_small_model_is_too_much() -> None:
    with pytest.raises(BenchmarkError, match=r"perplexity 70\.3, 43\.1 before; above 1\.5 times"):
        check_perplexity(43.1, 70.3, WORST_RATIO)


def test_a_small_loss_is_kept() -> None:
    check_perplexity(10.0, 11.0, WORST_RATIO)


def test_without_a_limit_a_perplexity_must_be_a_number_all_the_same() -> None:
    check_perplexity(43.1, 70.3)
    with pytest.raises(BenchmarkError, match="broken: perplexity inf"):
        check_perplexity(43.1, float("inf"))


def test_a_loss_that_is_too_large_for_exp_is_an_infinite_perplexity() -> None:
    assert from_loss(1e6) == float("inf")


def test_a_model_that_is_not_supported_is_refused_with_the_reason_before_any_work() -> None:
    with pytest.raises(BenchmarkError, match="A tool can't make a checkpoint of here: it is too round"):
        convert_with(TOOL, "it is too round", Path("here"), Path("there"), ["text"] * 30, BOS)


def test_texts_that_are_all_held_out_leave_nothing_to_calibrate_on() -> None:
    with pytest.raises(BenchmarkError, match=f"A tool calibrates on text beside the {DOCUMENTS} documents held out"):
        convert_with(TOOL, None, Path("here"), Path("there"), ["text"] * DOCUMENTS, BOS)


def test_a_width_that_is_no_multiple_of_the_group_is_named() -> None:
    assert uneven({"hidden_size": 640, "intermediate_size": 2048}) is None
    assert uneven({"hidden_size": 576}) == "its hidden_size 576 is no multiple of the group of 128"


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
