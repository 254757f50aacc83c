"""Figures with intervals, against closed forms and scipy's own."""

import math
import time

import numpy as np
import pytest
from scipy import stats

from pipeline.comparison.statistics import (
    LEAST_DOCUMENTS,
    MANY_DOCUMENTS,
    bootstrapped,
    detectable_ratio,
    detectable_shift,
    log_ratios,
    mean_score,
    sign_flip_p_values,
    speed,
    speed_ratio,
)

SPEEDS = [1.02, 0.97, 1.1, 0.99, 1.05, 1.01]


def test_a_speed_is_the_geometric_mean_with_the_t_interval_of_its_logarithms() -> None:
    found = speed(SPEEDS)
    assert found is not None and found.interval is not None and found.why is None
    low, high = stats.ttest_1samp(np.log(SPEEDS), 0).confidence_interval(0.95)
    assert found.value == pytest.approx(stats.gmean(SPEEDS))
    assert (found.interval.low, found.interval.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert (found.n, found.interval.level) == (6, 0.95)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_fewer_than_five_launches_have_a_speed_and_a_reason_instead_of_an_interval(n: int) -> None:
    found = speed(SPEEDS[:n])
    assert found is not None and found.interval is None
    assert found.value == pytest.approx(stats.gmean(SPEEDS[:n]))
    assert found.why == f"{n} launch{'es' if n > 1 else ''}; an interval takes 5"


def test_no_launch_has_no_speed() -> None:
    assert speed([]) is None
    assert speed([math.nan, 0.0]) is None


def test_speeds_that_are_not_known_are_not_counted() -> None:
    assert speed([*SPEEDS, math.nan, 0.0, math.inf]) == speed(SPEEDS)


def test_equal_launches_have_an_interval_of_no_width() -> None:
    found = speed([2.0] * 5)
    assert found is not None and found.interval is not None
    assert (found.interval.low, found.value, found.interval.high) == pytest.approx((2.0, 2.0, 2.0))


def test_a_speed_ratio_pairs_launches_by_their_number() -> None:
    base = dict(enumerate(SPEEDS, start=1))
    mine = {number: 2 * value for number, value in base.items()} | {7: 100.0}
    found = speed_ratio(dict(reversed(mine.items())), base)
    assert found is not None and found.interval is not None
    # each launch is twice as fast as its partner, so that there is no spread, whatever the launches' own
    assert (found.value, found.interval.low, found.interval.high) == pytest.approx((2.0, 2.0, 2.0))
    assert found.n == 6


def test_a_speed_ratio_has_scipys_paired_t_interval() -> None:
    base = dict(enumerate(SPEEDS))
    mine = dict(enumerate([1.3, 1.2, 1.5, 1.25, 1.28, 1.4]))
    found = speed_ratio(mine, base)
    assert found is not None and found.interval is not None
    low, high = stats.ttest_rel(np.log(list(mine.values())), np.log(SPEEDS)).confidence_interval(0.95)
    assert (found.interval.low, found.interval.high) == pytest.approx((math.exp(low), math.exp(high)))


def test_a_speed_ratio_over_fewer_than_five_pairs_has_a_reason_instead_of_an_interval() -> None:
    found = speed_ratio({1: 2.0, 2: 2.2, 3: 5.0}, {1: 1.0, 2: 1.1})
    assert found is not None
    assert (found.value, found.n, found.interval) == (pytest.approx(2.0), 2, None)
    assert found.why == "2 common launches; an interval takes 5"


def test_launches_without_a_partner_still_give_a_ratio() -> None:
    found = speed_ratio({1: 3.0}, {2: 1.5, 3: 1.5})
    assert found is not None
    assert (found.value, found.n, found.interval) == (pytest.approx(2.0), 1, None)
    assert found.why == "no launch of one has the number of a launch of the other"


def test_there_is_no_ratio_where_either_has_no_speed() -> None:
    assert speed_ratio({}, {1: 1.0}) is None
    assert speed_ratio({1: 1.0}, {1: math.nan}) is None


def test_a_mean_score_has_the_plain_mean_and_an_interval_around_it() -> None:
    values = np.random.default_rng(1).beta(2, 8, 200)
    found = mean_score(values)
    assert found is not None and found.interval is not None
    assert found.value == pytest.approx(values.mean())
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    # the bootstrap is within a tenth of the width of what the t distribution gives for so many
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), abs=(high - low) / 10)


