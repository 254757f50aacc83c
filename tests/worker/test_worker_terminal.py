"""What a person sees who runs an image alone."""

import io

from pipeline.results import Failure
from pipeline.worker.terminal import PlainProgress, render
from tests.builders import make_result


def test_a_row_stands_under_its_headings() -> None:
    heading, row = render(make_result("vllm-awq", 0.3254, gpu="a100", docs=17)).splitlines()
    cells = ["vllm-awq", "a100", "gemma-3-270m", "17", "0.325", "0.150", "1.30", "3.2", "18.4"]
    headings = ["experiment", "GPU", "model", "docs", "docs/s", "ROUGE-1 F1", "peak memory GiB", "load s"]
    starts = [row.index(f"{cell}  ") for cell in cells[:-1]]
    assert row.split() == cells
    assert [heading.index(name) for name in headings] == starts
    assert heading.endswith("output tokens/s")


def test_what_is_not_known_is_a_dash() -> None:
    row = render(make_result("lead-3", peak_memory_bytes=None)).splitlines()[1]
    assert row.split()[2] == "–" and row.split()[6] == "–" and row.split()[8] == "–"


def test_warnings_stand_below_the_row() -> None:
    assert render(make_result(warnings=("2 documents exceed",))).splitlines()[2] == "warning: 2 documents exceed"


def test_a_failure_is_its_class_phase_message_and_hint_instead_of_figures() -> None:
    shown = render(make_result(status="failed", failure=Failure("cuda_oom", "load", "CUDA\nout of memory", "less")))
    assert shown == "none: failed (cuda_oom during load): CUDA out of memory\n→ less"


def test_a_skip_is_its_reason() -> None:
    shown = render(make_result("flash-attn", status="skipped", failure=Failure("cannot_run_here", "plan", "needs")))
    assert shown == "flash-attn: skipped: needs"


def test_progress_is_a_line_a_phase() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    for done in range(1000):
        progress("generate", done, 1000)
    progress("score", 1000, 1000)
    assert stream.getvalue() == "generate 0/1000\nscore\n"
