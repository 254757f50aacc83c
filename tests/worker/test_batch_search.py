"""The search for the largest batch, over machines that hold so many documents and no more."""

import pytest

from pipeline.measures import TriedBatch
from pipeline.worker.batch_search import Found, search

Sizes = list[tuple[int, bool]]


def searched(capacity: int, start: int, most: int, document_s: float = 0.0, limit_s: float = 1.0) -> Found:
    def try_size(size: int) -> TriedBatch:
        assert 1 <= size <= most
        return TriedBatch(size, size <= capacity, document_s * size)

    return search(try_size, start, most, limit_s)


def sizes(found: Found) -> Sizes:
    return [(item.size, item.fits) for item in found.tried]


def test_sizes_double_up_to_the_number_of_documents() -> None:
    found = searched(capacity=99, start=8, most=50)
    assert sizes(found) == [(8, True), (16, True), (32, True), (50, True)]
    assert (found.size, found.complete) == (50, True)


def test_between_one_that_fits_and_one_that_does_not_it_halves_the_distance() -> None:
    found = searched(capacity=11, start=4, most=100)
    assert sizes(found) == [(4, True), (8, True), (16, False), (12, False), (10, True), (11, True)]
    assert found.size == 11


def test_a_start_that_does_not_fit_leads_downwards() -> None:
    assert sizes(searched(capacity=1, start=8, most=8)) == [(8, False), (4, False), (2, False), (1, True)]


@pytest.mark.parametrize("most", [1, 2, 7, 16, 33])
def test_it_finds_the_largest_that_fits_wherever_that_is(most: int) -> None:
    for capacity in range(1, most + 1):
        for start in range(1, most + 1):
            found = searched(capacity, start, most)
            tried = dict(sizes(found))
            assert (found.size, found.complete) == (capacity, True)
            assert tried[capacity] and (capacity == most or not tried[capacity + 1])


def test_no_size_is_tried_that_would_probably_take_too_long() -> None:
    found = searched(capacity=99, start=8, most=64, document_s=1.0, limit_s=30.0)
    assert sizes(found) == [(8, True), (16, True)]
    assert (found.size, found.complete) == (16, False)


def test_it_goes_on_after_its_time_as_long_as_nothing_fits() -> None:
    found = searched(capacity=1, start=8, most=8, document_s=10.0, limit_s=30.0)
    assert found.size == 1
