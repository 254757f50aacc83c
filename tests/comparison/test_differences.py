"""Differences from the baseline, document by document."""

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipeline.comparison.differences import differences, holm
from pipeline.comparison.statistics import detectable_shift

SCORES = ("rouge1_f1", "rouge2_f1", "rougeL_f1", "rougeLsum_f1", "output_words")
NOISE = np.random.default_rng(3)
BASE = NOISE.beta(3, 8, 60)
CHANGE = NOISE.normal(0.01, 0.05, 60)


Rows = Mapping[str, Mapping[str, Mapping[str, float]]]


def compared(rows: Rows, baseline: str, seed: int = 0) -> Mapping[str, Mapping[str, Any]]:
    """The differences of rows given as values by score and document."""
    return differences({name: pd.DataFrame(scores) for name, scores in rows.items()}, baseline, seed)


def by_document(values: np.ndarray) -> dict[str, float]:
    return {f"document-{number}": float(value) for number, value in enumerate(values)}


def test_a_difference_is_paired_over_the_documents_that_both_have() -> None:
    mine = by_document(BASE + 0.25)
    del mine["document-0"]
    rows = {"none": {"rouge1_f1": by_document(BASE)}, "8-bit": {"rouge1_f1": {**mine, "document-99": 1.0}}}
    found = compared(rows, "none")["8-bit"]["rouge1_f1"]
    assert found.n == 59
    assert found.baseline_value == pytest.approx(BASE[1:].mean())
    assert found.value == pytest.approx(BASE[1:].mean() + 0.25)
    assert found.difference.value == pytest.approx(0.25)
    assert found.relative == pytest.approx(0.25 / BASE[1:].mean())
    assert found.difference.interval is not None
    assert (found.difference.interval.low, found.difference.interval.high) == pytest.approx((0.25, 0.25))


def test_interval_and_p_value_are_about_those_of_the_paired_t_test() -> None:
    rows = {"none": {"rouge1_f1": by_document(BASE)}, "8-bit": {"rouge1_f1": by_document(BASE + CHANGE)}}
    found = compared(rows, "none")["8-bit"]["rouge1_f1"]
    expected = stats.ttest_rel(BASE + CHANGE, BASE)
    low, high = expected.confidence_interval(0.95)
    assert found.difference.interval is not None
    assert found.difference.interval.method == "paired bootstrap over 60 documents"
    assert (found.difference.interval.low, found.difference.interval.high) == pytest.approx((low, high), abs=0.001)
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.02)
    assert found.p_adjusted == found.p_value
    assert found.detectable == detectable_shift(float(CHANGE.std(ddof=1)), 60)


def test_values_that_are_not_known_leave_their_document_out() -> None:
    mine = by_document(BASE + CHANGE) | {"document-0": math.nan}
    base = by_document(BASE) | {"document-1": math.inf}
    found = compared({"none": {"rouge1_f1": base}, "8-bit": {"rouge1_f1": mine}}, "none")["8-bit"]["rouge1_f1"]
    assert found.n == 58
    assert found.difference.value == pytest.approx(CHANGE[2:].mean())


def test_rows_and_scores_with_nothing_in_common_have_no_difference() -> None:
    rows = {
        "none": {"rouge1_f1": {"a": 0.2}},
        "other documents": {"rouge1_f1": {"b": 0.2}},
        "other score": {"rouge2_f1": {"a": 0.2}},
    }
    assert compared(rows, "none") == {"other documents": {}, "other score": {}}
    assert compared({"8-bit": {"rouge1_f1": {"a": 0.2}}}, "none") == {"8-bit": {}}


def test_a_baseline_of_0_has_a_difference_and_no_relative_one() -> None:
    rows = {"none": {"rouge2_f1": by_document(np.zeros(30))}, "8-bit": {"rouge2_f1": by_document(BASE[:30])}}
    found = compared(rows, "none")["8-bit"]["rouge2_f1"]
    assert found.relative is None
    assert found.difference.value == pytest.approx(BASE[:30].mean())


