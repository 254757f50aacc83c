"""Real samples in which nothing differs, or something of the size that is stated as detectable: what is called.

2,000 seeded comparisons each; benchmarks/planted.py counts more, with how often intervals cover.
"""

import numpy as np
import pytest

from benchmarks import planted
from pipeline.comparison.statistics import (
    bootstrapped,
    detectable_ratio,
    detectable_shift,
    sign_flip_p_values,
    speed_ratio,
)

COMPARISONS = 2000
CALLED_BY_CHANCE = (0.04, 0.06)
FOUND = (0.78, 0.90)
"""80% with the error of so many comparisons, and not much more, or a smaller effect should have been stated."""


def quality_differences(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Of COMPARISONS pairs of rows of equal quality: ROUGE-1 by document, the row's and the baseline's."""
    recorded, rng = planted.scores(), np.random.default_rng(n)
    drawn = [planted.same_quality(recorded, n, rng) for _ in range(COMPARISONS)]
    return np.array([mine for mine, _ in drawn]), np.array([base for _, base in drawn])


def speeds_called(n: int, slowdown: float) -> float:
    """The share of COMPARISONS over n launches whose interval is off 1, and below it where a slowdown is planted."""
    recorded, rng = planted.speeds(), np.random.default_rng(n)
    called = 0
    for _ in range(COMPARISONS):
        mine, base = planted.same_speed(recorded, n, rng)
        found = speed_ratio(dict(enumerate(mine * slowdown)), dict(enumerate(base)))
        assert found is not None and found.interval is not None
        called += found.interval.high < 1 or (found.interval.low > 1 and slowdown == 1)
    return called / COMPARISONS


def test_the_samples_are_real_and_many() -> None:
    assert planted.scores().shape[0] >= 50 and planted.scores().shape[1] >= 2
    assert len(planted.speeds()) >= 60
    assert np.std(planted.speeds()) > 0 and planted.quality_spread(planted.scores()) > 0


@pytest.mark.parametrize("n", [20, 50, 100])
def test_rows_of_equal_quality_are_called_different_once_in_twenty(n: int) -> None:
    mine, base = quality_differences(n)
    called = np.mean(np.array(sign_flip_p_values(mine - base, seed=0)) < 0.05)
    assert CALLED_BY_CHANCE[0] <= called <= CALLED_BY_CHANCE[1]


@pytest.mark.parametrize("n", [20, 50, 100])
def test_a_loss_of_rouge_of_the_detectable_size_is_found_four_times_in_five(n: int) -> None:
    mine, base = quality_differences(n)
    loss = detectable_shift(planted.quality_spread(planted.scores()), n)
    assert loss is not None
    apart = mine - loss - base
    found = (np.array(sign_flip_p_values(apart, seed=0)) < 0.05) & (apart.mean(axis=1) < 0)
    assert FOUND[0] <= np.mean(found) <= FOUND[1]


@pytest.mark.parametrize("experiments", [planted.DIFFERING, planted.ALIKE])
def test_intervals_cover_whether_most_documents_differ_or_few_do(experiments: tuple[str, str]) -> None:
    recorded = planted.scores(experiments=experiments)
    apart = recorded[:, 0] - recorded[:, 1]
    drawn = apart[np.random.default_rng(0).integers(0, len(apart), (500, 50))]
    intervals = [estimate.interval for estimate in bootstrapped(drawn, "paired bootstrap", 0)]
    covers = [interval.low <= apart.mean() <= interval.high for interval in intervals if interval]
    assert len(covers) == 500
    assert np.mean(covers) >= 0.93


@pytest.mark.parametrize("n", [5, 10, 20])
def test_rows_of_equal_speed_are_called_different_once_in_twenty(n: int) -> None:
    assert CALLED_BY_CHANCE[0] <= speeds_called(n, slowdown=1) <= CALLED_BY_CHANCE[1]


@pytest.mark.parametrize("n", [5, 10, 20])
def test_a_slowdown_of_the_detectable_size_is_found_four_times_in_five(n: int) -> None:
    slowdown = detectable_ratio(planted.speed_ratios(planted.speeds()), n)
    assert slowdown is not None
    assert FOUND[0] <= speeds_called(n, slowdown) <= FOUND[1]
