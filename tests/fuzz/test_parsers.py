"""Whatever a parser of outside data is given, it answers or refuses in words, in time and inside its folder."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz.inputs import inputs
from tests.fuzz.property import Target, check
from tests.fuzz.targets import targets

EXAMPLES = 60
"""Inputs a target; the campaign (tests/fuzz/campaign.py) takes as many as its time allows."""


@pytest.mark.parametrize("target", [pytest.param(target, id=name) for name, target in targets().items()])
def test_a_parser_answers_or_refuses_in_words_whatever_it_is_given(target: Target, tmp_path: Path) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,  # the same inputs everywhere: a red build is the change's fault
        database=None,
        deadline=None,  # property.LIMIT_S is the limit, and interrupts
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(data=inputs(target))
    def holds(data: bytes) -> None:
        check(target, data, tmp_path)

    holds()


@pytest.mark.parametrize("target", [pytest.param(target, id=name) for name, target in targets().items()])
def test_mutations_start_from_an_input_that_the_parser_takes(target: Target, tmp_path: Path) -> None:
    for seed in target.seeds:
        check(target, seed, tmp_path)
    target.parse(target.seeds[0], tmp_path)
