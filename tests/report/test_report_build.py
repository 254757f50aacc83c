"""Tables: what shares one, in which order rows stand, what they are held against, and what a reader is warned of."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pipeline.entries import Prompt
from pipeline.measures import Distribution
from pipeline.report.build import Options
from pipeline.report.model import Row, Table
from pipeline.report.stored import StoredJob
from pipeline.results import Result, Weights
from tests.builders import make_documents, make_report, make_result, make_workload, stored

SCORES = [0.2 + number / 200 for number in range(40)]


def tables(results: Sequence[Result | StoredJob], **options: object) -> tuple[Table, ...]:
    return make_report(results, Options(**options)).tables  # type: ignore[arg-type]


def table(results: Sequence[Result | StoredJob], **options: object) -> Table:
    [only] = tables(results, **options)
    return only


def names(table: Table) -> list[str]:
    return [row.experiment for row in table.rows]


def row_of(table: Table, experiment: str) -> Row:
    return next(row for row in table.rows if row.experiment == experiment)


def notes(table: Table) -> str:
    return "\n".join(note.text for note in table.notes)


def launches(experiment: str, speeds: Sequence[float], **overrides: object) -> list[Result]:
    return [
        make_result(experiment, speed, launch=number, key=f"{number}" * 64, **overrides)
        for number, speed in enumerate(speeds, start=1)
    ]


def with_scores(experiment: str, scores: Sequence[float], tokens: int = 60, **overrides: object) -> StoredJob:
    """A result over as many documents as scores."""
    work = make_workload(docs=len(scores))
    result = make_result(experiment, docs=len(scores), workload=work, **overrides)
    return stored(result, make_documents(scores, tokens))


# what shares a table


def test_fastest_first_then_below_the_line_then_references_then_failures_then_skips() -> None:
    results = [
        make_result("flash-attn", status="skipped"),
        make_result("lead-3", 5000.0),
        make_result("8-bit", status="timed_out"),
        make_result("gguf-q4", status="failed"),
        make_result("none", 0.3),
        make_result("4-bit", 3.0, prompt_ids_sha256="c" * 64),
        make_result("vllm", 2.0),
        make_result("vllm-awq", 4.0, preset="published-vllm"),
    ]
    assert [(row.experiment, row.standing) for row in table(results).rows] == [
        ("vllm", "ranked"),
        ("none", "ranked"),
        ("4-bit", "below"),
        ("vllm-awq", "unranked"),
        ("lead-3", "reference"),
        ("8-bit", "failed"),
        ("gguf-q4", "failed"),
        ("flash-attn", "skipped"),
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"scenario": "single"},
        {"model": "llama-2-7b-chat"},
        {"synthetic": True},
        {"launcher": "docker"},
        {"gpu": "a100"},
        {"gpu_name": "NVIDIA A100-SXM4-40GB"},
        {"cpu": "Another CPU"},
        {"workload": make_workload(documents_sha256="e" * 64)},
        {"workload": make_workload(max_new_tokens=300)},
        {"workload": make_workload(prompt=Prompt("instruct", "{document}\nSummarize."))},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_differs_in_this_is_another_table(other: dict[str, object]) -> None:
    assert len(tables([make_result("none"), make_result("vllm", **other)])) == 2


def test_two_machines_of_one_kind_are_told_apart_by_their_hardware() -> None:
    found = tables([make_result("none"), make_result("none", run="there", cpu="Another CPU")])
    assert [item.gpu for item in found] == ["cpu (AMD EPYC 7B13, 2 cores)", "cpu (Another CPU, 2 cores)"]


def test_a_job_that_did_not_tell_of_its_machine_stands_with_those_of_its_run() -> None:
    results = [
        make_result("none", run="here"),
        make_result("none", run="there", cpu="Another CPU"),
        make_result("vllm", status="failed", run="there"),
    ]
    assert [names(item) for item in tables(results)] == [["none"], ["none", "vllm"]]


def test_a_reference_line_stands_in_every_table_of_its_workload_and_machine() -> None:
    results = [
        make_result("none"),
        make_result("none", model="llama-2-7b-chat"),
        make_result("none", scenario="single"),
        make_result("none", cpu="Another CPU"),
        make_result("lead-3"),
    ]
    assert [names(item) for item in tables(results)] == [["none", "lead-3"], ["none"], ["none"], ["none", "lead-3"]]


def test_the_tables_of_one_model_stand_together() -> None:
    results = [
        make_result("none", model="one"),
        make_result("none", model="other"),
        make_result("none", model="one", scenario="single"),
    ]
    assert [(item.model, item.scenario) for item in tables(results)] == [
        ("one", "offline"),
        ("one", "single"),
        ("other", "offline"),
    ]


def test_a_model_of_which_nothing_ran_stands_on_the_machine_of_its_run() -> None:
    nowhere = {"cpu": None, "cpu_count": None, "memory_bytes": None}
    results = [make_result("none", model="one"), make_result("none", model="other", status="failed", **nowhere)]
    assert [item.gpu for item in tables(results)] == ["cpu", "cpu"]


def test_rows_are_held_against_the_baseline_of_their_own_model() -> None:
    speeds = [("none", "one", 1.0), ("vllm", "one", 3.0), ("none", "other", 10.0), ("vllm", "other", 20.0)]
    made = tables([make_result(name, speed, model=model) for name, model, speed in speeds])
    ratios = {(item.model, row.experiment): row.speed_ratio for item in made for row in item.rows}
    assert ratios["one", "vllm"].value == pytest.approx(3.0)
    assert ratios["other", "vllm"].value == pytest.approx(2.0)


def test_a_reference_line_stands_beside_real_and_beside_random_weights() -> None:
    found = tables([make_result("none"), make_result("none", synthetic=True), make_result("lead-3")])
    assert [(item.synthetic, names(item)) for item in found] == [
        (False, ["none", "lead-3"]),
        (True, ["none", "lead-3"]),
    ]


def test_a_job_on_random_weights_that_failed_early_stands_with_those_on_random_weights() -> None:
    results = [make_result("none"), make_result("none", synthetic=True)]
    failed = make_result("vllm", status="failed", synthetic=True)
    assert [names(item) for item in tables([*results, failed])] == [["none"], ["none", "vllm"]]


def test_a_reference_line_beside_a_gpu_stands_in_the_gpus_table() -> None:
    found = table([make_result("none", gpu="t4", gpu_name="Tesla T4"), make_result("lead-3", gpu="t4")])
    assert names(found) == ["none", "lead-3"]


def test_a_reference_line_alone_is_a_table_without_a_model() -> None:
    found = table([make_result("lead-3")])
    assert (found.model, names(found)) == (None, ["lead-3"])


# what makes a row


def test_launches_of_an_experiment_are_one_row_with_their_geometric_mean() -> None:
    found = table(launches("none", [1.0, 4.0]))
    assert names(found) == ["none"]
    assert found.rows[0].docs_per_s is not None
    assert found.rows[0].docs_per_s.value == pytest.approx(2.0)
    assert [launch.docs_per_s for launch in found.rows[0].launches] == [1.0, 4.0]


def test_a_launch_that_failed_is_a_warning_and_leaves_the_row_its_figures() -> None:
    lost = make_result("none", status="failed", launch=2, key="2" * 64)
    found = table([*launches("none", [1.0]), lost])
    assert (found.rows[0].status, found.rows[0].standing) == ("ok", "ranked")
    assert "none: 1 of 2 launches did not come through (cuda_oom)" in notes(found)


def test_batch_sizes_of_one_experiment_are_rows_named_by_them() -> None:
    results = [make_result("none", 1.0, batch_size_asked=4), make_result("none", 2.0, batch_size_asked=8)]
    assert names(table(results)) == ["none (batch size 8)", "none (batch size 4)"]


def test_rows_of_two_kinds_of_environment_are_told_apart() -> None:
    results = [make_result("none", 0.5), make_result("none", 0.4, variant="current-cpu")]
    assert names(table(results)) == ["none (own environment)", "none (interpreter at hand)"]


def test_two_runs_on_one_machine_share_a_table_and_are_told_apart() -> None:
    results = [make_result("none", 1.0, run="a"), make_result("none", 2.0, run="b"), make_result("vllm", 3.0, run="b")]
    found = table(results)
    assert names(found) == ["vllm", "none (b)", "none (a)"]
    assert found.runs == ("a", "b")


def test_runs_of_one_name_in_two_folders_are_two_rows_told_apart_by_them() -> None:
    jobs = [stored(make_result("none", speed, run="mine")) for speed in (1.0, 2.0)]
    found = table([replace(job, folder=f"{place}/mine/job") for job, place in zip(jobs, ("a", "b"), strict=True)])
    assert names(found) == ["none (b/mine)", "none (a/mine)"]


def test_a_copied_job_counts_as_one_of_the_folder_that_it_lies_in() -> None:
    jobs = [stored(make_result("none", speed, run=run, launch=n)) for n, speed, run in ((1, 1.0, "a"), (2, 4.0, "b"))]
    found = table([replace(job, folder=f"a/{number}") for number, job in enumerate(jobs)])
    assert [(row.experiment, len(row.launches)) for row in found.rows] == [("none", 2)]


def test_a_failed_job_stands_with_those_of_its_runs_folder_not_its_runs_name() -> None:
    here, there, lost = (
        stored(make_result("none", run="mine")),
        stored(make_result("none", run="mine", cpu="Another CPU")),
        stored(make_result("vllm", run="mine", status="failed")),
    )
    placed = [replace(here, folder="a/1"), replace(there, folder="b/1"), replace(lost, folder="b/2")]
    assert [names(item) for item in tables(placed)] == [["none"], ["none", "vllm"]]


def test_a_preset_stands_beside_its_experiment_and_is_not_ranked() -> None:
    found = table([make_result("none", 1.0), make_result("none", 2.0, preset="published-hf")])
    assert [(row.experiment, row.standing) for row in found.rows] == [
        ("none", "ranked"),
        ("none (published-hf)", "unranked"),
    ]


def test_a_failed_row_keeps_its_reason_and_knows_no_figure() -> None:
    row = table([make_result("none", status="failed")]).rows[0]
    assert row.failure is not None
    assert row.failure.class_ == "cuda_oom"
    figures = (row.docs_completed, row.docs_per_s, row.empty_outputs, row.memory.peak, row.time.load, row.cost_per_1000)
    assert figures == (None,) * 6
    assert (row.scores, row.docs_asked) == ({}, 10)


def test_every_rows_scores_have_an_interval_over_its_documents_the_baselines_too() -> None:
    for row in table([with_scores("none", SCORES), with_scores("vllm", SCORES)]).rows:
        found = row.scores["rouge1_f1"]
        assert (row.score("rouge1_f1"), found.n) == (pytest.approx(sum(SCORES) / len(SCORES)), len(SCORES))
        assert found.interval is not None
        assert found.interval.low < found.value < found.interval.high
        assert set(row.scores) == {"rouge1_f1", "rouge2_f1", "rougeL_f1", "rougeLsum_f1"}


def test_scores_of_documents_that_are_not_at_hand_are_the_jobs_means_without_an_interval() -> None:
    found = table([make_result("none", rouge1_f1=0.28)]).rows[0].scores["rouge1_f1"]
    assert (found.value, found.n, found.interval) == (0.28, 10, None)
    assert found.why == "the documents' own scores are not at hand"


def test_a_score_that_is_not_known_is_none() -> None:
    assert table([make_result("none", rouge1_f1=None)]).rows[0].score("rouge1_f1") is None


def test_batch_size_is_the_used_one_and_auto_where_the_engine_decides() -> None:
    found = table(
        [
            make_result("none", 3.0, batch_size_asked=8, batch_size_used=4),
            make_result("4-bit", 2.0, batch_size_used=None),
            make_result("vllm", 1.0, batch_size_asked=None, batch_size_used=None),
            make_result("lead-3"),
        ]
    )
    assert [row.batch_size for row in found.rows] == [4, 8, "auto", None]


def test_distributions_reach_the_rows() -> None:
    row = table([make_result("none", latency_s=Distribution(1.0, 2.0, 3.0, 4.0))]).rows[0]
    assert row.latency_s == Distribution(1.0, 2.0, 3.0, 4.0)


def test_energy_is_by_document_and_cost_by_the_price_of_that_gpu() -> None:
    results = [make_result("none", 0.5, energy_j=100.0), make_result("none", 0.5, gpu="t4", gpu_name="Tesla T4")]
    cpu, t4 = tables(results, price=1.8, prices={"t4": 0.36}, currency="EUR")
    assert cpu.rows[0].energy_per_doc_j == 10.0
    assert cpu.rows[0].cost_per_1000 == pytest.approx(1.0)
    assert t4.rows[0].cost_per_1000 == pytest.approx(0.2)
    assert "cost at 0.36 EUR an hour" in notes(t4)


def test_without_a_price_there_is_no_cost() -> None:
    report = make_report([make_result("none", 0.5)])
    assert (report.tables[0].rows[0].cost_per_1000, report.price_per_hour, report.currency) == (None, None, None)


# against the baseline


def test_speed_ratio_is_against_none_over_the_same_documents() -> None:
    vllm = table([make_result("none", 0.5), make_result("vllm", 2.0)]).rows[0]
    assert vllm.speed_ratio is not None
    assert (vllm.speed_ratio.value, vllm.speed_ratio.interval, vllm.shared_docs) == (4.0, None, 10)


def test_five_launches_give_the_ratio_an_interval_launch_by_launch() -> None:
    base, rival = [0.5, 0.6, 0.7, 0.8, 0.9], [1.01, 1.19, 1.42, 1.61, 1.79]
    ratio = row_of(table([*launches("none", base), *launches("vllm", rival)]), "vllm").speed_ratio
    assert ratio is not None and ratio.interval is not None
    assert 1.95 < ratio.interval.low < 2 < ratio.interval.high < 2.05


def test_five_launches_tell_from_what_slowdown_on_they_would_find_one() -> None:
    base, rival = [0.5, 0.6, 0.7, 0.8, 0.9], [1.01, 1.19, 1.42, 1.61, 1.79]
    steady = table([*launches("none", base), *launches("vllm", rival)])
    uneven = table([*launches("none", base), *launches("vllm", [1.1, 1.1, 1.5, 1.5, 1.9])])
    found, worse = row_of(steady, "vllm").speed_detectable, row_of(uneven, "vllm").speed_detectable
    assert found is not None and worse is not None
    assert 0.8 < worse < found < 1
    assert row_of(steady, "none").speed_detectable is None


def test_four_launches_do_not() -> None:
    found = table([*launches("none", [0.5, 0.6, 0.7, 0.8]), *launches("vllm", [1.01, 1.19, 1.42, 1.61])])
    assert row_of(found, "vllm").speed_detectable is None


def test_launches_of_different_runs_are_not_paired() -> None:
    base, rival = launches("none", [0.5] * 5, run="a"), launches("vllm", [1.0, 1.1, 1.2, 1.0, 1.1], run="b")
    row = row_of(table([*base, *rival]), "vllm")
    assert row.speed_ratio is not None
    assert (row.speed_ratio.interval, row.speed_detectable) == (None, None)


def test_launches_of_two_folders_of_one_name_are_not_paired() -> None:
    base, rival = launches("none", [0.5] * 5), launches("vllm", [1.0, 1.1, 1.2, 1.0, 1.1])
    jobs = [replace(stored(result), folder=f"a/test/{number}") for number, result in enumerate(base)]
    jobs += [replace(stored(result), folder=f"b/test/{number}") for number, result in enumerate(rival)]
    ratio = row_of(table(jobs), "vllm").speed_ratio
    assert ratio is not None and ratio.interval is None


def test_another_baseline_can_be_named() -> None:
    found = table([make_result("none", 0.5), make_result("vllm", 2.0)], baseline="vllm")
    ratio = row_of(found, "none").speed_ratio
    assert found.baseline == "vllm"
    assert ratio is not None and ratio.value == 0.25


def test_of_two_baselines_the_faster_one_counts() -> None:
    results = [
        make_result("none", 1.0, batch_size_asked=4),
        make_result("none", 2.0, batch_size_asked=8),
        make_result("vllm", 3.0),
    ]
    found = table(results)
    ratio = row_of(found, "vllm").speed_ratio
    assert found.baseline == "none (batch size 8)"
    assert ratio is not None and ratio.value == 1.5


def test_other_prompt_ids_are_not_ranked_and_the_reason_is_said() -> None:
    row = row_of(table([make_result("none"), make_result("vllm", 2.0, prompt_ids_sha256="c" * 64)]), "vllm")
    assert (row.standing, row.speed_ratio) == ("below", None)
    assert row.below_because == "its prompt ids (cccccccc) are not the baseline's (bbbbbbbb)"


def test_unknown_prompt_ids_are_not_taken_for_equal() -> None:
    found = table([make_result(name, prompt_ids_sha256=None) for name in ("none", "vllm")])
    assert row_of(found, "vllm").below_because == "its prompt ids are not known"


def test_without_a_baseline_the_prompts_of_most_rows_count() -> None:
    results = [make_result("4-bit"), make_result("8-bit"), make_result("vllm", prompt_ids_sha256="c" * 64)]
    assert [row.standing for row in table(results).rows] == ["ranked", "ranked", "below"]


def test_rows_of_unknown_prompts_have_no_say_in_which_are_usual() -> None:
    results = [make_result(name, prompt_ids_sha256=None) for name in ("8-bit", "vllm")]
    assert row_of(table([make_result("4-bit"), *results]), "4-bit").standing == "ranked"


def test_a_baseline_of_unknown_prompts_is_none_and_pushes_nobody_below() -> None:
    found = table([make_result("none", prompt_ids_sha256=None), make_result("vllm"), make_result("4-bit")])
    assert found.baseline is None
    assert [(row.standing, row.speed_ratio) for row in found.rows] == [
        ("ranked", None),
        ("ranked", None),
        ("below", None),
    ]
    assert row_of(found, "none").below_because == "its prompt ids are not known"


def test_fewer_documents_than_the_baselines_are_not_ranked() -> None:
    row = row_of(table([make_result("none", 0.5), make_result("vllm", 2.0, docs=9)]), "vllm")
    assert (row.standing, row.below_because) == ("below", "it completed 9 documents, the baseline 10")


def test_the_same_prompts_too_long_for_both_are_compared_over_the_others() -> None:
    row = table([make_result("none", 0.5, docs=9), make_result("vllm", 2.0, docs=9)]).rows[0]
    assert row.speed_ratio is not None
    assert (row.speed_ratio.value, row.shared_docs) == (4.0, 9)


def test_a_row_of_unknown_speed_is_not_ranked() -> None:
    row = row_of(table([make_result("none"), make_result("4-bit", None)]), "4-bit")
    assert (row.standing, row.below_because) == ("below", "its speed is not known")


def test_a_failed_baseline_leaves_no_ratio_and_the_rows_ranked() -> None:
    row = row_of(table([make_result("none", status="failed"), make_result("vllm")]), "vllm")
    assert (row.standing, row.speed_ratio, row.gate) == ("ranked", None, None)


def test_a_reference_line_is_held_against_nothing() -> None:
    row = table([make_result("none"), make_result("lead-3", 5000.0)]).rows[-1]
    assert (row.standing, row.speed_ratio, row.differences) == ("reference", None, {})


def test_differences_are_paired_over_common_documents() -> None:
    worse = [score - 0.02 for score in SCORES]
    row = row_of(table([with_scores("none", SCORES), with_scores("vllm", worse)]), "vllm")
    found = row.differences["rouge1_f1"]
    assert (found.n, found.difference.value) == (40, pytest.approx(-0.02))
    assert set(row.differences) == {"rouge1_f1", "rouge2_f1", "rougeL_f1", "rougeLsum_f1", "output_tokens"}


def test_a_loss_beyond_the_margin_stands_below_the_line_with_the_reason() -> None:
    worse = [score * 0.9 for score in SCORES]
    row = row_of(table([with_scores("none", SCORES), with_scores("vllm", worse)]), "vllm")
    assert row.gate is not None
    assert (row.gate.verdict, row.standing, row.below_because) == ("fail", "below", row.gate.reason)


def test_the_margin_of_the_gate_can_be_set() -> None:
    worse = [score * 0.9 for score in SCORES]
    found = table([with_scores("none", SCORES), with_scores("vllm", worse)], margin=0.5)
    assert row_of(found, "vllm").standing == "ranked"


def test_equal_outputs_pass_the_gate() -> None:
    gate = row_of(table([with_scores("none", SCORES), with_scores("vllm", SCORES)]), "vllm").gate
    assert gate is not None and gate.verdict == "pass"


def test_random_weights_have_no_gate() -> None:
    row = row_of(table([with_scores(name, SCORES, synthetic=True) for name in ("none", "vllm")]), "vllm")
    assert (row.gate, row.differences) == (None, {})


def test_random_weights_are_ranked_by_speed() -> None:
    results = [make_result("none", 0.5, synthetic=True), make_result("vllm", 2.0, synthetic=True)]
    [vllm, none] = table(results).rows
    assert [(row.experiment, row.standing) for row in (vllm, none)] == [("vllm", "ranked"), ("none", "ranked")]
    assert vllm.speed_ratio is not None and vllm.speed_ratio.value == 4.0


# documents


def test_a_documents_outputs_stand_side_by_side_in_the_datasets_order() -> None:
    found = table([with_scores("none", SCORES[:3]), with_scores("vllm", SCORES[:3])])
    assert [item.id for item in found.documents] == ["article-0", "article-1", "article-2"]
    assert set(found.documents[0].outputs) == {"none", "vllm"}
    assert found.documents[1].outputs["none"].scores["rouge1_f1"] == SCORES[1]
    assert found.documents[0].reference is None


# across machines


def test_tables_that_differ_by_the_machine_alone_are_set_side_by_side() -> None:
    results = [
        make_result("none", 0.5, gpu="t4", gpu_name="Tesla T4"),
        make_result("none", 2.0, gpu="a100", gpu_name="NVIDIA A100-SXM4-40GB"),
        make_result("vllm", 4.0, gpu="a100", gpu_name="NVIDIA A100-SXM4-40GB"),
    ]
    none, vllm = make_report(results).across
    assert none.gpus == vllm.gpus == ("t4", "a100")
    assert [rate.value if rate else None for rate in none.docs_per_s] == [0.5, 2.0]
    assert [rate.value if rate else None for rate in vllm.docs_per_s] == [None, 4.0]


def test_machines_are_compared_on_real_or_on_random_weights_never_on_both() -> None:
    results = [
        make_result("none", gpu="t4", gpu_name="Tesla T4"),
        make_result("none", gpu="a100", gpu_name="NVIDIA A100-SXM4-40GB", synthetic=True),
    ]
    assert make_report(results).across == ()


def test_one_machine_is_compared_with_no_other() -> None:
    assert make_report([make_result("none"), make_result("none", scenario="single")]).across == ()


# notes


def test_equal_rows_need_no_warning_but_that_one_launch_has_no_interval() -> None:
    [only] = table([make_result("none"), make_result("4-bit")]).notes
    assert only.text.startswith("none, 4-bit: 1 launch")


def test_different_dtypes_are_noted() -> None:
    found = table([make_result("none"), make_result("vllm", dtype="bfloat16"), make_result("lead-3", rouge1_f1=0.0)])
    assert "dtype differs: none in float32; vllm in bfloat16" in notes(found)


def test_round_to_nearest_weights_are_noted_with_their_perplexities() -> None:
    weights = Weights("rtn", "c" * 64, "rtn_awq", perplexity=15.04, perplexity_original=9.38)
    said = notes(table([make_result("vllm-awq", weights=weights)]))
    assert "round-to-nearest" in said
    assert "perplexity 15.0 against the original's 9.4" in said


def test_random_weights_are_one_warning_of_the_table() -> None:
    found = table([make_result(name, synthetic=True) for name in ("none", "vllm")])
    [note] = [note for note in found.notes if "random" in note.text]
    assert note.warning
    assert note.text == (
        "speed only: the weights are random, so quality is unknown and every document got all of its 64 new tokens"
    )


def test_random_weights_are_not_compared_with_a_reference_lines_score() -> None:
    assert "ROUGE" not in notes(table([make_result("none", synthetic=True), make_result("lead-3")]))


def test_incomplete_rows_are_a_warning() -> None:
    assert "vllm: figures over 7 of 10 documents" in notes(table([make_result("vllm", docs=7)]))


def test_a_warning_of_several_rows_is_shown_once_with_their_names() -> None:
    found = table([make_result(name, warnings=("latency varies",)) for name in ("none", "vllm")])
    assert notes(found).count("latency varies") == 1
    assert "none, vllm: latency varies" in notes(found)


def test_launches_of_different_software_are_a_warning() -> None:
    later = make_result("none", launch=2, key="2" * 64, packages={"torch": "2.14.0"})
    assert "none: launches ran with different packages" in notes(table([make_result("none"), later]))


def test_rows_no_better_than_the_reference_line_are_named() -> None:
    rows = (("none", 0.3), ("vllm", 0.2), ("lead-3", 0.23))
    found = table([make_result(name, rouge1_f1=rouge) for name, rouge in rows])
    assert "ROUGE-1 no higher than lead-3's (0.230), which runs no model: vllm" in [note.text for note in found.notes]


def test_rows_that_had_company_on_other_gpus_say_so() -> None:
    made = table(
        [make_result("none", side_by_side=("vllm",)), make_result("vllm", side_by_side=("none",)), make_result("4-bit")]
    )
    text = "on other GPUs of the host; --exclusive runs one at a time"
    assert [note.text for note in made.notes if "--exclusive" in note.text] == [
        f"none: ran while vllm did, {text}",
        f"vllm: ran while none did, {text}",
    ]


def test_a_row_on_two_gpus_costs_the_price_of_two() -> None:
    made = table([make_result("none", 1.0, gpus=1), make_result("vllm-tp2", 1.0, gpus=2)], price=3.6)
    assert (row_of(made, "none").cost_per_1000, row_of(made, "vllm-tp2").cost_per_1000) == (1.0, 2.0)
