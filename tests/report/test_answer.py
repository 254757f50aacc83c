"""The sentence that a report opens on: it reads well in every case and claims nothing that was not decided."""

import re

import pytest

from pipeline.entries import Prompt
from pipeline.report.build import Options
from pipeline.report.stored import StoredJob
from pipeline.results import Failure, Result
from tests.builders import make_documents, make_report, make_result, make_workload, stored

SCORES = [0.2 + number / 200 for number in range(40)]
SPEEDS = (0.50, 0.51, 0.49, 0.50, 0.52)


def answer(*results: Result | StoredJob) -> str:
    return make_report(results).answer


def launched(experiment: str, factor: float, scores: list[float], **overrides: object) -> list[StoredJob]:
    """Five launches, the first with its documents."""
    work = make_workload(docs=len(scores))
    made = [
        make_result(experiment, speed * factor, launch=n, key=f"{n}" * 64, workload=work, docs=len(scores), **overrides)
        for n, speed in enumerate(SPEEDS, start=1)
    ]
    return [stored(result, make_documents(scores)) for result in made]


def test_a_faster_row_of_equal_quality_is_said_with_its_ratio_and_interval() -> None:
    said = answer(*launched("none", 1.0, SCORES), *launched("vllm", 2.1, SCORES))
    assert said == (
        "On this CPU, vllm summarises 1.1 documents a second, 2.1 times the baseline at the same batch (95% interval "
        "2.1 to 2.1), at no measurable loss of quality."
    )


def test_an_undecided_gate_claims_no_quality() -> None:
    noisy = [score + (0.05 if number % 2 else -0.05) for number, score in enumerate(SCORES)]
    said = answer(*launched("none", 1.0, SCORES), *launched("vllm", 2.1, noisy))
    assert "undecided whether it keeps the baseline's quality" in said
    assert "no measurable loss" not in said


def test_one_launch_is_said_to_be_too_few() -> None:
    said = answer(make_result("none", 0.5), make_result("vllm", 1.0))
    assert "2 times the baseline at the same batch (over one launch, too few for an interval)" in said


def test_a_ratio_that_may_be_1_is_not_called_faster() -> None:
    wild = [
        make_result("vllm", speed, launch=n, key=f"{n}" * 64) for n, speed in enumerate((0.9, 0.3, 0.8, 0.4, 0.7), 1)
    ]
    base = [make_result("none", speed, launch=n, key=f"{n}" * 64) for n, speed in enumerate(SPEEDS, 1)]
    assert "vllm summarises 0.57 documents a second, not measurably faster than the baseline" in answer(*base, *wild)


def test_different_batches_are_named() -> None:
    said = answer(make_result("none", 0.5), make_result("vllm", 1.0, batch_size_used=64))
    assert "times the baseline at batch size 64 against 8" in said
    assert "same batch" not in said


def test_what_is_faster_and_below_the_line_is_named_with_the_reason() -> None:
    worse = [score * 0.8 for score in SCORES]
    said = answer(*launched("none", 1.0, SCORES), *launched("4-bit", 3.0, worse))
    assert said.startswith("On this CPU, the baseline none summarises 0.5 documents a second")
    assert "4-bit is faster and not ranked: " in said


def test_a_baseline_that_nothing_beats_says_what_comes_closest() -> None:
    said = answer(make_result("none", 0.5), make_result("8-bit", 0.25))
    assert said.endswith("nothing that is ranked is faster, and 8-bit comes closest with 0.5 times that.")


def test_one_row_alone_is_compared_with_nothing() -> None:
    assert answer(make_result("none", 0.5)) == (
        "On this CPU, the baseline none summarises 0.5 documents a second, and nothing else ran that could be ranked "
        "beside it."
    )


def test_without_a_baseline_there_is_no_ratio() -> None:
    said = answer(make_result("vllm", 1.0), make_result("none", status="failed"))
    assert "the only one that is ranked; there is no ratio, since the baseline none did not come through" in said
    assert "none failed with cuda_oom during generate" in said


@pytest.mark.parametrize("name", ["none", "lead-3"])
def test_a_baseline_that_came_through_unranked_is_not_said_to_have_failed(name: str) -> None:
    results = [make_result("vllm", 1.0), make_result("none", preset="published-hf"), make_result("lead-3")]
    said = make_report(results, Options(baseline=name)).answer
    assert f"there is no ratio, since the baseline {name} is not ranked" in said


