"""Progress lines: what a worker says, read by a host that may be older or newer."""

import pytest

from pipeline.progress import ProgressLine, Reading, format_progress, parse_progress, progress_line


def test_a_line_comes_back_as_it_was_said() -> None:
    line = progress_line("generate", 3, 10, Reading(memory_bytes=1 << 31, output_tokens=77, repeat=2, repeats=5))
    assert parse_progress(format_progress(line)) == line


def test_what_is_not_known_stays_unknown() -> None:
    assert parse_progress(format_progress(ProgressLine("load", 0, 10))) == ProgressLine("load", 0, 10, None, None)


def test_a_line_of_an_older_worker_is_read() -> None:
    assert parse_progress('@progress ["generate", 3, 10]') == ProgressLine("generate", 3, 10)


def test_what_a_newer_worker_says_beyond_is_left_out() -> None:
    assert parse_progress('@progress ["generate", 3, 10, 5, 6, 1, 2, "new"]') == ProgressLine(
        "generate", 3, 10, 5, 6, 1, 2
    )


@pytest.mark.parametrize("values", ['["generate", 3]', '["generate", -1, 10]', f'["generate", 1, {10**200}]', "{}"])
def test_what_only_looks_like_progress_is_none(values: str) -> None:
    assert parse_progress(f"@progress {values}") is None
