"""The accuracy gate."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.comparison.differences import differences
from pipeline.comparison.estimates import Difference, Estimate, Interval
from pipeline.comparison.gate import gate


def difference(score: str, relative: float, half: float, n: int = 100, baseline: float = 0.2) -> Difference:
    """A difference whose interval is `half` of the baseline to both sides."""
    value = relative * baseline
    interval = Interval(value - half * baseline, value + half * baseline, 0.95, "paired bootstrap")
    return Difference(score, baseline + value, baseline, Estimate(value, n, interval), relative, 0.5, 0.5, 0.01)


def row(*of: Difference) -> dict[str, Difference]:
    return {item.score: item for item in of}


def test_a_row_passes_where_every_interval_is_within_its_limits() -> None:
    found = gate(row(difference("rouge1_f1", 0.0, 0.009), difference("output_tokens", 0.03, 0.05, baseline=50.0)))
    assert (found.verdict, found.docs_needed) == ("pass", None)
    assert [(check.what, check.verdict) for check in found.checks] == [("rouge1_f1", "pass"), ("output length", "pass")]
    assert (found.checks[0].low, found.checks[0].high) == pytest.approx((-0.009, 0.009))
    assert (found.checks[1].low, found.checks[1].high) == pytest.approx((0.98, 1.08))
    assert found.checks[0].limits == (-0.01, None)
    assert found.checks[1].limits == (0.9, 1.1)


def test_a_better_rouge_passes_however_wide_its_interval_is_above() -> None:
    assert gate(row(difference("rouge1_f1", 0.5, 0.4))).verdict == "pass"


def test_one_rouge_whose_whole_interval_is_below_the_margin_fails_the_row() -> None:
    found = gate(row(difference("rouge1_f1", 0.0, 0.005), difference("rougeLsum_f1", -0.03, 0.01)))
    assert (found.verdict, found.docs_needed) == ("fail", None)
    assert found.reason == "ROUGE-Lsum −3.0% (−4.0% to −2.0%), allowed −1.0%"


@pytest.mark.parametrize(("ratio", "verdict"), [(0.8, "fail"), (0.89, "undecided"), (1.0, "pass"), (1.3, "fail")])
def test_the_output_length_is_held_within_a_tenth_of_the_baselines(ratio: float, verdict: str) -> None:
    length = difference("output_tokens", ratio - 1, 0.05, baseline=50.0)
    found = gate(row(difference("rouge1_f1", 0.02, 0.001), length))
    assert found.verdict == verdict


def test_a_failed_check_outweighs_an_undecided_one() -> None:
    found = gate(row(difference("rouge1_f1", 0.0, 0.05), difference("rouge2_f1", -0.1, 0.01)))
    assert found.verdict == "fail"
    assert "ROUGE-2" in found.reason and "ROUGE-1" not in found.reason


def test_an_undecided_row_says_how_many_documents_would_decide() -> None:
    found = gate(row(difference("rouge1_f1", 0.0, 0.02, n=100), difference("rouge2_f1", 0.0, 0.03, n=100)))
    # to a third of its width, and further by 0.8416 / 1.9600 for four cases in five: 100 (3 · 1.4294)² = 1838.9
    assert (found.verdict, found.docs_needed) == ("undecided", 1900)
    assert [check.docs_needed for check in found.checks] == [820, 1900]
    assert found.reason == (
        "ROUGE-1 +0.0% (−2.0% to +2.0%), allowed −1.0%: about 820 documents would decide; "
        "ROUGE-2 +0.0% (−3.0% to +3.0%), allowed −1.0%: about 1,900 documents would decide"
    )


def test_a_loss_beyond_the_margin_that_is_not_certain_says_how_many_documents_would() -> None:
    found = gate(row(difference("rouge1_f1", -0.02, 0.02, n=100)))
    assert (found.verdict, found.docs_needed) == ("undecided", 820)


def test_a_loss_of_exactly_the_margin_is_decided_by_no_number_of_documents() -> None:
    found = gate(row(difference("rouge1_f1", -0.01, 0.02)))
    assert (found.verdict, found.docs_needed) == ("undecided", None)
    assert "too near it for any number of documents" in found.reason


def test_too_few_documents_for_an_interval_leave_a_row_undecided() -> None:
    why = Estimate(0.0, 3, why="3 documents; an interval takes 20")
    few = [replace(difference(score, 0.0, 0.0), difference=why) for score in ("rouge1_f1", "rougeL_f1")]
    found = gate(row(*few))
    assert (found.verdict, found.docs_needed) == ("undecided", None)
    assert found.reason == "3 documents; an interval takes 20"
    assert (found.checks[0].low, found.checks[0].high) == (None, None)


def test_a_baseline_that_scores_0_leaves_a_row_undecided() -> None:
    found = gate(row(replace(difference("rouge2_f1", 0.0, 0.0), baseline_value=0.0, relative=None)))
    assert found.verdict == "undecided"
    assert found.reason == "ROUGE-2: the baseline's is 0"


def test_a_row_without_rouge_is_undecided() -> None:
    assert gate({}).verdict == "undecided"
    assert gate(row(difference("output_tokens", 0.0, 0.01))).verdict == "undecided"


def test_the_margin_and_the_length_can_be_set() -> None:
    differing = row(difference("rouge1_f1", -0.03, 0.01), difference("output_words", 0.2, 0.01, baseline=40.0))
    assert gate(differing).verdict == "fail"
    assert gate(differing, margin=0.05, length=(0.75, 1.25)).verdict == "pass"


def test_a_row_with_the_baselines_own_outputs_passes() -> None:
    values = {f"document-{number}": float(value) for number, value in enumerate(np.linspace(0.1, 0.3, 40))}
    rows = {name: pd.DataFrame({"rouge1_f1": values, "output_tokens": values}) for name in ("none", "again")}
    assert gate(differences(rows, "none")["again"]).verdict == "pass"
