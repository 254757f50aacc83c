"""What documents cost, in money and energy."""

import pytest

from pipeline.comparison.cost import cost_per_1000, energy_per_document


def test_a_thousand_documents_cost_the_hours_that_they_take() -> None:
    """At 0.5 documents a second 1,000 take 2,000 s, five ninths of an hour."""
    assert cost_per_1000(3.60, 0.5) == pytest.approx(2.0)


@pytest.mark.parametrize(("price", "speed"), [(None, 0.5), (3.6, None), (3.6, 0.0)])
def test_without_a_price_or_a_speed_there_is_no_cost(price: float | None, speed: float | None) -> None:
    assert cost_per_1000(price, speed) is None


def test_a_machine_that_costs_nothing_is_not_one_without_a_price() -> None:
    assert cost_per_1000(0.0, 0.5) == 0.0


def test_energy_is_shared_among_the_completed_documents() -> None:
    assert energy_per_document(1200.0, 48) == 25.0


@pytest.mark.parametrize(("energy_j", "docs"), [(None, 48), (1200.0, 0), (1200.0, None)])
def test_energy_that_was_not_metered_is_unknown(energy_j: float | None, docs: int | None) -> None:
    assert energy_per_document(energy_j, docs) is None