def test_an_interval_of_a_score_that_few_documents_have_ends_where_the_scores_do() -> None:
    found = mean_score([0.0] * 25 + [0.3] * 3)
    assert found is not None and found.interval is not None
    assert found.interval.low == 0.0
    assert found.value < found.interval.high < 0.3


def test_mean_scores_are_the_same_each_time() -> None:
    values = np.random.default_rng(1).beta(2, 8, 50)
    assert mean_score(values) == mean_score(values)
    assert mean_score(values) != mean_score(values, seed=1)


def test_too_few_documents_have_a_mean_and_a_reason_instead_of_an_interval() -> None:
    found = mean_score([0.2] * (LEAST_DOCUMENTS - 1))
    assert found is not None
    assert (found.value, found.interval) == (pytest.approx(0.2), None)
    assert found.why == "19 documents; an interval takes 20"


def test_no_document_has_no_mean() -> None:
    assert mean_score([]) is None
    assert mean_score([math.nan]) is None


def test_intervals_of_means_are_as_wide_as_students_where_few_documents_make_them() -> None:
    rows = np.random.default_rng(2).normal(size=(200, LEAST_DOCUMENTS))
    bootstrap = [
        found.interval.high - found.interval.low for found in bootstrapped(rows, "bootstrap", 0) if found.interval
    ]
    low, high = stats.ttest_1samp(rows, 0, axis=1).confidence_interval(0.95)
    assert np.mean(bootstrap) == pytest.approx(np.mean(high - low), rel=0.02)


def skewed(documents: int, differing: float = 1.0) -> np.ndarray:
    """A row of differences with a long tail, of a share of the documents."""
    rng = np.random.default_rng(4)
    values = rng.exponential(0.05, documents) - 0.0495
    return np.where(rng.random(documents) < differing, values, 0.0)[np.newaxis]


def test_an_interval_over_more_documents_than_are_resampled_is_as_wide_as_by_resampling() -> None:
    [fewer], [more] = (bootstrapped(skewed(n), "bootstrap", 0) for n in (MANY_DOCUMENTS, MANY_DOCUMENTS + 1))
    assert fewer.interval is not None and more.interval is not None
    assert (fewer.interval.method, more.interval.method) == (
        "bootstrap over 10,000 documents", "t over 10,001 documents"
    )  # fmt: skip
    width = fewer.interval.high - fewer.interval.low
    assert (more.interval.low, more.interval.high) == pytest.approx(
        (fewer.interval.low, fewer.interval.high), abs=width / 30
    )


def test_few_that_differ_among_many_documents_have_their_own_interval() -> None:
    row = np.zeros((1, MANY_DOCUMENTS * 2))
    row[0, :3] = 0.5
    [found] = bootstrapped(row, "bootstrap", 0)
    assert found.interval is not None and found.interval.method.startswith("3 of 20,000 documents differ")


@pytest.mark.parametrize("shift", [0.0, 0.0005, 0.001])
def test_a_p_value_over_more_documents_than_signs_are_drawn_for_is_that_of_drawn_signs(shift: float) -> None:
    [fewer], [more] = (sign_flip_p_values(skewed(n) + shift, 0) for n in (MANY_DOCUMENTS, MANY_DOCUMENTS + 1))
    assert more == pytest.approx(fewer, abs=0.02)


def test_signs_are_drawn_for_the_documents_that_differ_however_many_there_are() -> None:
    few = np.full((1, 5), 0.1)
    among_many = np.concatenate([few, np.zeros((1, MANY_DOCUMENTS))], axis=1)
    # of 5 differences of one sign, 2 of the 32 patterns come to as much, which a normal law would put at half of that
    assert sign_flip_p_values(among_many, 0) == [2 / 32]
    assert sign_flip_p_values(np.zeros((1, MANY_DOCUMENTS + 1)), 0) == [1.0]


