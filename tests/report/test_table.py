"""Ranking: order, separation, ratios and what a reader is warned of."""

from pipeline.entries import Prompt
from pipeline.measures import Distribution
from pipeline.report.table import Table, rank
from pipeline.results import Weights
from tests.builders import make_result, make_workload


def names(table: Table) -> list[str]:
    return [row.experiment for row in table.rows]


def notes(table: Table) -> str:
    return "\n".join(note.text for note in table.notes)


def test_fastest_first_then_references_then_failures_then_skips() -> None:
    results = [
        make_result("flash-attn", status="skipped"),
        make_result("lead-3", 5000.0),
        make_result("8-bit", status="timed_out"),
        make_result("gguf-q4", status="failed"),
        make_result("none", 0.3),
        make_result("4-bit", None),
        make_result("vllm", 2.0),
    ]
    [table] = rank(results)
    assert names(table) == ["vllm", "none", "4-bit", "lead-3", "8-bit", "gguf-q4", "flash-attn"]


def test_launchers_never_share_a_table() -> None:
    """Each has its own baseline and reference line, so that what a container costs never shows as an optimisation."""
    results = [
        make_result(name, launcher=launcher) for launcher in ("docker", "process") for name in ("none", "lead-3")
    ]
    assert [(table.launcher, names(table)) for table in rank(results)] == [
        ("docker", ["none", "lead-3"]),
        ("process", ["none", "lead-3"]),
    ]


def test_scenarios_never_share_a_table() -> None:
    tables = rank([make_result("none", 0.3), make_result("vllm", 9.0, scenario="single"), make_result("vllm", 2.0)])
    assert [(table.scenario, names(table)) for table in tables] == [
        ("offline", ["vllm", "none"]),
        ("single", ["vllm"]),
    ]


def test_models_never_share_a_table() -> None:
    assert len(rank([make_result("none"), make_result("none", model="llama-2-7b-chat")])) == 2


def test_other_documents_prompts_or_limits_are_another_table() -> None:
    others = [
        make_workload(documents_sha256="e" * 64),
        make_workload(max_new_tokens=300),
        make_workload(prompt=Prompt("instruct", "{document}\nSummarize.")),
    ]
    assert len(rank([make_result(), *(make_result(workload=other) for other in others)])) == 4


def test_a_reference_line_stands_in_every_table_of_its_workload() -> None:
    results = [
        make_result("none"),
        make_result("none", model="llama-2-7b-chat"),
        make_result("none", scenario="single"),
        make_result("lead-3"),
    ]
    assert [names(table) for table in rank(results)] == [["none", "lead-3"], ["none", "lead-3"], ["none"]]


def test_a_reference_line_alone_is_a_table_without_a_model() -> None:
    [table] = rank([make_result("lead-3")])
    assert table.model is None
    assert names(table) == ["lead-3"]


def test_speed_ratio_is_against_none_over_the_same_documents() -> None:
    [table] = rank([make_result("none", 0.5), make_result("vllm", 2.0)])
    vllm = table.rows[0]
    assert (vllm.speed_ratio, vllm.ratio_docs) == (4.0, 10)


def test_no_speed_ratio_where_fewer_documents_were_completed() -> None:
    [table] = rank([make_result("none", 0.5), make_result("vllm", 2.0, docs=9)])
    assert (table.rows[0].speed_ratio, table.rows[0].ratio_docs) == (None, None)


def test_speed_ratio_where_the_same_prompts_were_too_long_for_both() -> None:
    [table] = rank([make_result("none", 0.5, docs=9), make_result("vllm", 2.0, docs=9)])
    assert (table.rows[0].speed_ratio, table.rows[0].ratio_docs) == (4.0, 9)


def test_no_speed_ratio_across_hardware_launches_or_a_failed_baseline() -> None:
    vllm = make_result("vllm", 2.0)
    for baseline in (
        make_result("none", 0.5, cpu="Another CPU"),
        make_result("none", 0.5, gpu_name="NVIDIA A100"),
        make_result("none", 0.5, launch=2),
        make_result("none", status="failed"),
    ):
        [table] = rank([baseline, vllm])
        assert next(row for row in table.rows if row.experiment == "vllm").speed_ratio is None


