"""--explain-speed's values and words: which rows count, what is said of the others, and what the document holds."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.catalog import load_catalog
from pipeline.entries import Experiment
from pipeline.errors import UsageError
from pipeline.report.speed import SpeedReport, explain_speed
from pipeline.report.speed_sections import document, holds_for
from pipeline.report.stored import StoredRun
from pipeline.results import Result
from tests.builders import make_result, make_workload, stored

NONE = Experiment("none", "none", "", "transformers", "transformers", "hf", {"attention": "sdpa"})
COMPILED = replace(NONE, name="compiled", options={"attention": "sdpa", "compile": {"fullgraph": True}})
FOUR_BIT = replace(NONE, name="4-bit", options={"attention": "sdpa", "quantization": {"load_in_4bit": True}})
VLLM = replace(NONE, name="vllm", backend="vllm", image="vllm", options={})
LEAD = Experiment("lead-3", "", "", "lead", "reference", options={"sentences": 3}, ranked=False)
CATALOG = replace(load_catalog(), experiments={one.name: one for one in (NONE, COMPILED, FOUR_BIT, VLLM, LEAD)})
COMMAND = "python orchestrator.py --explain-speed mine"


def row(experiment: str, docs_per_s: float, batch: int = 100, docs: int = 100, **fields: Any) -> Result:
    """Of random weights on a GPU; batch 1 is one document at a time."""
    work = make_workload(docs=docs, documents_sha256=f"{docs:064d}", **fields.pop("work", {}))
    usual = {
        "run": "mine",
        "backend": "transformers",
        "model": "llama-2-7b-chat",
        "gpu": "h200",
        "gpu_name": "NVIDIA H200",
        "compute_capability": 9.0,
        "synthetic": True,
        "dtype": "bfloat16",
        "scenario": "single" if batch == 1 else "offline",
        "batch_size_used": batch,
        "batch_size_asked": batch,
        "engine_args": {"device": "cuda:0"},
    }
    return make_result(experiment, docs_per_s, docs=docs, workload=work, **(usual | fields))


def vllm(docs_per_s: float, batch: int = 100, docs: int = 100) -> Result:
    return row("vllm", docs_per_s, batch, docs, backend="vllm", engine_args={"enforce_eager": False}, attention="FA")


def compiled(docs_per_s: float) -> Result:
    return row("compiled", docs_per_s, engine_args={"compile": {"fullgraph": True}})


SERIAL = row("none", 0.05, 1, 8)
WHOLE = [SERIAL, row("none", 2.0), compiled(6.0), vllm(18.0), row("4-bit", 1.5, quantization="nf4")]


def explained(results: list[Result], baseline: str = "none") -> SpeedReport:
    return explain_speed(StoredRun("mine", jobs=tuple(map(stored, results))), CATALOG, baseline, COMMAND)


def why(report: SpeedReport, name: str) -> str:
    return next(item.why for item in report.left_out if item.row.startswith(name))


def test_the_answer_names_the_whole_and_each_factor() -> None:
    assert explained(WHOLE).answer == (
        "vllm at 100 documents a step is 360 times as fast as none one document at a time: batching 40.0×, "
        "compilation 3.00×, engine 3.00×."
    )


def test_a_baseline_that_is_fastest_leaves_nothing_to_explain() -> None:
    assert (
        explained([SERIAL]).answer == "Nothing is faster than none one document at a time: there is nothing to explain."
    )


def test_rows_that_can_not_be_compared_are_left_out_with_what_they_have_instead() -> None:
    others = [
        row("4-bit", 3.0, dtype="float16", quantization="nf4"),
        row("compiled", 4.0, model="gemma-3-270m"),
        row("vllm", 5.0, backend="vllm", work={"max_new_tokens": 32}),
    ]
    report = explained([SERIAL, row("none", 2.0), *others])
    assert why(report, "4-bit") == "can't be compared with the others: dtype float16"
    assert why(report, "compiled") == "can't be compared with the others: model gemma-3-270m"
    assert why(report, "vllm") == "can't be compared with the others: new tokens at most 32"
    assert [one.experiment for one in report.rows] == ["none", "none"]


def test_rows_that_compete_in_no_report_are_left_out_with_the_reason() -> None:
    lead = make_result("lead-3", 900.0, run="mine", gpu="h200")
    failed = row("compiled", 1.0, status="failed")
    report = explained([SERIAL, row("none", 2.0), lead, failed])
    assert why(report, "lead-3") == "runs no model"
    assert why(report, "compiled").startswith("failed: cuda_oom")


def test_an_experiment_that_the_catalogue_lacks_is_left_out() -> None:
    report = explained([*WHOLE, row("mine", 30.0)])
    assert why(report, "mine") == "its experiment is not in experiments.yaml, so its options are not known"


def test_of_rows_that_ran_with_the_same_the_one_over_more_documents_stands_for_both() -> None:
    report = explained([SERIAL, row("none", 0.06, 1, 4), row("none", 2.0)])
    assert why(report, "none, single, 4 documents") == (
        "ran with the same as none, single, 8 documents, which stands for both"
    )


def test_a_missing_row_comes_with_the_command_that_measures_it() -> None:
    report = explained([SERIAL, row("none", 2.0), vllm(18.0)])
    assert report.answer.endswith(
        "batching 40.0×, compilation not measured, engine not measured. 1 of 3 factors known, 1 row to measure for "
        "the others."
    )
    assert [item.command for item in report.missing] == [
        "python orchestrator.py --gpu h200 --launcher process --weights synthetic --model llama-2-7b-chat --dataset "
        "FILE --docs 100 --seed 0 --max-new-tokens 64 --prompt completion --run mine --experiment compiled --scenario "
        "offline --batch-size 100"
    ]


def test_a_baseline_without_a_row_is_the_first_thing_to_measure() -> None:
    report = explained([row("none", 2.0), compiled(6.0)])
    assert report.answer.startswith(
        "compiled at 100 documents a step is the fastest row (6.000 documents a second), and none one document at a "
        "time was not measured: batching not measured, compilation 3.00×."
    )
    assert report.missing[0].command.endswith("--experiment none --scenario single")


def test_what_failed_here_is_not_proposed_again() -> None:
    skipped = row("compiled", 1.0, status="skipped")
    report = explained([SERIAL, row("none", 2.0), vllm(18.0), skipped])
    assert report.missing == ()
    assert "No row, measured or to be measured, leads on from none at 100 documents a step" in report.answer


def test_a_baseline_of_which_nothing_can_be_told_is_refused_with_what_to_do() -> None:
    with pytest.raises(UsageError, match="measure it with --experiment nine --scenario single"):
        explained(WHOLE, baseline="nine")


def test_a_run_without_a_ranked_row_is_refused_with_the_reasons() -> None:
    with pytest.raises(UsageError, match=r"no ranked row .* \(none, offline, 100 documents: failed"):
        explained([row("none", 1.0, status="failed")])


def test_the_document_is_complete_by_itself() -> None:
    text = document(explained(WHOLE))
    for heading in ("Factor by factor", "Other pairs that differ in one thing", "Rows", "Notes", "How to read this"):
        assert f"## {heading}" in text
    assert "| batching     | 1 → 100             | none at batch 1" in text
    assert "8 → 100, 8 in common" in text
    assert "| weight precision | bfloat16 → nf4 | none at batch 100 | 4-bit at batch 100 |" in text
    assert "The factors multiply to 360.0×, which is the whole." in text
    assert f"## Made by\n\n```sh\n{COMMAND}\n```" in text


def test_the_document_is_the_same_for_the_same_results_in_any_order() -> None:
    assert document(explained(WHOLE)) == document(explained(WHOLE[::-1]))


def test_what_the_numbers_hold_for_stands_beside_them() -> None:
    said = holds_for(explained(WHOLE))
    for fact in ("model llama-2-7b-chat", "weights random", "GPU h200", "NVIDIA H200", "new tokens at most 64"):
        assert fact in said
    assert "515 prompt tokens and 61 new tokens a document" in said


def test_single_repeats_give_a_range_and_no_interval() -> None:
    rows = [replace(one, timing=replace(one.timing, repeats=(50.0, 40.0))) for one in WHOLE]
    text = document(explained(rows))
    assert "0.80 to 1.25" in text
    assert "Not known for any row: 95% interval." in text
