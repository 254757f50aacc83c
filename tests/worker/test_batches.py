"""What a batch that runs out of memory does, around an engine that takes so many documents and no more."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from weakref import ref

import pytest

from pipeline.worker.batches import Batches, OutOfMemory


class Held:
    """Something that a batch allocated."""


@dataclass
class Engine:
    """Doubles numbers, at most `most` at a time; remembers the batches, what they held and how often it was freed."""

    most: int
    calls: list[list[int]] = field(default_factory=list)
    freed: int = 0
    held: "list[ref[Held]]" = field(default_factory=list)
    alive_when_freed: int = 0

    def attempt(self, batch: Sequence[int]) -> list[int]:
        tensor = Held()
        self.held.append(ref(tensor))
        self.calls.append(list(batch))
        if len(batch) > self.most:
            raise MemoryError("full")
        if 13 in batch:
            raise RuntimeError("unlucky")
        return [2 * number for number in batch]

    def free(self) -> None:
        self.freed += 1
        self.alive_when_freed += sum(item() is not None for item in self.held)

    def run(self, batches: Batches, items: Sequence[int]) -> list[tuple[int, int]]:
        return list(batches.run(items, self.attempt, lambda error: isinstance(error, MemoryError), self.free))


def test_each_item_comes_with_its_output_in_order() -> None:
    engine = Engine(most=8)
    assert engine.run(Batches(2, shrink=True), [1, 2, 3]) == [(1, 2), (2, 4), (3, 6)]
    assert engine.calls == [[1, 2], [3]]


def test_no_items_make_no_batch() -> None:
    engine = Engine(most=8)
    assert (engine.run(Batches(2, shrink=True), []), engine.calls) == ([], [])


def test_a_batch_that_does_not_fit_is_halved_and_nothing_of_it_is_lost_or_doubled() -> None:
    engine, items = Engine(most=2), list(range(20, 31))
    assert engine.run(Batches(8, shrink=True), items) == [(item, 2 * item) for item in items]


def test_the_halved_size_stays_for_the_rest_and_for_the_next_call() -> None:
    engine, batches = Engine(most=4), Batches(8, shrink=True)
    engine.run(batches, list(range(20, 30)))
    engine.run(batches, list(range(30, 36)))
    assert [len(call) for call in engine.calls] == [8, 4, 4, 2, 4, 2]
    assert (batches.size, batches.used) == (4, 4)


def test_a_last_batch_that_is_not_full_is_halved_from_what_it_is() -> None:
    batches = Batches(8, shrink=True)
    Engine(most=1).run(batches, [1, 2, 3])
    assert [retreat.size for retreat in batches.retreats] == [3]


def test_each_failed_attempt_is_on_record_with_its_seconds() -> None:
    batches = Batches(8, shrink=True)
    Engine(most=2).run(batches, list(range(20, 28)))
    assert [retreat.size for retreat in batches.retreats] == [8, 4]
    assert all(retreat.lost_s > 0 for retreat in batches.retreats)


def test_what_a_failed_batch_held_is_gone_before_memory_is_given_back() -> None:
    engine = Engine(most=1)
    engine.run(Batches(4, shrink=True), [1, 2, 3, 4])
    assert (engine.freed, engine.alive_when_freed) == (2, 0)


def test_memory_that_was_given_back_is_settled_with_whoever_limits_it() -> None:
    settled: list[int] = []
    engine, batches = Engine(most=2), Batches(4, shrink=True)
    batches.settle = lambda: settled.append(engine.freed)
    engine.run(batches, [1, 2, 3, 4])
    assert settled == [1]


def test_a_single_item_that_does_not_fit_is_the_failure_in_the_engines_words() -> None:
    with pytest.raises(OutOfMemory, match="a batch of 1 ran out of memory: full") as caught:
        Engine(most=0).run(Batches(2, shrink=True), [1, 2])
    assert isinstance(caught.value.__cause__, MemoryError)


def test_where_it_is_not_to_shrink_the_first_batch_that_does_not_fit_is_the_failure() -> None:
    engine = Engine(most=2)
    with pytest.raises(OutOfMemory, match="a batch of 4 ran out of memory"):
        engine.run(Batches(4, shrink=False), [1, 2, 3, 4])
    assert len(engine.calls) == 1


def test_another_error_is_passed_on_as_it_is() -> None:
    with pytest.raises(RuntimeError, match="unlucky"):
        Engine(most=8).run(Batches(2, shrink=True), [12, 13])


def test_the_size_used_is_the_largest_that_came_through() -> None:
    batches = Batches(8, shrink=True)
    assert batches.used is None
    Engine(most=8).run(batches, [1, 2, 3])
    assert batches.used == 3