def test_a_reference_line_has_no_speed_ratio() -> None:
    [table] = rank([make_result("none"), make_result("lead-3", 5000.0)])
    assert table.rows[-1].speed_ratio is None


def test_a_failed_row_keeps_its_reason_and_knows_no_figure() -> None:
    [table] = rank([make_result("none", status="failed")])
    row = table.rows[0]
    assert row.failure is not None
    assert row.failure.class_ == "cuda_oom"
    figures = (row.docs_completed, row.docs_per_s, row.rouge1_f1, row.empty_outputs, row.peak_memory_bytes, row.load_s)
    assert figures == (None,) * 6
    assert row.docs_asked == 10


def test_batch_size_is_the_used_one_and_auto_where_the_engine_decides() -> None:
    [table] = rank(
        [
            make_result("none", 3.0, batch_size_asked=8, batch_size_used=4),
            make_result("4-bit", 2.0, batch_size_used=None),
            make_result("vllm", 1.0, batch_size_asked=None, batch_size_used=None),
            make_result("lead-3"),
        ]
    )
    assert [row.batch_size for row in table.rows] == [4, 8, "auto", None]


def test_distributions_reach_the_rows() -> None:
    [table] = rank([make_result("none", latency_s=Distribution(1.0, 2.0, 3.0, 4.0))])
    assert table.rows[0].latency_s == Distribution(1.0, 2.0, 3.0, 4.0)


def test_different_prompt_ids_are_a_warning_that_names_the_rows() -> None:
    [table] = rank([make_result("none"), make_result("4-bit"), make_result("vllm", prompt_ids_sha256="c" * 64)])
    [warning] = [note for note in table.notes if note.warning]
    assert "prompt ids differ" in warning.text
    assert "none, 4-bit (bbbbbbbb) against vllm (cccccccc)" in warning.text


def test_equal_rows_need_no_note() -> None:
    [table] = rank([make_result("none"), make_result("4-bit")])
    assert table.notes == ()


def test_different_hardware_is_a_warning() -> None:
    [table] = rank([make_result("none", gpu_name="NVIDIA A100"), make_result("vllm", gpu_name="Tesla T4")])
    assert "none on NVIDIA A100; vllm on Tesla T4" in notes(table)


def test_different_dtypes_are_noted() -> None:
    [table] = rank([make_result("none"), make_result("vllm", dtype="bfloat16"), make_result("lead-3", rouge1_f1=0.0)])
    assert notes(table) == "dtype differs: none in float32; vllm in bfloat16"


def test_round_to_nearest_weights_are_noted_with_their_perplexities() -> None:
    weights = Weights("rtn", "c" * 64, "rtn_awq", perplexity=15.04, perplexity_original=9.38)
    [table] = rank([make_result("vllm-awq", weights=weights)])
    assert "round-to-nearest" in notes(table)
    assert "perplexity 15.0 against the original's 9.4" in notes(table)


def test_random_weights_are_a_warning() -> None:
    [table] = rank([make_result("vllm", weights=Weights("synthetic", "c" * 64))])
    assert table.notes[0].warning
    assert "random" in table.notes[0].text


def test_incomplete_rows_are_a_warning() -> None:
    [table] = rank([make_result("vllm", docs=7)])
    assert "vllm: figures over 7 of 10 documents" in notes(table)


def test_a_jobs_own_warnings_are_shown() -> None:
    [table] = rank([make_result("vllm", warnings=("latency varies",))])
    assert "vllm: latency varies" in notes(table)


def test_rows_no_better_than_the_reference_line_are_named() -> None:
    rows = (("none", 0.3), ("vllm", 0.2), ("lead-3", 0.23))
    [table] = rank([make_result(name, rouge1_f1=rouge) for name, rouge in rows])
    assert "ROUGE-1 no higher than lead-3's (0.230), which runs no model: vllm" in [note.text for note in table.notes]
