"""report.md: what it holds, and that text from outside can't break it."""

import re
from collections.abc import Sequence

from pipeline.entries import Prompt
from pipeline.measures import Distribution
from pipeline.report.build import Options
from pipeline.report.environments import machines, software
from pipeline.report.markdown import render
from pipeline.report.markup import code, escape, fenced
from pipeline.report.stored import StoredJob
from pipeline.results import Failure, Result
from tests.builders import make_documents, make_report, make_result, make_workload, stored

RESULTS = [
    make_result("none", 0.5, rouge1_f1=0.28, gpu_name="NVIDIA A100-SXM4-40GB", driver_version="580.65"),
    make_result("vllm", 2.0, rouge1_f1=0.26, gpu_name="NVIDIA A100-SXM4-40GB", driver_version="580.65"),
    make_result("lead-3", 5000.0, rouge1_f1=0.231),
    make_result("gguf-q4", status="failed"),
    make_result("flash-attn", status="skipped"),
]
COMMAND = "python orchestrator.py --gpu a100 --all"


def report(results: Sequence[Result | StoredJob], options: Options | None = None, **run: object) -> str:
    return render(make_report(results, options, **{"name": "a100-all", "commands": (COMMAND,), **run}))


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


def test_rows_are_ranked_in_the_published_format_and_more() -> None:
    text = report(RESULTS)
    [vllm, none] = [cells(text, name)[0] for name in ("vllm", "none")]
    assert vllm[2:7] == ["**2.000**", "cpu", "0.260", "4.00×", "10"]
    assert none[2:7] == ["0.500", "cpu", "0.280", "1.00×", "10"]
    assert text.index("| **vllm**") < text.index("| none") < text.index("| lead-3")


def test_scenarios_are_separate_sections() -> None:
    text = report([make_result("none"), make_result("none", scenario="single")])
    assert text.count("## offline on cpu:") == 1
    assert text.count("## single on cpu:") == 1


def test_all_rouge_figures_latencies_and_memory_are_shown() -> None:
    result = make_result(
        "none",
        rouge1_f1=0.2811,
        rouge2_f1=0.0822,
        rougeL_f1=0.1933,
        rougeLsum_f1=0.2044,
        latency_s=Distribution(1.0, 1.11, 2.22, 3.33),
        ttft_s=Distribution(0.5, 0.111, 0.9, 1.0),
        energy_j=12340.0,
        kv_cache_bytes=3 * 1024**3,
    )
    figures = [cell for row in cells(report([result]), "none") for cell in row]
    for figure in ("0.2811", "0.0822", "0.1933", "0.2044", "1.11", "2.22", "0.111", "1,234.0", "3.00"):
        assert figure in figures


def test_signs_of_degenerate_outputs_are_shown() -> None:
    figures = {"empty_outputs": 1, "hit_limit": 2, "copied_outputs": 3, "coverage_mean": 0.51, "density_mean": 4.5}
    quality = cells(report([make_result("none", **figures, repetition_mean=0.25)]), "none")[1]
    assert quality[-6:] == ["1", "2", "3", "0.51", "4.5", "0.25"]


def test_rouge_1_stands_beside_its_interval_over_documents() -> None:
    work = make_workload(docs=30)
    one = stored(make_result("none", workload=work, docs=30), make_documents([0.2 + n / 100 for n in range(30)]))
    value, interval = cells(report([one]), "none")[1][1:3]
    low, high = map(float, interval.split(" to "))
    assert low < float(value) == 0.345 < high


def test_the_slowdown_that_launches_would_show_is_a_dash_where_they_are_fewer_than_five() -> None:
    speeds = {"none": [0.5, 0.6, 0.7, 0.8, 0.9], "vllm": [1.01, 1.19, 1.42, 1.61, 1.79], "4-bit": [0.4, 0.5]}
    text = report(
        [
            make_result(name, speed, launch=number, key=f"{number}" * 64)
            for name, measured in speeds.items()
            for number, speed in enumerate(measured, start=1)
        ]
    )
    header = next(line for line in text.splitlines() if line.startswith("| experiment"))
    place = [cell.strip() for cell in header.split("|")[1:-1]].index("slowdown found with 80% power from")
    assert re.fullmatch(r"\d\.\d%", cells(text, "vllm")[0][place])
    assert cells(text, "4-bit")[0][place] == "–"


def test_an_unknown_figure_is_a_dash_and_never_0() -> None:
    unknown = make_result("none", None, rouge1_f1=None, peak_memory_bytes=None, load_s=None)
    ranking = cells(report([unknown, make_result("vllm")]), "none")[0]
    assert [ranking[i] for i in (2, 4, 9, 11)] == ["–"] * 4
    assert ranking[5:7] == ["10", "1"]


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


def test_random_weights_are_speed_only_in_the_heading_and_below_it() -> None:
    text = report([make_result("none", synthetic=True)])
    assert (
        "## offline on cpu: all documents handed over at once (speed only)\n\ngemma-3-270m, random weights · " in text
    )


