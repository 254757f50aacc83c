"""Whether a row keeps the baseline's quality: the accuracy gate, in the manner of MLPerf's accuracy targets."""

import math
from collections.abc import Mapping

from scipy import stats

from pipeline.comparison.estimates import LENGTHS, ROUGE, Difference, Gate, GateCheck, Verdict
from pipeline.comparison.statistics import LEVEL, POWER

MARGIN = 0.01
"""How much of the baseline's ROUGE a row may lose."""

LENGTH = (0.9, 1.1)
"""From what to what share of the baseline's output length a row's may be."""

_MOST_DOCUMENTS = 1_000_000
"""A difference that more would be needed for is too near its limit to be told from it."""


def gate(differences: Mapping[str, Difference], margin: float = MARGIN, length: tuple[float, float] = LENGTH) -> Gate:
    """The gate of one row, by its differences from the baseline (those that comparison.differences gives for it).

    A ROUGE passes where the 95% interval of its relative difference begins at or above -margin, fails where all of it
    is below; the output length passes where the interval of its ratio is within `length`, fails where all of it is
    outside. What is neither is undecided. Both are relative to the baseline's mean as it was measured. All checks have
    to pass, so their number needs no correction: a row that loses exactly the margin passes once in 40 times at most.
    """
    checks = [_check(differences[score], score, 0.0, (-margin, math.inf)) for score in ROUGE if score in differences]
    if not checks:
        return Gate("undecided", "no ROUGE to compare", ())
    checks += [_check(differences[name], "output length", 1.0, length) for name in LENGTHS if name in differences][:1]
    deciding: Verdict
    for deciding in ("fail", "undecided"):
        these = [check for check in checks if check.verdict == deciding]
        if these:
            needed = [check.docs_needed for check in these if check.docs_needed is not None]
            reason = "; ".join(dict.fromkeys(check.reason for check in these))
            return Gate(deciding, reason, tuple(checks), max(needed, default=None))
    return Gate("pass", "; ".join(check.reason for check in checks), tuple(checks))


def _check(difference: Difference, what: str, same: float, limits: tuple[float, float]) -> GateCheck:
    """One condition. same: what no difference at all is: 0 of a relative difference, 1 of a ratio."""
    name = what.replace("rouge", "ROUGE-").removesuffix("_f1")
    bounds = (limits[0], None if math.isinf(limits[1]) else limits[1])
    if difference.relative is None:
        return GateCheck(what, "undecided", f"{name}: the baseline's is 0", limits=bounds)
    interval = difference.difference.interval
    if interval is None:
        return GateCheck(what, "undecided", difference.difference.why or "no interval", limits=bounds)
    middle = same + difference.relative
    # the baseline's mean is above 0, as every score and length is
    low, high = (same + end / difference.baseline_value for end in (interval.low, interval.high))
    measured = f"{name} {_change(middle - same)} ({_change(low - same)} to {_change(high - same)})"
    if limits[0] <= low and high <= limits[1]:
        return GateCheck(what, "pass", measured, None, low, high, bounds)
    allowed = " to ".join(_change(limit - same) for limit in limits if math.isfinite(limit))
    if high < limits[0] or low > limits[1]:
        return GateCheck(what, "fail", f"{measured}, allowed {allowed}", None, low, high, bounds)
    needed = _docs_needed(difference.n, low, middle, high, limits)
    more = "too near it for any number of documents" if needed is None else f"about {needed:,} documents would decide"
    return GateCheck(what, "undecided", f"{measured}, allowed {allowed}: {more}", needed, low, high, bounds)


def _docs_needed(n: int, low: float, middle: float, high: float, limits: tuple[float, float]) -> int | None:
    """How many documents decide in four cases of five, if the true value is `middle` and the interval narrows as
    1 / sqrt(n). Rounded up to two digits; None for more than a million."""
    if middle < limits[0]:
        shares = [(high - middle) / (limits[0] - middle)]
    elif middle > limits[1]:
        shares = [(middle - low) / (middle - limits[1])]
    else:
        shares = [
            width / room if room else math.inf
            for width, room in ((middle - low, middle - limits[0]), (high - middle, limits[1] - middle))
        ]
    # wider by what lets the estimate itself err to the wrong side in one case of five
    quantile = stats.norm.ppf((1 + LEVEL) / 2)
    needed = n * (max(shares) * (1 + stats.norm.ppf(POWER) / quantile)) ** 2
    if needed > _MOST_DOCUMENTS:
        return None
    step = 10 ** max(0, math.floor(math.log10(needed)) - 1)
    return int(math.ceil(needed / step) * step)


def _change(share: float) -> str:
    return f"{share:+z.1%}".replace("-", "\N{MINUS SIGN}")
