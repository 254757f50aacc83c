"""The table in the terminal: what is shown, in which order, and what a narrow terminal leaves out."""

import re
from io import StringIO

import pytest
from rich.console import Console

from pipeline.report.table import rank
from pipeline.report.terminal import render
from pipeline.results import Failure, Result
from tests.builders import make_result

RESULTS = [
    make_result("none", 0.317, rouge1_f1=0.28),
    make_result("vllm-awq", 4.273, rouge1_f1=0.234, batch_size_used=None, batch_size_asked=None),
    make_result("lead-3", 5234.1, rouge1_f1=0.231),
    make_result("gguf-q4", status="failed"),
    make_result("flash-attn", status="skipped"),
]


def shown(results: list[Result], width: int = 120, label: str | None = None) -> str:
    stream = StringIO()
    render(rank(results), Console(file=stream, width=width, color_system=None), label)
    return stream.getvalue()


def line_of(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.strip().startswith(start))


def test_the_published_columns_and_the_rest_are_shown_at_120_columns() -> None:
    text = shown(RESULTS)
    published = ("experiment", "optimisation", "docs/s", "GPU", "ROUGE-1")
    for word in (*published, "dtype", "batch", "memory", "load", "tokens/s", "status"):
        assert word in text


def test_a_rows_figures_are_shown() -> None:
    row = line_of(shown(RESULTS), "vllm-awq")
    for figure in ("vLLM + AWQ", "4.273", "13.5×", "cpu", "0.234", "float32", "auto", "1.30", "3.2", "18.4", "ok"):
        assert figure in row


def test_rows_are_fastest_first_and_the_reference_stands_apart() -> None:
    lines = shown(RESULTS).splitlines()
    first, second, reference = (
        next(i for i, line in enumerate(lines) if line.strip().startswith(name))
        for name in ("vllm-awq", "none", "lead-3")
    )
    assert first < second < reference
    assert re.fullmatch(r"\s*─+\s*", lines[reference - 1])
    assert re.fullmatch(r"\s*─+\s*", lines[reference + 1])


def test_scenarios_are_separate_tables_with_their_meaning() -> None:
    text = shown([make_result("none"), make_result("none", scenario="single")])
    assert "offline: all documents handed over at once" in text
    assert "single: one document at a time" in text


def test_an_unknown_figure_is_a_dash_and_never_0() -> None:
    row = line_of(
        shown(
            [make_result("none", None, peak_memory_bytes=None, rouge1_f1=None, load_s=None, output_tokens_per_s=None)]
        ),
        "none ",
    )
    assert row.count("–") == 6
    assert "0" not in row


def test_a_small_figure_is_not_rounded_to_0() -> None:
    assert "<0.001" in line_of(shown([make_result("none", 0.0001)]), "none ")


def test_failures_show_class_phase_message_hint_and_log() -> None:
    text = shown(RESULTS)
    assert "cuda_oom during generate: CUDA out of memory. Tried to allocate 2.00 GiB" in text
    assert "→ a smaller --batch-size" in text
    key = next(result.job.key for result in RESULTS if result.job.experiment == "gguf-q4")
    assert f"--{key[:8]}/log.txt" in text


def test_skips_show_their_reason() -> None:
    assert "flash-attn  needs a GPU; this machine has none" in shown(RESULTS)


def test_notes_stand_below_the_table() -> None:
    assert "! none: latency varies" in shown([make_result("none", warnings=("latency varies",))])


def test_a_label_stands_above_the_table() -> None:
    text = shown(RESULTS, label="demo: 6 documents")
    assert text.index("demo: 6 documents") < text.index("experiment")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_no_row_is_wrapped(width: int) -> None:
    text = shown(RESULTS, width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "4.273" in line_of(text, "vllm-awq")
    assert "…" not in text


def test_80_columns_keep_speed_gpu_quality_memory_and_status() -> None:
    row = line_of(shown(RESULTS, 80), "vllm-awq")
    for figure in ("4.273", "cpu", "0.234", "1.30", "ok"):
        assert figure in row


def test_text_from_logs_is_neither_markup_nor_control_codes() -> None:
    failure = Failure("unknown", "load", "\x1b[31m[bold]boom[/nonsense]\x1b[0m\nsecond\x07 line", None)
    text = shown([make_result("none", status="failed", failure=failure)])
    assert "[bold]boom[/nonsense] second line" in text
    assert "\x1b" not in text
    assert "\x07" not in text