def test_a_million_documents_take_a_second_or_two() -> None:
    row = skewed(1_000_000)
    begun = time.perf_counter()
    bootstrapped(row, "bootstrap", 0)
    sign_flip_p_values(row, 0)
    assert time.perf_counter() - begun < 20  # resampled they take minutes


def test_equal_values_have_an_interval_of_no_width() -> None:
    found = mean_score([0.5] * 30)
    assert found is not None and found.interval is not None
    assert (found.interval.low, found.interval.high) == (0.5, 0.5)


def test_a_mean_that_few_documents_decide_has_the_exact_interval_of_their_share() -> None:
    nine, ten = (bootstrapped(np.array([[0.3] * 90 + [0.2] * n]), "bootstrap", 0)[0] for n in (9, 10))
    assert nine.interval is not None and ten.interval is not None
    # Clopper and Pearson by the beta distribution
    share = stats.beta.ppf(0.975, 9 + 1, 99 - 9)
    assert (nine.interval.low, nine.interval.high) == pytest.approx((0.3 - 0.1 * share, 0.3 + 0.1 * share))
    assert nine.interval.method == "9 of 99 documents differ, at most 17% may, by no more than was seen"
    assert ten.interval.method == "bootstrap over 100 documents"


@pytest.mark.parametrize("n", [6, 9, 12])
def test_few_documents_have_scipys_exact_permutation_p(n: int) -> None:
    rows = np.random.default_rng(n).normal(0.3, 1.0, (3, n)).round(1)
    exact = stats.permutation_test((rows,), np.sum, axis=1, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_p_values(rows, seed=0) == pytest.approx(list(exact.pvalue))


def test_many_documents_have_the_t_tests_p_within_the_error_of_drawing() -> None:
    rows = np.random.default_rng(5).normal(0.1, 1.0, (20, 300))
    expected = stats.ttest_1samp(rows, 0, axis=1).pvalue
    assert sign_flip_p_values(rows, seed=0) == pytest.approx(list(expected), abs=0.03)


def test_a_drawn_p_is_never_0() -> None:
    assert sign_flip_p_values(np.ones((1, 100)), seed=0) == [1 / 5000]


def test_differences_that_are_all_0_have_a_p_of_1() -> None:
    assert sign_flip_p_values(np.zeros((1, 8)), seed=0) == [1.0]
    assert sign_flip_p_values(np.zeros((1, 100)), seed=0) == [1.0]


@pytest.mark.parametrize(("n", "cohens_d"), [(5, 1.6835), (10, 0.9963), (34, 0.4949), (199, 0.1996)])
def test_a_detectable_shift_is_the_tabled_effect_size_of_the_t_test(n: int, cohens_d: float) -> None:
    assert detectable_shift(1.0, n, power=0.8) == pytest.approx(cohens_d, rel=0.005)
    assert detectable_shift(0.05, n, power=0.8) == pytest.approx(0.05 * cohens_d, rel=0.005)


def test_a_correction_for_more_tests_makes_the_detectable_shift_larger() -> None:
    alone, among_seven = detectable_shift(1.0, 50), detectable_shift(1.0, 50, level=1 - 0.05 / 7)
    assert alone is not None and among_seven is not None and among_seven > 1.2 * alone


def test_without_spread_nothing_is_known_of_what_is_detectable() -> None:
    assert detectable_shift(0.0, 50) is None
    assert detectable_shift(1.0, 1) is None
    assert detectable_ratio([0.0] * 5) is None


def test_a_detectable_slowdown_shrinks_with_more_launches() -> None:
    ratios = log_ratios(dict(enumerate(SPEEDS)), dict(enumerate(reversed(SPEEDS))))
    at_6, at_24 = detectable_ratio(ratios), detectable_ratio(ratios, n=24)
    assert at_6 is not None and at_24 is not None
    assert at_6 < at_24 < 1
    assert at_6 == detectable_ratio(ratios, n=6)


def test_too_few_launches_have_no_detectable_slowdown() -> None:
    assert detectable_ratio([0.1, -0.1, 0.05, 0.0]) is None
    assert detectable_ratio([0.1, -0.1, 0.05, 0.0, 0.02], n=4) is None
