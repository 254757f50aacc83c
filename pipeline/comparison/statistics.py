"""Figures with their intervals, and how small an effect a number of samples can show.

Pure functions over plain values. Values that are not finite are not known, and left out. Every random draw comes from
a seed, so that the same samples give the same figures. Imported by the report alone: scipy is on the host, in no image.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from pipeline.comparison.estimates import Estimate, Interval

LEVEL = 0.95
POWER = 0.8
_RESERVE = 0.02
"""Real samples have heavier tails than normal ones, which cost up to so much power (benchmarks/README.md)."""

LEAST_LAUNCHES = 5
"""For an interval of a speed."""

LEAST_DOCUMENTS = 20
LEAST_DIFFERING = 10
"""For an interval of a mean over documents, and for one by resampling; see bootstrapped."""

MANY_DOCUMENTS = 10_000
"""Beyond so many, what resampling would show is computed: the bootstrap's interval by Student's t, and what signs by
chance come to by the normal law that their sum follows."""

RESAMPLES = 4999
_VALUES_AT_ONCE = 1 << 22
"""How many resampled values are held in memory."""


def speed(docs_per_s: Sequence[float]) -> Estimate | None:
    """Docs/s over launches: the geometric mean, with Student's t interval on the logarithms from 5 launches on.

    None where no launch has a speed.
    """
    logs = [math.log(value) for value in docs_per_s if _is_speed(value)]
    return _of_logs(logs, "launch", f"t over {counted(len(logs), 'launch')}, on logarithms") if logs else None


def speed_ratio(mine: Mapping[int, float], base: Mapping[int, float]) -> Estimate | None:
    """How many times as fast as `base`; both map a launch's number to its docs/s.

    The geometric mean of the ratios of launches of the same number, with Student's t interval on their logarithms from
    5 such pairs on. Where no number is in both, the ratio of the geometric means, without an interval. None where
    either has no speed.
    """
    logs = log_ratios(mine, base)
    if logs:
        return _of_logs(logs, "common launch", f"t over {counted(len(logs), 'pair')} of launches, on logarithms")
    mean, base_mean = speed(list(mine.values())), speed(list(base.values()))
    if mean is None or base_mean is None:
        return None
    why = "no launch of one has the number of a launch of the other"
    return Estimate(mean.value / base_mean.value, min(mean.n, base_mean.n), why=why)


def log_ratios(mine: Mapping[int, float], base: Mapping[int, float]) -> list[float]:
    """Logarithms of mine / base, launch by launch where both have a speed, in the order of their numbers."""
    common = sorted(
        number for number in mine.keys() & base.keys() if _is_speed(mine[number]) and _is_speed(base[number])
    )
    return [math.log(mine[number] / base[number]) for number in common]


def detectable_ratio(ratios: Sequence[float], n: int | None = None) -> float | None:
    """The smallest slowdown that n pairs of launches show with 80% power: 0.95 is one of 5%.

    ratios: logarithms of measured ratios (log_ratios), for their spread. n: their number unless given. None for fewer
    than 5 of either, or no spread.
    """
    known = [ratio for ratio in ratios if math.isfinite(ratio)]
    n = len(known) if n is None else n
    if min(len(known), n) < LEAST_LAUNCHES:
        return None
    shift = detectable_shift(float(np.std(known, ddof=1)), n)
    return None if shift is None else math.exp(-shift)


def mean_score(values: ArrayLike, seed: int = 0) -> Estimate | None:
    """The mean over documents, with its interval from 20 documents on. None where there is no value.

    The interval ends where the values do, so that it holds nothing that no score can be.
    """
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if not known.size:
        return None
    estimate = bootstrapped(known[np.newaxis], "bootstrap", seed)[0]
    if estimate.interval is None:
        return estimate
    low, high = np.clip((estimate.interval.low, estimate.interval.high), known.min(), known.max())
    return replace(estimate, interval=replace(estimate.interval, low=float(low), high=float(high)))


def bootstrapped(rows: np.ndarray, method: str, seed: int) -> list[Estimate]:
    """The rows' means over documents with 95% intervals; rows: of shape (rows, documents).

    The percentile bootstrap over documents with percentiles taken further out, by which its interval becomes as wide as
    Student's t (Hesterberg 2015, "What teachers should know about the bootstrap", expanded percentiles): the plain one
    is too narrow by a factor of sqrt((n - 1) / n) and by what the normal quantile lacks to t's. BCa, which corrects for
    skew and not for this, covered no better on real differences of ROUGE (benchmarks/README.md).

    For more than 10,000 documents Student's t itself, which is no other by then and takes no resampling.

    No interval for fewer than 20 documents. Where fewer than 10 have another value than the rest, those few decide, and
    a bootstrap covered in 61 to 85% of cases. The interval is then that value and, to both sides, the largest distance
    from it times the largest likely share of documents that differ (Clopper and Pearson 1934), which covers in 99% over
    50 documents and more. Where all have the same value it has no width, since nothing else was seen, which over 20
    documents may well be chance: there 90% are covered.
    """
    if rows.shape[1] < LEAST_DOCUMENTS:
        why = f"{counted(rows.shape[1], 'document')}; an interval takes {LEAST_DOCUMENTS}"
        return [Estimate(float(row.mean()), row.size, why=why) for row in rows]
    split = [_commonest(row) for row in rows]
    enough = [differing >= LEAST_DIFFERING for _, differing in split]
    intervals = iter(_of_enough(rows[enough], method, seed) if any(enough) else ())
    return [
        Estimate(float(row.mean()), row.size, next(intervals) if differ_enough else _of_few(row, value, differing))
        for row, differ_enough, (value, differing) in zip(rows, enough, split, strict=True)
    ]


def sign_flip_p_values(rows: np.ndarray, seed: int) -> list[float]:
    """For each row of paired differences, of shape (rows, documents): p of a mean as far from 0, were signs by chance.

    Two-sided. All 2^n patterns of signs where there are at most as many as would be drawn, else random ones, the
    observed one among them. For more than 10,000 documents, those in which a row differs alone, which the others don't
    change; where these are more than that, by the normal law of a sum of signs.
    """
    documents = rows.shape[1]
    if documents > MANY_DOCUMENTS:
        return [_sign_flip_of_differing(row[row != 0], seed) for row in rows]
    observed = np.abs(rows.sum(axis=1))
    # equal sums in another order of addition
    least = observed - 1e-12 * np.abs(rows).sum(axis=1)
    if 2**documents <= RESAMPLES + 1:
        patterns = (np.arange(2**documents)[:, np.newaxis] >> np.arange(documents)) & 1
        return [float(share) for share in np.mean(np.abs((2 * patterns - 1) @ rows.T) >= least, axis=0)]
    rng = np.random.default_rng(seed)
    as_far = np.ones(len(rows))
    left = RESAMPLES
    while left:
        size = min(left, max(1, _VALUES_AT_ONCE // max(rows.shape)))
        signs = 2.0 * rng.integers(0, 2, (size, documents), dtype=np.int8) - 1
        as_far += np.sum(np.abs(signs @ rows.T) >= least, axis=0)
        left -= size
    return [float(count) / (RESAMPLES + 1) for count in as_far]


def detectable_shift(spread: float, n: int, level: float = LEVEL, power: float = POWER + _RESERVE) -> float | None:
    """The true mean that a two-sided t-test of n values of this standard deviation finds with 80% power at least.

    By the non-central t distribution, for a little more than 80%. level: 1 - 0.05 / m where the smallest of m p-values
    has to stand a correction. None for fewer than 2 values or no spread, which then isn't known.
    """
    if n < 2 or not spread > 0:
        return None
    least = stats.t.ppf((1 + level) / 2, n - 1)
    # from where hardly any to where nearly all are found; those found with the wrong sign are not counted
    standardised = optimize.brentq(lambda shift: stats.nct.sf(least, n - 1, shift) - power, 0.0, 2 * least + 4)
    return float(standardised) * spread / math.sqrt(n)


def _of_logs(logs: Sequence[float], unit: str, method: str) -> Estimate:
    n = len(logs)
    mean = float(np.mean(logs))
    if n < LEAST_LAUNCHES:
        return Estimate(math.exp(mean), n, why=f"{counted(n, unit)}; an interval takes {LEAST_LAUNCHES}")
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1) * stats.sem(logs))
    return Estimate(math.exp(mean), n, Interval(math.exp(mean - half), math.exp(mean + half), LEVEL, method))


def _sign_flip_of_differing(apart: np.ndarray, seed: int) -> float:
    if apart.size <= MANY_DOCUMENTS:
        return sign_flip_p_values(apart[np.newaxis], seed)[0]
    return float(2 * stats.norm.sf(abs(apart.sum()) / math.sqrt(np.square(apart).sum())))


def _commonest(values: np.ndarray) -> tuple[float, int]:
    """The value that most have, and how many have another."""
    found, counts = np.unique(values, return_counts=True)
    return float(found[counts.argmax()]), values.size - int(counts.max())


def _of_few(values: np.ndarray, commonest: float, differing: int) -> Interval:
    n = values.size
    share = float(stats.binomtest(differing, n).proportion_ci(LEVEL).high) if differing else 0.0
    away = share * float(np.abs(values - commonest).max())
    method = f"{differing} of {counted(n, 'document')} differ, at most {share:.0%} may, by no more than was seen"
    return Interval(commonest - away, commonest + away, LEVEL, method)


def _of_enough(rows: np.ndarray, method: str, seed: int) -> list[Interval]:
    """Of rows in which enough documents differ."""
    documents = rows.shape[1]
    if documents <= MANY_DOCUMENTS:
        return _resampled(rows, f"{method} over {counted(documents, 'document')}", seed)
    half = stats.t.ppf((1 + LEVEL) / 2, documents - 1) * stats.sem(rows, axis=1)
    name = f"t over {counted(documents, 'document')}"
    return [
        Interval(float(mean - one), float(mean + one), LEVEL, name)
        for mean, one in zip(rows.mean(axis=1), half, strict=True)
    ]


def _resampled(rows: np.ndarray, name: str, seed: int) -> list[Interval]:
    documents = rows.shape[1]
    tail = stats.norm.cdf(math.sqrt(documents / (documents - 1)) * stats.t.ppf((1 - LEVEL) / 2, documents - 1))
    found = stats.bootstrap(
        (rows,),
        np.mean,
        axis=1,
        n_resamples=RESAMPLES,
        batch=max(1, _VALUES_AT_ONCE // rows.size),
        confidence_level=1 - 2 * tail,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return [Interval(float(low), float(high), LEVEL, name) for low, high in zip(found.low, found.high, strict=True)]


def _is_speed(value: float) -> bool:
    return math.isfinite(value) and value > 0


def counted(n: int, unit: str) -> str:
    """Such as "1 launch", "5 launches", "1,000 documents"."""
    plural = unit if n == 1 else f"{unit}es" if unit.endswith("ch") else f"{unit}s"
    return f"{n:,} {plural}"