def test_a_baseline_that_nobody_ran_did_not_fail() -> None:
    assert "the most of 2; there is no ratio, since the baseline none was not run" in answer(
        make_result("vllm", 1.0), make_result("4-bit", 0.5)
    )


def test_all_failed_says_so_and_why() -> None:
    assert answer(make_result("none", status="failed"), make_result("vllm", status="timed_out")) == (
        "On this CPU, nothing came through; none and vllm failed with cuda_oom during generate."
    )


def test_the_reference_line_alone_is_no_winner() -> None:
    assert answer(make_result("lead-3")) == "On this CPU, only lead-3 ran, for reference and without a model."


def test_published_settings_alone_are_no_ranking() -> None:
    said = answer(make_result("none", preset="published-hf"))
    assert said == "On this CPU, none ran in published settings, which are not ranked."


def test_what_can_not_run_is_named_with_its_reason_once() -> None:
    said = answer(
        make_result("none", 0.5),
        make_result("flash-attn", status="skipped"),
        make_result("flash-4bit", status="skipped"),
    )
    assert "; flash-attn and flash-4bit could not run: needs a GPU; this machine has none." in said


def test_many_reasons_are_counted_after_the_third() -> None:
    broken = [
        make_result(name, status="failed", failure=Failure(f"class_{name[0]}", "load", "m"))
        for name in ("4-bit", "8-bit", "vllm", "gguf-q4", "flash-attn")
    ]
    assert answer(make_result("none", 0.5), *broken).endswith("; 2 more did not come through.")


def test_several_tables_name_the_fastest_of_each_and_what_tells_them_apart() -> None:
    said = answer(
        make_result("none", 0.5, gpu="t4", gpu_name="Tesla T4"),
        make_result("none", 2.0, gpu="a100", gpu_name="NVIDIA A100-SXM4-40GB"),
        make_result("vllm", 4.0, gpu="a100", gpu_name="NVIDIA A100-SXM4-40GB"),
    )
    assert said == "The fastest is none with 0.5 documents a second (t4); vllm with 4 documents a second (a100)."


def test_prompts_of_one_name_are_told_apart_by_their_fingerprints() -> None:
    works = [make_workload(prompt=Prompt("mine", f"{{document}} {end}")) for end in ("one", "two")]
    said = answer(*(make_result("none", 0.5, workload=work) for work in works))
    marks = re.findall(r"\(prompt mine \(([0-9a-f]{8})\)\)", said)
    assert len(set(marks)) == 2


def test_random_weights_are_said_first_and_quality_is_not_spoken_of() -> None:
    said = answer(*launched("none", 1.0, SCORES, synthetic=True), *launched("vllm", 2.1, SCORES, synthetic=True))
    assert said == (
        "Speed only, on random weights: on this CPU, vllm does 1.1 documents a second, 2.1 times the baseline at the "
        "same batch (95% interval 2.1 to 2.1)."
    )


def test_a_baseline_on_random_weights_that_nothing_beats_is_for_speed_only() -> None:
    said = answer(make_result("none", 0.5, synthetic=True), make_result("8-bit", 0.25, synthetic=True))
    assert said == (
        "Speed only, on random weights: on this CPU, the baseline none does 0.5 documents a second; nothing that is "
        "ranked is faster, and 8-bit comes closest with 0.5 times that."
    )


def test_tables_on_real_and_on_random_weights_are_told_apart() -> None:
    assert answer(make_result("none", 0.5), make_result("none", 0.6, synthetic=True)) == (
        "The fastest is none with 0.5 documents a second (real weights); none with 0.6 documents a second (random "
        "weights)."
    )


def test_several_tables_on_random_weights_are_all_said_to_be() -> None:
    said = answer(make_result("none", 0.5, synthetic=True), make_result("none", 0.4, synthetic=True, scenario="single"))
    assert "(offline, random weights)" in said
    assert "(single, random weights)" in said


def test_no_results_are_said() -> None:
    assert answer() == "No results."


@pytest.mark.parametrize("text", ["\x1b[31mred\x1b[0m", "two\nlines", "\u202eturned"])
def test_text_from_logs_stays_on_its_line(text: str) -> None:
    said = answer(make_result("none", status="failed", failure=Failure(text, "load", text)))
    assert said.isprintable()