def test_a_table_on_random_weights_has_lengths_and_nothing_of_quality() -> None:
    text = report([make_result("none", synthetic=True), make_result("lead-3", rouge1_f1=0.2311)])
    table = text[text.index("## offline") : text.index("## Where the time went")]
    assert "### Lengths" in table
    assert cells(table, "none")[1] == ["none", "515.4", "61.0"]
    assert not any(word in table for word in ("ROUGE", "gate", "### Quality", "0.231"))


def test_machines_with_random_weights_stand_side_by_side_by_speed_alone() -> None:
    text = report(
        [
            make_result("none", speed, gpu=gpu, gpu_name=gpu, synthetic=True)
            for gpu, speed in (("t4", 0.5), ("a100", 2.0))
        ]
    )
    section = text[text.index("## Across machines") :]
    assert cells(section, "none")[0] == ["none", "0.500", "2.000", "4.00×"]
    assert "offline, gemma-3-270m, random weights" in section


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


def test_two_prompts_of_one_name_are_both_shown() -> None:
    works = [make_workload(prompt=Prompt("mine", f"{{document}}\n{end}:")) for end in ("Short", "Shorter")]
    text = report([make_result(workload=work) for work in works])
    assert all(f"Prompt mine:\n\n```text\n{work.prompt.template}\n```" in text for work in works)


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


def test_the_answer_stands_first() -> None:
    assert report(RESULTS).splitlines()[2].startswith("**On this CPU, vllm summarises 2 documents a second")


def test_what_is_below_the_line_says_why() -> None:
    text = report([make_result("none"), make_result("vllm", prompt_ids_sha256="c" * 64)])
    assert "### Below the line\n\n- **vllm**: its prompt ids (cccccccc) are not the baseline's (bbbbbbbb)" in text


def test_an_undecided_gate_says_why() -> None:
    made = [stored(make_result(name), make_documents([0.2] * 10)) for name in ("none", "vllm")]
    gate = make_report(made).tables[0].rows[1].gate
    assert gate is not None and gate.verdict == "undecided"
    assert f"### Undecided quality\n\n- **vllm**: {gate.reason}" in report(made)


def test_differences_are_given_score_by_score() -> None:
    scores = [0.2 + number / 100 for number in range(30)]
    work = make_workload(docs=30)
    made = [
        stored(make_result(name, workload=work, docs=30), make_documents([score - loss for score in scores]))
        for name, loss in (("none", 0.0), ("vllm", 0.01))
    ]
    text = report(made)
    line = next(line for line in text.splitlines() if line.startswith("| ROUGE-1 F1"))
    assert [cell.strip() for cell in line.split("|")[2:6]] == ["vllm", "0.3350", "0.3450", "-0.0100"]
    assert "Against none, over the documents that both completed" in text


def test_a_price_names_its_currency() -> None:
    text = report([make_result("none", 0.5)], Options(price=1.8, currency="EUR"))
    assert "cost of 1,000, EUR" in text
    assert "1.000" in cells(text, "none")[0]


def test_a_price_is_in_dollars_unless_a_currency_is_named() -> None:
    text = report([make_result("none", 0.5)], Options(price=1.8))
    assert "cost of 1,000, USD" in text
    assert "cost at 1.80 USD an hour" in text


def test_no_results_have_no_price_and_no_currency() -> None:
    assert make_report([], Options(price=1.8, currency="EUR")).currency is None


def test_machines_stand_side_by_side_with_the_ratio_to_the_first() -> None:
    text = report(
        [
            make_result("none", 0.5, gpu="t4", gpu_name="Tesla T4"),
            make_result("none", 2.0, gpu="a100", gpu_name="NVIDIA A100-SXM4-40GB"),
        ]
    )
    section = text[text.index("## Across machines") :]
    assert cells(section, "none")[0] == ["none", "0.500", "0.150", "2.000", "4.00×", "0.150"]


def test_each_launchers_machines_are_a_table_of_their_own() -> None:
    text = report(
        [
            make_result("none", gpu=gpu, gpu_name=gpu.upper(), launcher=launcher)
            for launcher in ("process", "docker")
            for gpu in ("t4", "a100")
        ]
    )
    section = text[text.index("## Across machines") : text.index("## Where the time went")]
    assert [line for line in section.splitlines() if line.startswith("offline")] == [
        "offline, gemma-3-270m, launcher process",
        "offline, gemma-3-270m, launcher docker",
    ]
    assert len(cells(section, "none")) == 2


def test_published_rows_stand_beside_ours() -> None:
    text = report([make_result("none", 0.4, model="llama-2-7b-chat")])
    section = text[text.index("## Beside the published results") :]
    assert cells(section, "none")[0][:5] == ["none", "a100-40gb", "100", "0.317", "0.400"]


def test_code_in_a_line_holds_any_backticks() -> None:
    assert code("a`b``c") == "```a`b``c```"
    assert code("`a`") == "`` `a` ``"
