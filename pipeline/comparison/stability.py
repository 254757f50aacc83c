"""Whether speeds are steady enough to be trusted: warnings in the manner of pyperf's checks. Nothing is dropped."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from pipeline.comparison.statistics import LEAST_LAUNCHES, counted

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
_MOST_TO_COUNT = 50
"""Values whose orders are counted one by one."""

_DRAWS = 999


def stability(repeats: Mapping[int, Sequence[float]], launches: Mapping[int, float]) -> tuple[str, ...]:
    """Warnings, each with the figure and an advice; empty where there is nothing to say.

    Both by the launch's number: the seconds of its timed repeats, in order, and its docs/s. Repeats of several launches
    are judged together, each against its own launch. A drift is told by Kendall's tau within each launch, an outlier by
    the median and the median absolute deviation, two groups by a split into two that explains more than it does of
    values drawn evenly from an interval, the flattest that have no groups.
    """
    speeds = {number: value for number, value in sorted(launches.items()) if math.isfinite(value) and value > 0}
    warnings = []
    if 0 < len(speeds) < LEAST_LAUNCHES:
        few = counted(len(speeds), "launch")
        warnings.append(f"{few}: the speed has no interval; --launches {LEAST_LAUNCHES} gives it one")
    for series in (_of_launches(speeds), _of_repeats(repeats)):
        # a drift spreads values over two halves, too, and of two groups the smaller one looks like outliers
        pattern = _drift(series) or _groups(series) or _outliers(series)
        warnings += [text for text in (pattern, _spread(series)) if text]
    return tuple(warnings)


@dataclass(frozen=True)
class _Series:
    """Values above 0 in the order in which they came, in parts of which each has a level of its own.

    unit: of the parts. places: what each value is called, over all parts. values: all of them as they can be judged
    together, in value_unit.
    """

    name: str
    measure: str
    unit: str
    value_unit: str
    parts: tuple[np.ndarray, ...]
    places: tuple[str, ...]
    values: np.ndarray


def _of_launches(speeds: Mapping[int, float]) -> _Series:
    values = np.array(list(speeds.values()))
    places = tuple(str(number) for number in speeds)
    return _Series("launches", "docs/s", " docs/s", " docs/s", (values,) if speeds else (), places, values)


def _of_repeats(repeats: Mapping[int, Sequence[float]]) -> _Series:
    """A part for each launch that has several; together they are judged over their launch's mean."""
    parts, places = [], []
    for number, seconds in sorted(repeats.items()):
        known = {place: value for place, value in enumerate(seconds, 1) if math.isfinite(value) and value > 0}
        if len(known) > 1:
            parts.append(np.array(list(known.values())))
            places += [f"{place} (launch {number})" for place in known]
    return _Series(
        "repeats", "seconds", " s", " of the launch's mean", tuple(parts), tuple(places), _over(np.mean, parts)
    )


def _over(level: Callable[[np.ndarray], Any], parts: Sequence[np.ndarray]) -> np.ndarray:
    """All values, each over its own part's level."""
    values: np.ndarray = np.concatenate([np.array([]), *(part / level(part) for part in parts)])
    return values


def _drift(series: _Series) -> str | None:
    values = series.values
    if len(values) < LEAST_TO_JUDGE or np.ptp(values) == 0:
        return None
    p_value = _trend_p_value(series.parts)
    order = np.concatenate([np.arange(len(part)) for part in series.parts])
    slope = stats.theilslopes(values, order).slope
    change = slope * np.ptp(order) / np.median(values)
    if not p_value < _CHANCE or abs(change) < WORTH_SAYING:
        return None
    return (
        f"{series.name} drift: {series.measure} {'rise' if change > 0 else 'fall'} by {abs(change):.0%} from the first "
        f"to the last (p {p_value:.2g}); look for heat, clocks, too short a warm-up or other work"
    )


def _trend_p_value(parts: Sequence[np.ndarray]) -> float:
    """Of no trend in any part: Kendall's statistic summed over them (Hirsch, Slack and Smith 1982), two-sided.

    Few values by counting orders, more by the normal distribution. Ties count as no order, which errs to the safe side.
    """
    concordant = sum(float(np.triu(np.sign(part[np.newaxis] - part[:, np.newaxis])).sum()) for part in parts)
    sizes = [len(part) for part in parts]
    if sum(sizes) > _MOST_TO_COUNT:
        variance = sum(n * (n - 1) * (2 * n + 5) for n in sizes) / 18
        return float(2 * stats.norm.sf(max(0.0, abs(concordant) - 1) / math.sqrt(variance)))
    # in how many orders so many pairs stand the wrong way round: of n values the last can pass 0 to n - 1 others
    orders = np.ones(1)
    for n in sizes:
        for choices in range(2, n + 1):
            orders = np.convolve(orders, np.ones(choices))
    pairs = len(orders) - 1
    fewest = math.ceil((pairs - abs(concordant)) / 2)
    return min(1.0, 2 * float(orders[: fewest + 1].sum() / orders.sum()))


def _outliers(series: _Series) -> str | None:
    """Values far from the median of their part, which one that is far off hardly moves, unlike the mean."""
    if len(series.values) < LEAST_TO_JUDGE:
        return None
    # by what the values that are judged together vary: over a part's own median one of three would not vary at all
    robust = float(stats.median_abs_deviation(_over(np.mean, series.parts), scale="normal"))
    away = np.abs(_over(np.median, series.parts) - 1)
    far = np.flatnonzero(away > max(_FAR * robust, WORTH_SAYING))
    if len(far) == 0:
        return None
    furthest = int(np.argmax(away))
    medians = np.concatenate([np.full(len(part), np.median(part)) for part in series.parts])
    return (
        f"{series.name}: number {', '.join(series.places[place] for place in far)} of {len(away)} far from the others, "
        f"the furthest at {np.concatenate(series.parts)[furthest]:.3g}{series.unit} against a median of "
        f"{medians[furthest]:.3g}; it counts; look at what ran beside it"
    )


def _spread(series: _Series) -> str | None:
    """By each part's own mean, which takes a degree of freedom each."""
    free = len(series.values) - len(series.parts)
    if free < 1:
        return None
    spread = math.sqrt(float(np.square(_over(np.mean, series.parts) - 1).sum()) / free)
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
        f"{high:.3g}{series.value_unit}; something switches between two states: look at clocks, cores and other work"
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
