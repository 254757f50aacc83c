"""The running job's rate and time left, from its lines and when they came."""

import pytest

from pipeline.host.watcher import Queued
from pipeline.progress import ProgressLine
from pipeline.report.running import Running


def after(*lines: tuple[float, ProgressLine]) -> Running:
    """A job that began at 0 s, once it has said those lines at those times."""
    running = Running(Queued("none"), 1, 1, began_s=0.0)
    for now_s, line in lines:
        running = running.after(line, now_s)
    return running


def generating(done: int, tokens: int | None = None, repeat: int | None = None) -> ProgressLine:
    return ProgressLine("generate", done, 10, output_tokens=tokens, repeat=repeat, repeats=3 if repeat else None)


def test_before_it_has_said_anything_it_is_starting() -> None:
    assert after().phase == "start"


def test_neither_rate_nor_time_left_is_known_before_a_document_is_finished() -> None:
    running = after((5.0, ProgressLine("load", 0, 10)), (20.0, generating(0)), (24.0, generating(0)))
    assert running.docs_per_s is None
    assert running.left_s(25.0) is None


def test_loading_does_not_count_for_the_rate() -> None:
    running = after((5.0, ProgressLine("load", 0, 10)), (20.0, generating(0)), (28.0, generating(4)))
    assert running.docs_per_s == pytest.approx(0.5)
    assert running.left_s(28.0) == pytest.approx(12.0)


def test_the_time_left_runs_down_between_lines() -> None:
    assert after((0.0, generating(0)), (8.0, generating(4))).left_s(10.0) == pytest.approx(10.0)


def test_a_rate_that_promised_too_much_promises_no_more() -> None:
    assert after((0.0, generating(0)), (8.0, generating(4))).left_s(21.0) is None


def test_documents_of_an_interrupted_attempt_do_not_count_for_the_rate() -> None:
    assert after((0.0, generating(6)), (8.0, generating(8))).docs_per_s == pytest.approx(0.25)


def test_repeats_that_are_still_to_come_count_for_the_time_left() -> None:
    running = after((0.0, generating(0, repeat=2)), (8.0, generating(4, repeat=2)))
    assert running.left_s(8.0) == pytest.approx((6 + 10) / 0.5)


def test_a_new_repeat_has_a_rate_of_its_own() -> None:
    running = after((0.0, generating(0, repeat=1)), (8.0, generating(10, repeat=1)), (8.0, generating(0, repeat=2)))
    assert running.docs_per_s is None
    assert running.after(generating(1, repeat=2), 12.0).docs_per_s == pytest.approx(0.25)


def test_tokens_a_second_are_known_where_the_engine_shows_its_steps() -> None:
    assert after((0.0, generating(0)), (4.0, generating(0, tokens=200))).tokens_per_s == pytest.approx(50.0)
    assert after((0.0, generating(0)), (4.0, generating(1))).tokens_per_s is None


def test_once_generating_is_over_there_is_no_rate() -> None:
    running = after((0.0, generating(0)), (8.0, generating(10)), (9.0, ProgressLine("score", 10, 10)))
    assert running.docs_per_s is None
    assert running.left_s(9.0) is None


def test_an_attempt_that_starts_again_is_measured_anew() -> None:
    first = after((0.0, generating(0)), (8.0, generating(4)))
    again = first.after(ProgressLine("load", 0, 10), 20.0).after(generating(0), 30.0)
    assert again.docs_per_s is None
    assert again.after(generating(1), 31.0).docs_per_s == pytest.approx(1.0)
