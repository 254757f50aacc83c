"""report.md: what it holds, and that text from outside can't break it."""

import re

from pipeline.entries import Prompt
from pipeline.measures import Distribution
from pipeline.report.environments import machines, software
from pipeline.report.markdown import Meta, escape, fenced, render
from pipeline.report.table import rank
from pipeline.results import Failure, Result
from tests.builders import make_result, make_workload

RESULTS = [
    make_result("none", 0.5, rouge1_f1=0.28, gpu_name="NVIDIA A100-SXM4-40GB", driver_version="580.65"),
    make_result("vllm", 2.0, rouge1_f1=0.26, gpu_name="NVIDIA A100-SXM4-40GB", driver_version="580.65"),
    make_result("lead-3", 5000.0, rouge1_f1=0.231),
    make_result("gguf-q4", status="failed"),
    make_result("flash-attn", status="skipped"),
]
COMMAND = "python orchestrator.py --gpu a100 --all"


def report(results: list[Result], **meta: object) -> str:
    values: dict[str, object] = {
        "run": "a100-all",
        "command": COMMAND,
        "created": "2026-11-23",
        "machines": machines(results),
        "software": software(results),
        **meta,
    }
    return render(rank(results), Meta(**values))  # type: ignore[arg-type]


def cells(text: str, experiment: str) -> list[list[str]]:
    """The cells of every table row that begins with this experiment."""
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows if row[0].strip().strip("*") == experiment]


def test_it_says_what_was_run_and_on_what() -> None:
    text = report(RESULTS)
    for fact in (
        "gemma-3-270m",
        "howto_en",
        "10 documents",
        "at most 64 new tokens",
        "A summary:",
        "NVIDIA A100-SXM4-40GB",
        "driver 580.65",
        "AMD EPYC 7B13",
        "Python 3.11.9",
        "torch 2.13.0",
        "d" * 64,
    ):
        assert fact in text


def test_it_ends_with_the_command_that_reproduces_it() -> None:
    assert report(RESULTS).rstrip().endswith(f"```sh\n{COMMAND}\n```")


def test_jobs_are_counted_once_by_status() -> None:
    both = [*RESULTS, make_result("none", scenario="single", key="f" * 64)]
    assert "6 jobs: 4 ok, 1 failed, 1 skipped." in report(both)


def test_rows_are_ranked_with_the_ratio_and_its_documents() -> None:
    text = report(RESULTS)
    [vllm, none] = [cells(text, name)[0] for name in ("vllm", "none")]
    assert vllm[2:6] == ["**2.000**", "4.00× (n=10)", "cpu", "0.260"]
    assert none[2:6] == ["0.500", "1.00× (n=10)", "cpu", "0.280"]
    assert text.index("| **vllm**") < text.index("| none") < text.index("| lead-3")


def test_scenarios_are_separate_sections() -> None:
    text = report([make_result("none"), make_result("none", scenario="single")])
    assert text.count("## offline:") == 1
    assert text.count("## single:") == 1


def test_all_rouge_figures_latencies_and_memory_are_shown() -> None:
    result = make_result(
        "none",
        rouge1_f1=0.2811,
        rouge2_f1=0.0822,
        rougeL_f1=0.1933,
        rougeLsum_f1=0.2044,
        latency_s=Distribution(1.0, 1.11, 2.22, 3.33),
        ttft_s=Distribution(0.5, 0.111, 0.9, 1.0),
        energy_j=1234.0,
        kv_cache_bytes=3 * 1024**3,
    )
    figures = [cell for row in cells(report([result]), "none") for cell in row]
    for figure in ("0.2811", "0.0822", "0.1933", "0.2044", "1.11", "2.22", "0.111", "1,234", "3.00"):
        assert figure in figures


def test_an_unknown_figure_is_a_dash_and_never_0() -> None:
    ranking = cells(report([make_result("none", None, rouge1_f1=None, peak_memory_bytes=None, load_s=None)]), "none")[0]
    assert [ranking[i] for i in (2, 3, 5, 9, 10)] == ["–"] * 5


def test_figures_that_no_row_knows_are_named_instead_of_shown_as_empty_columns() -> None:
    text = report([make_result("none", energy_j=None)])
    assert any("energy, J" in line for line in text.splitlines() if line.startswith("Not known for any row"))
    assert "| energy" not in text


def test_failures_and_skips_show_reason_and_hint() -> None:
    text = report(RESULTS)
    assert "- **gguf-q4**: cuda_oom during generate: CUDA out of memory. Tried to allocate 2.00 GiB" in text
    assert "  - what helps: a smaller --batch-size" in text
    assert "- **flash-attn**: needs a GPU; this machine has none" in text


def test_warnings_are_marked() -> None:
    assert "- **Warning:** none: latency varies" in report([make_result(warnings=("latency varies",))])


def test_a_label_is_shown_before_any_figure() -> None:
    text = report(RESULTS, label="demo: 6 documents, 64 new tokens; too few to conclude from")
    assert text.index("demo: 6 documents") < text.index("| experiment")


def test_a_message_full_of_markup_stays_text() -> None:
    failure = Failure(
        "unknown", "load", "a|b <script>x</script>\n# heading `code` *bold* [link](url) _em_\x1b[31m", None
    )
    text = report([make_result("none", status="failed", failure=failure)])
    assert "<script>" not in text
    assert "\x1b" not in text
    line = next(line for line in text.splitlines() if line.startswith("- **none**"))
    assert r"a\|b &lt;script&gt;x&lt;/script&gt; \# heading \`code\` \*bold\* \[link\](url) \_em\_" in line


def test_pipes_and_line_ends_in_names_do_not_add_cells_or_rows() -> None:
    plain, odd = (report([make_result("none", optimization=name)]) for name in ("x", "a|b\n| c"))
    assert len(cells(odd, "none")[0]) == len(cells(plain, "none")[0])
    assert cells(odd, "none")[0][1] == r"a\|b \| c"


def test_a_prompt_with_backticks_does_not_end_its_block() -> None:
    prompt = Prompt("odd", "```\n{document}\n````\nSummary")
    assert f"`````text\n{prompt.template}\n`````" in report([make_result(workload=make_workload(prompt=prompt))])


def test_underscores_inside_names_need_no_escape() -> None:
    assert escape("flash_attention_2 _x_") == r"flash_attention_2 \_x\_"


def test_a_fence_is_longer_than_any_in_the_text() -> None:
    assert fenced("plain") == "```text\nplain\n```"
    assert fenced("``````").startswith("```````text\n")


def test_no_results_still_make_a_report() -> None:
    assert "No jobs." in report([])


def test_a_machine_and_an_environment_are_listed_once() -> None:
    results = [
        make_result("none"),
        make_result("4-bit"),
        make_result("vllm", image="vllm", packages={"vllm": "0.32.0"}),
    ]
    assert len(machines(results)) == 1
    assert [one.experiments for one in software(results)] == [("none", "4-bit"), ("vllm",)]
