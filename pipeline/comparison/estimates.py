"""Figures with what is known of their uncertainty, and verdicts built on them: the values that statistics return."""

from dataclasses import dataclass
from typing import Literal

ROUGE = ("rouge1_f1", "rouge2_f1", "rougeL_f1", "rougeLsum_f1")
LENGTHS = ("output_tokens", "output_words")
"""Of an output; the first that is known counts."""

Verdict = Literal["pass", "fail", "undecided"]


@dataclass(frozen=True)
class Interval:
    """A confidence interval, two-sided. level: such as 0.95. method: in words, with what it was taken over."""

    low: float
    high: float
    level: float
    method: str


@dataclass(frozen=True)
class Estimate:
    """A figure over n samples. interval: None where there are too few of them, or they are not comparable; `why` says
    so then."""

    value: float
    n: int
    interval: Interval | None = None
    why: str | None = None


@dataclass(frozen=True)
class Difference:
    """A figure's paired difference from the baseline's over the n documents that both completed.

    score: of ROUGE or LENGTHS, or "bertscore_f1". value, baseline_value: means over those documents.
    difference: value - baseline_value. relative: difference over baseline_value; None where that is 0.
    p_value: of no difference; p_adjusted: the same, corrected over the rows of a table (Holm). None where there are too
    few documents. detectable: the smallest true difference that is found with 80% power at this n and spread, if it
    shifts all documents alike; None also where too few documents differ.
    """

    score: str
    value: float
    baseline_value: float
    difference: Estimate
    relative: float | None
    p_value: float | None
    p_adjusted: float | None
    detectable: float | None

    @property
    def n(self) -> int:
        """Over how many documents."""
        return self.difference.n


@dataclass(frozen=True)
class GateCheck:
    """One condition of the accuracy gate. what: a score's name or "output length". low, high: of the relative
    difference (a score) or of the ratio (the length), with 95% confidence, None where there is no interval; limits:
    what they are held against, a None being no limit.

    docs_needed: about how many documents would decide, at this difference and spread; None where it is decided,
    where there is no interval, or where no number would do.
    """

    what: str
    verdict: Verdict
    reason: str
    docs_needed: int | None = None
    low: float | None = None
    high: float | None = None
    limits: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True)
class Gate:
    """Whether a row keeps the baseline's quality. fail if any check fails, pass if all pass, else undecided.

    reason: one line for a reader. docs_needed: the largest of the undecided checks'.
    """

    verdict: Verdict
    reason: str
    checks: tuple[GateCheck, ...]
    docs_needed: int | None = None
