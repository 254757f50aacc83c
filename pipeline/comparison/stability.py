"""Whether speeds are steady enough to be trusted: warnings in the manner of pyperf's checks. Nothing is dropped."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pipeline.comparison.statistics import LEAST_LAUNCHES

LARGE_SPREAD = 0.1
"""A standard deviation of so much of the mean is said, as pyperf does."""

WORTH_SAYING = 0.05
"""A drift, an outlier or two groups are said where they make so much of the speed."""

LEAST_TO_JUDGE = 6
"""Values for a word on drift or outliers: fewer in order happen by chance more than once in a hundred times."""

LEAST_FOR_GROUPS = 10
_FAR = 5
"""In robust standard deviations: with 10 steady values 3.5, the usual number, calls one in eight series."""

_CHANCE = 0.01
_DRAWS = 999


def stability(repeats: Sequence[Sequence[float]], launches: Sequence[float]) -> tuple[str, ...]:
    """Warnings, each with the figure and an advice; empty where there is nothing to say.

    repeats: for each launch the seconds of its timed repeats, in order. launches: docs/s of each launch, in order.
    Repeats of several launches are judged together, each relative to the mean of its launch. A drift is told by
    Kendall's tau, an outlier by the median and the median absolute deviation, two groups by a split into two that
    explains more than it does of values drawn evenly from an interval, the flattest that have no groups.
    """
    speeds = np.array([value for value in launches if math.isfinite(value) and value > 0])
    order, seconds = _relative(repeats)
    warnings = []
    if 0 < len(speeds) < LEAST_LAUNCHES:
        launched = "1 launch" if len(speeds) == 1 else f"{len(speeds)} launches"
        warnings.append(f"{launched}: the speed has no interval; --launches {LEAST_LAUNCHES} gives it one")
    for series in (
        _Series("launches", "docs/s", " docs/s", np.arange(len(speeds)), speeds),
        _Series("repeats", "seconds", " of the launch's mean", order, seconds),
    ):
        # a drift spreads values over two halves, too, and of two groups the smaller one looks like outliers
        pattern = _drift(series) or _groups(series) or _outliers(series)
        warnings += [text for text in (pattern, _spread(series)) if text]
    return tuple(warnings)


@dataclass(frozen=True)
class _Series:
    """Values above 0 and when each came: 0, 1, … ; several may share a place."""

    name: str
    measure: str
    unit: str
    order: np.ndarray
    values: np.ndarray


def _relative(repeats: Sequence[Sequence[float]]) -> tuple[np.ndarray, np.ndarray]:
    """The place of every repeat in its launch, and its seconds over the launch's mean."""
    order: list[int] = []
    values: list[float] = []
    for launch in repeats:
        seconds = [value for value in launch if math.isfinite(value) and value > 0]
        if len(seconds) > 1:
            order += range(len(seconds))
            values += [value / (sum(seconds) / len(seconds)) for value in seconds]
    return np.array(order), np.array(values)


def _drift(series: _Series) -> str | None:
    if len(series.values) < LEAST_TO_JUDGE or np.ptp(series.values) == 0:
        return None
    p_value = stats.kendalltau(series.order, series.values).pvalue
    slope = stats.theilslopes(series.values, series.order).slope
    change = slope * np.ptp(series.order) / np.median(series.values)
    if not p_value < _CHANCE or abs(change) < WORTH_SAYING:
        return None
    return (
        f"{series.name} drift: {series.measure} {'rise' if change > 0 else 'fall'} by {abs(change):.0%} from the first "
        f"to the last (p {p_value:.2g}); look for heat, clocks, too short a warm-up or other work"
    )


def _outliers(series: _Series) -> str | None:
    if len(series.values) < LEAST_TO_JUDGE:
        return None
    middle = float(np.median(series.values))
    robust = float(stats.median_abs_deviation(series.values, scale="normal"))
    away = np.abs(series.values - middle)
    far = np.flatnonzero(away > max(_FAR * robust, WORTH_SAYING * middle))
    if len(far) == 0:
        return None
    places = ", ".join(str(place + 1) for place in series.order[far])
    furthest = series.values[np.argmax(away)]
    return (
        f"{series.name}: number {places} of {len(series.values)} far from the others, the furthest at "
        f"{furthest:.3g}{series.unit} against a median of {middle:.3g}; it counts; look at what ran beside it"
    )


def _spread(series: _Series) -> str | None:
    if len(series.values) < 2:
        return None
    spread = float(np.std(series.values, ddof=1) / np.mean(series.values))
    if spread < LARGE_SPREAD:
        return None
    return (
        f"{series.name} spread widely: a standard deviation of {spread:.0%} of the mean over {len(series.values)}; "
        "make more of them, or keep other work off the machine"
    )


def _groups(series: _Series) -> str | None:
    values = np.sort(series.values)
    if len(values) < LEAST_FOR_GROUPS or np.ptp(values) == 0:
        return None
    share, cut = _best_split(values[np.newaxis])
    drawn = np.sort(np.random.default_rng(0).random((_DRAWS, len(values))), axis=1)
    low, high = float(values[: cut[0]].mean()), float(values[cut[0] :].mean())
    if np.mean(_best_split(drawn)[0] >= share[0]) > _CHANCE or high - low < WORTH_SAYING * values.mean():
        return None
    return (
        f"{series.name} fall into two groups, {cut[0]} around {low:.3g} and {len(values) - cut[0]} around "
        f"{high:.3g}{series.unit}; something switches between two states: look at clocks, cores and other work"
    )


def _best_split(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For rows of sorted values: the largest share of the variance that a split into two groups explains, and how many
    values the lower one has then. A group has a fifth of the values at least, since fewer are outliers."""
    n = rows.shape[1]
    least = max(2, math.ceil(n / 5))
    lower = np.arange(least, n - least + 1)
    sums = np.cumsum(rows, axis=1)
    low = sums[:, lower - 1] / lower
    high = (sums[:, -1:] - sums[:, lower - 1]) / (n - lower)
    between = lower * (n - lower) / n * (high - low) ** 2
    best = np.argmax(between, axis=1)
    total = np.var(rows, axis=1) * n
    return np.max(between, axis=1) / total, lower[best]
