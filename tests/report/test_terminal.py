"""The table in the terminal: what is shown, in which order, and what a narrow terminal leaves out."""

import re
from collections.abc import Sequence
from io import StringIO

import pytest
from rich.console import Console

from pipeline.report.stored import StoredJob
from pipeline.report.terminal import render, show
from pipeline.results import Failure, Result
from tests.builders import make_documents, make_report, make_result, make_workload, stored

RESULTS = [
    make_result("none", 0.317, rouge1_f1=0.28),
    make_result("vllm-awq", 4.273, rouge1_f1=0.234, batch_size_used=None, batch_size_asked=None),
    make_result("lead-3", 5234.1, rouge1_f1=0.231),
    make_result("gguf-q4", status="failed"),
    make_result("flash-attn", status="skipped"),
]


def shown(results: Sequence[Result | StoredJob], width: int = 120, label: str | None = None) -> str:
    stream = StringIO()
    render(make_report(results, label=label), Console(file=stream, width=width, color_system=None))
    return stream.getvalue()


def line_of(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.strip().startswith(start))


def test_the_published_columns_and_the_rest_are_shown_at_120_columns() -> None:
    text = shown(RESULTS)
    published = ("experiment", "optimisation", "docs/s", "GPU", "ROUGE-1")
    for word in (*published, "times", "dtype", "batch", "memory", "tokens/s", "status"):
        assert word in text


def test_a_rows_figures_are_shown() -> None:
    row = line_of(shown(RESULTS), "vllm-awq")
    for figure in ("vLLM + AWQ", "4.273", "13.5×", "cpu", "0.234", "float32", "auto", "1.30", "18.4", "ok"):
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
    assert "offline on cpu: all documents handed over at once" in text
    assert "single on cpu: one document at a time" in text


def test_an_unknown_figure_is_a_dash_and_never_0() -> None:
    unknown = make_result("none", None, peak_memory_bytes=None, rouge1_f1=None, load_s=None, output_tokens_per_s=None)
    row = line_of(shown([unknown, make_result("vllm")], 200), "none ")
    assert row.count("–") == 5
    assert "0" not in row


def test_a_column_that_no_row_knows_is_left_out() -> None:
    assert "J/doc" not in shown(RESULTS, 200)
    assert "J/doc" in shown([make_result("none", energy_j=50.0)], 200)


def test_the_answer_stands_at_the_end() -> None:
    assert shown(RESULTS, 400).rstrip().splitlines()[-1].startswith(" On this CPU, vllm-awq summarises 4.3 documents")


def test_what_is_below_the_line_stands_apart_with_its_reason() -> None:
    text = shown([make_result("none", 0.3), make_result("vllm", 0.9, prompt_ids_sha256="c" * 64)])
    assert text.index("below the line") > text.index("none  ")
    assert "vllm  its prompt ids (cccccccc) are not the baseline's (bbbbbbbb)" in text


def test_the_gates_verdict_is_shown() -> None:
    work = make_workload(docs=30)
    made = [
        stored(make_result(name, workload=work, docs=30), make_documents([0.2 + number / 100 for number in range(30)]))
        for name in ("none", "vllm")
    ]
    assert "pass" in line_of(shown(made), "vllm")


def test_a_small_figure_is_not_rounded_to_0() -> None:
    assert "<0.001" in line_of(shown([make_result("none", 0.0001)]), "none ")


def test_random_weights_are_speed_only_and_have_no_column_of_quality() -> None:
    text = shown([make_result("none", synthetic=True), make_result("lead-3")])
    assert "offline on cpu: all documents handed over at once (speed only)" in text
    assert "gemma-3-270m, random weights · howto_en" in text
    assert "ROUGE-1" not in text


def test_failures_show_class_phase_message_hint_and_log() -> None:
    text = shown(RESULTS)
    assert "cuda_oom during generate: CUDA out of memory. Tried to allocate 2.00 GiB" in text
    assert "→ a smaller --batch-size" in text
    key = next(result.job.key for result in RESULTS if result.job.experiment == "gguf-q4")
    assert f"log: test/gguf-q4.1--{key[:8]}/log.txt" in text


def test_skips_show_their_reason() -> None:
    assert "flash-attn  needs a GPU; this machine has none" in shown(RESULTS)


def test_notes_stand_below_the_table() -> None:
    assert "! none: latency varies" in shown([make_result("none", warnings=("latency varies",))])


def test_no_colour_is_written_where_none_is_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    show(make_report(RESULTS))
    coloured = capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    show(make_report(RESULTS))
    assert re.search(r"\x1b\[[0-9;]*3[0-9]", coloured)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", capsys.readouterr().out)


def test_a_pipe_gets_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    show(make_report(RESULTS))
    assert "\x1b" not in capsys.readouterr().out


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
