"""Figures as people read them."""

import pytest

from pipeline.comparison.estimates import Interval
from pipeline.report.figures import ends, number


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0.0, "0.000"), (0.0004, "<0.001"), (-0.0004, ">-0.001"), (0.0006, "0.001"), (-0.0006, "-0.001")],
)
def test_what_would_round_to_0_says_on_which_side_of_it_it_is(value: float | None, shown: str) -> None:
    assert number(value, 3) == shown


def test_an_interval_of_losses_reads_as_one_that_excludes_0() -> None:
    assert ends(Interval(-0.02, -0.0004, 0.95, "")) == "-0.020 to >-0.001"