def test_rows_with_the_same_outputs_do_not_differ() -> None:
    rows = {name: {"rouge1_f1": by_document(BASE)} for name in ("none", "again")}
    found = compared(rows, "none")["again"]["rouge1_f1"]
    assert found.difference.interval is not None
    assert (found.difference.value, found.difference.interval.low, found.difference.interval.high) == (0, 0, 0)
    assert (found.p_value, found.p_adjusted, found.detectable) == (1.0, 1.0, None)


@pytest.mark.parametrize(("n", "has_p"), [(1, False), (5, False), (6, True), (19, True)])
def test_few_documents_have_no_interval_and_a_p_value_from_six_on(n: int, has_p: bool) -> None:
    rows = {
        "none": {"rouge1_f1": by_document(BASE[:n])},
        "8-bit": {"rouge1_f1": by_document(BASE[:n] + CHANGE[:n])},
    }
    found = compared(rows, "none")["8-bit"]["rouge1_f1"]
    assert found.difference.interval is None
    assert found.difference.why == f"{n} document{'s' if n > 1 else ''}; an interval takes 20"
    assert (found.p_value is not None, found.p_adjusted is not None) == (has_p, has_p)


def test_a_size_that_would_be_found_is_stated_where_enough_documents_differ_for_the_number_of_tests() -> None:
    change = np.where(np.arange(60) < 10, CHANGE, 0.0)
    rows = {"none": {"rouge1_f1": by_document(BASE)}, "8-bit": {"rouge1_f1": by_document(BASE + change)}}
    assert compared(rows, "none")["8-bit"]["rouge1_f1"].detectable is not None
    rows["4-bit"] = rows["8-bit"]
    assert compared(rows, "none")["8-bit"]["rouge1_f1"].detectable is None


def test_holms_correction_gives_its_worked_example() -> None:
    # Holm (1979) over p = 0.01, 0.04, 0.03, 0.005: times 3, 1, 2, 4, and none below one with a smaller p
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_a_row_that_was_not_tested_does_not_count_in_the_correction() -> None:
    assert holm([0.02, None, 0.5]) == [pytest.approx(0.04), None, pytest.approx(0.5)]


def test_each_score_is_corrected_over_the_rows_that_have_it() -> None:
    rows = {
        "none": {"rouge1_f1": by_document(BASE), "rouge2_f1": by_document(BASE)},
        "8-bit": {"rouge1_f1": by_document(BASE + CHANGE), "rouge2_f1": by_document(BASE + CHANGE)},
        "4-bit": {"rouge1_f1": by_document(BASE - CHANGE)},
    }
    found = compared(rows, "none")
    in_both, in_one = found["8-bit"]["rouge1_f1"], found["8-bit"]["rouge2_f1"]
    assert in_both.p_value == in_one.p_value == in_one.p_adjusted
    assert in_both.p_adjusted == pytest.approx(2 * in_one.p_value)
    assert in_both.detectable == detectable_shift(float(CHANGE.std(ddof=1)), 60, level=1 - 0.05 / 2)


def test_the_same_seed_gives_the_same_figures_whatever_other_rows_there_are() -> None:
    two = {"none": {"rouge1_f1": by_document(BASE)}, "8-bit": {"rouge1_f1": by_document(BASE + CHANGE)}}
    three = {"4-bit": {"rouge1_f1": by_document(BASE - CHANGE)}, **two}
    alone, beside = (compared(rows, "none")["8-bit"]["rouge1_f1"] for rows in (two, three))
    assert alone == compared(two, "none")["8-bit"]["rouge1_f1"]
    assert (alone.difference, alone.p_value) == (beside.difference, beside.p_value)
    assert alone.difference != compared(two, "none", seed=1)["8-bit"]["rouge1_f1"].difference


def test_eight_rows_of_a_thousand_documents_and_five_scores_take_a_few_seconds() -> None:
    noise = np.random.default_rng(0)
    rows = {f"experiment-{number}": {score: by_document(noise.random(1000)) for score in SCORES} for number in range(8)}
    started = time.process_time()
    compared(rows, "experiment-0")
    assert time.process_time() - started < 5
