"""report.csv: every figure, whole, in a form that any spreadsheet reads and none runs."""

import csv
import io

import pytest

from pipeline.report.csv_file import render
from pipeline.report.stored import StoredJob
from pipeline.results import Failure, Result
from tests.builders import make_documents, make_report, make_result, make_workload, stored

SCORES = [0.2 + number / 100 for number in range(30)]


def rows(*results: Result | StoredJob) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render(make_report(results)))))


def test_each_row_of_each_table_is_a_line() -> None:
    found = rows(make_result("none"), make_result("vllm", status="failed"), make_result("none", scenario="single"))
    assert [(row["scenario"], row["experiment"], row["standing"]) for row in found] == [
        ("offline", "none", "ranked"),
        ("offline", "vllm", "failed"),
        ("single", "none", "ranked"),
    ]


def test_figures_are_not_rounded_and_unknown_ones_are_empty() -> None:
    [row] = rows(make_result("none", 0.1234567890123, peak_memory_bytes=None))
    assert float(row["docs_per_s"]) == pytest.approx(0.1234567890123, rel=1e-14)
    assert (row["peak_memory_bytes"], row["energy_per_doc_j"], row["speed_ratio_low"]) == ("", "", "")


def test_intervals_and_differences_have_columns_of_their_own() -> None:
    work = make_workload(docs=30)
    made = [
        stored(make_result(name, workload=work, docs=30), make_documents([score - loss for score in SCORES]))
        for name, loss in (("none", 0.0), ("vllm", 0.01))
    ]
    row = next(row for row in rows(*made) if row["experiment"] == "vllm")
    assert float(row["rouge1_f1_difference"]) == pytest.approx(-0.01)
    assert float(row["rouge1_f1_difference_low"]) <= -0.0099
    assert float(row["rouge1_f1_low"]) < float(row["rouge1_f1"]) < float(row["rouge1_f1_high"])
    assert row["gate"] == "fail"
    assert row["output_tokens_difference"] == "0.0"


def test_rows_on_random_weights_say_so_those_that_never_ran_too() -> None:
    found = rows(
        make_result("none"), make_result("none", synthetic=True), make_result("vllm", status="failed", synthetic=True)
    )
    assert [(row["experiment"], row["synthetic"]) for row in found] == [
        ("none", "False"),
        ("none", "True"),
        ("vllm", "True"),
    ]


def test_signs_of_degenerate_outputs_have_columns() -> None:
    figures = {"empty_outputs": 1, "hit_limit": 2, "copied_outputs": 3, "coverage_mean": 0.5, "density_mean": 4.5}
    [row] = rows(make_result("none", **figures, repetition_mean=0.25))
    assert {name: float(row[name]) for name in figures} == figures
    assert row["repetition_mean"] == "0.25"


def test_five_launches_have_the_slowdown_that_they_would_show() -> None:
    speeds = {"none": [0.5, 0.6, 0.7, 0.8, 0.9], "vllm": [1.01, 1.19, 1.42, 1.61, 1.79]}
    found = rows(
        *(
            make_result(name, speed, launch=number, key=f"{number}" * 64)
            for name, measured in speeds.items()
            for number, speed in enumerate(measured, start=1)
        )
    )
    assert 0.9 < float(found[0]["speed_detectable"]) < 1
    assert found[1]["speed_detectable"] == ""


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1", "＋1", "－1", "＠x"])
def test_text_that_a_spreadsheet_would_run_is_disarmed(text: str) -> None:
    [row] = rows(make_result("none", status="failed", failure=Failure("unknown", "load", text)))
    assert row["failure_message"].startswith("'")
    assert row["failure_message"].endswith(text[-1])


def test_negative_figures_stay_figures() -> None:
    work = make_workload(docs=30)
    made = [
        stored(make_result(name, workload=work, docs=30), make_documents(SCORES, tokens))
        for name, tokens in (("none", 60), ("vllm", 50))
    ]
    assert next(row for row in rows(*made) if row["experiment"] == "vllm")["output_tokens_difference"] == "-10.0"


def test_it_is_as_rfc_4180_has_it() -> None:
    """Lines end with CRLF, and commas, quotes and line ends in a cell break nothing."""
    text = render(make_report([make_result("none", optimization='a,"b"\nc')]))
    assert text.count("\r\n") == 2 == text.count("\n")
    [row] = csv.DictReader(io.StringIO(text), strict=True)
    assert row["optimization"] == 'a,"b" c'


def test_no_results_are_an_empty_file() -> None:
    assert render(make_report([])) == ""
