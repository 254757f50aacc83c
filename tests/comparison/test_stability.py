"""Warnings on speeds that are not steady."""

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.comparison import stability as judged

STEADY = [1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 1.01, 0.99, 1.0, 1.01]


def stability(repeats: Sequence[Sequence[float]], launches: Sequence[float]) -> tuple[str, ...]:
    """Of launches that are numbered in order."""
    return judged.stability(dict(enumerate(repeats, start=1)), dict(enumerate(launches, start=1)))


def test_steady_launches_and_repeats_have_no_warning() -> None:
    assert stability([STEADY, [2 * seconds for seconds in STEADY]], STEADY) == ()


@pytest.mark.parametrize(("n", "words"), [(1, "1 launch"), (4, "4 launches")])
def test_too_few_launches_are_said_with_what_to_ask_for(n: int, words: str) -> None:
    assert stability([], STEADY[:n]) == (f"{words}: the speed has no interval; --launches 5 gives it one",)


def test_a_row_without_launches_has_no_warning() -> None:
    assert stability([], []) == ()


def test_launches_that_get_slower_drift() -> None:
    falling = [speed * (1 - 0.02 * place) for place, speed in enumerate(STEADY)]
    (warning,) = stability([], falling)
    assert warning.startswith("launches drift: docs/s fall by 20% from the first to the last")
    assert "look for heat" in warning


def test_a_drift_too_small_to_matter_is_not_said() -> None:
    assert stability([], [1 + 0.001 * place for place in range(10)]) == ()


def test_a_drift_over_the_repeats_of_several_launches_is_seen_though_the_launches_differ() -> None:
    (warning,) = stability([[1.0, 1.1, 1.2], [2.0, 2.2, 2.4], [0.5, 0.54, 0.6]], STEADY)
    assert warning.startswith("repeats drift: seconds rise by 1")


def test_launches_that_switch_between_two_speeds_fall_into_two_groups() -> None:
    low = [speed / 2 for speed in STEADY]
    mixed = [speed for pair in zip(STEADY, low, strict=True) for speed in pair]
    first, second = stability([], mixed)
    assert first.startswith("launches fall into two groups, 10 around 0.5 and 10 around 1 docs/s")
    assert second.startswith("launches spread widely")


def test_one_launch_far_from_the_others_is_named_and_counted() -> None:
    (warning,) = stability([], [*STEADY[:6], 0.8, *STEADY[6:]])
    assert warning == (
        "launches: number 7 of 11 far from the others, the furthest at 0.8 docs/s against a median of 1; "
        "it counts; look at what ran beside it"
    )


def test_a_large_spread_is_said_with_its_figure() -> None:
    (warning,) = stability([], [1.0, 1.3, 0.8, 1.1, 0.9])
    assert warning.startswith("launches spread widely: a standard deviation of 19% of the mean over 5")


def test_equal_speeds_have_no_warning() -> None:
    assert stability([[1.0] * 12], [1.0] * 12) == ()


def test_speeds_that_are_not_known_are_not_judged() -> None:
    assert stability([[1.0, float("nan")]], [*STEADY, float("nan")]) == ()


@pytest.mark.parametrize("n", [6, 10, 30])
def test_steady_noise_is_rarely_warned_of(n: int) -> None:
    noise = np.random.default_rng(n)
    called = sum(bool(stability([], list(noise.normal(1, 0.04, n)))) for _ in range(200))
    assert called <= 16


def test_one_repeat_far_from_the_others_is_named_with_its_launch_and_its_good_neighbours_are_not() -> None:
    steady = [1.0, 1.01, 0.99, 1.0, 1.02]
    (warning,) = (text for text in stability([steady, [*steady[:4], 3.0], steady], STEADY) if "far from" in text)
    assert warning.startswith(
        "repeats: number 5 (launch 2) of 15 far from the others, the furthest at 3 s against a median of 1;"
    )


def test_a_launch_keeps_its_number_where_others_have_no_speed() -> None:
    speeds = {number: speed for number, speed in enumerate([*STEADY[:6], 0.8], start=1) if number != 2}
    (warning,) = judged.stability({}, speeds)
    assert warning.startswith("launches: number 7 of 6 far from the others")


def test_the_spread_of_repeats_is_that_of_one_launch_however_few_there_are_of_each() -> None:
    noise = np.random.default_rng(0).normal(1, 0.15, (400, 2))
    (warning,) = stability(noise.tolist(), STEADY)
    assert warning.startswith("repeats spread widely: a standard deviation of 15% of the mean over 800")


@pytest.mark.parametrize("shape", [(10, 2), (20, 2), (10, 3), (5, 6)])
def test_steady_noise_over_repeats_is_rarely_warned_of(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(shape[0])
    called = sum(bool(stability(noise.normal(1, 0.06, shape).tolist(), STEADY)) for _ in range(200))
    assert called <= 16
