"""One cell of a table: what it shows, what it sorts by, and why there is nothing to show."""

from dataclasses import dataclass

from pipeline.comparison.estimates import Difference, Estimate, Gate, Interval
from pipeline.figures import UNKNOWN, number
from pipeline.report import figures

PASS, FAIL, UNDECIDED = "✓ pass", "✗ fail", "? undecided"


@dataclass(frozen=True)
class Cell:
    """text: the figure. sort: a number or text, None sorts last. below: a smaller second line; prose: it is words, that
    may be broken. tip: told on demand. share: drawn as a bar, at most 1. kind: its look, a class of the stylesheet.
    """

    text: str
    sort: float | str | None = None
    below: str | None = None
    tip: str | None = None
    prose: bool = False
    share: float | None = None
    kind: str | None = None

    @property
    def known(self) -> bool:
        """Whether there is anything to show."""
        return self.text != UNKNOWN


def unknown(why: str) -> Cell:
    """A dash with its reason."""
    return Cell(UNKNOWN, tip=why)


def figure(value: float | None, decimals: int, why: str = "not recorded") -> Cell:
    """A plain number."""
    return unknown(why) if value is None else Cell(number(value, decimals), sort=value)


def word(value: str | int | None, why: str = "not recorded") -> Cell:
    """A setting or a name."""
    return unknown(why) if value is None else Cell(str(value), sort=value)


def estimate(value: Estimate | None, decimals: int, why: str, unit: str = "", share: float | None = None) -> Cell:
    """A figure over its interval; the tip says over what, or why there is none."""
    if value is None:
        return unknown(why)
    return Cell(
        number(value.value, decimals) + unit,
        sort=value.value,
        below=figures.ends(value.interval, decimals) if value.interval else None,
        tip=_basis(value),
        share=share,
    )


def difference(value: Difference | None, decimals: int, why: str) -> Cell:
    """A paired difference with its sign and interval; the tip has the p-value and what could have been found."""
    if value is None:
        return unknown(why)
    inner = value.difference
    facts = [
        f"{number(value.value, decimals)} against {number(value.baseline_value, decimals)} over {value.n} documents",
        None if value.relative is None else f"{value.relative:+.1%}",
        None if value.p_adjusted is None else f"p = {number(value.p_adjusted, 3)}, corrected over the rows",
        None
        if value.detectable is None
        else f"a difference of {number(value.detectable, decimals)} would be found in 4 of 5 cases",
        _basis(inner),
    ]
    return Cell(
        signed(inner.value, decimals),
        sort=inner.value,
        below=_signed_ends(inner.interval, decimals) if inner.interval else None,
        tip="; ".join(fact for fact in facts if fact),
    )


def gate(value: Gate | None, why: str) -> Cell:
    """The verdict, in a word with a sign of its own, so that colour alone says nothing."""
    if value is None:
        return unknown(why)
    text = {"pass": PASS, "fail": FAIL, "undecided": UNDECIDED}[value.verdict]
    below = f"≈ {value.docs_needed:,} documents would decide" if value.docs_needed else None
    return Cell(text, sort=text, below=below, tip=value.reason, prose=True, kind=f"gate-{value.verdict}")


def signed(value: float, decimals: int) -> str:
    """A number with its sign; a true minus, as wide as the plus."""
    text = f"{value:+,.{decimals}f}".replace("-", "\N{MINUS SIGN}")
    return text if float(text.replace(",", "").replace("\N{MINUS SIGN}", "-")) else f"±{0:.{decimals}f}"


def _signed_ends(interval: Interval, decimals: int) -> str:
    return f"{signed(interval.low, decimals)} to {signed(interval.high, decimals)}"


def _basis(value: Estimate) -> str:
    if value.interval:
        return f"{value.interval.level:.0%} interval, {value.interval.method}, n = {value.n}"
    return f"no interval: {value.why}" if value.why else f"n = {value.n}"
