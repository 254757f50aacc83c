"""Which changes are suggested next."""

import itertools
import json
from typing import Any

from pipeline.tuning.search import Search
from pipeline.tuning.space import Setting, Space

SPACE = Space((Setting("a", "x", (1, 2)), Setting("b", "y", ({"deep": True},)), Setting("c", "z", (False,))))


def suggestions(search: Search, count: int, speed: Any = lambda _: 1.0, alone: int = 10) -> list[dict[str, Any]]:
    """The next ones, the first of them choices alone, each of which comes to the speed that is said of it."""
    found: list[dict[str, Any]] = []
    for _ in range(count):
        suggested = search.suggest(alone=len(found) < alone)
        if suggested is None:
            break
        found.append(suggested[0])
        search.learn(suggested[0], speed(suggested[0]))
    return found


def test_choices_are_tried_alone_first() -> None:
    search = Search(SPACE, seed=0)
    search.learn({}, 1.0)
    assert suggestions(search, 4) == SPACE.singles()


def test_a_choice_alone_is_told_from_a_suggestion() -> None:
    search = Search(SPACE, seed=0)
    search.learn({}, 1.0)
    first = search.suggest(alone=True)
    assert first == ({"a": 1}, True)
    search.learn({"a": 1}, 2.0)
    second = search.suggest(alone=False)
    assert second is not None and second[1] is False


def test_nothing_is_suggested_twice_and_nothing_is_left_out_of_a_small_space() -> None:
    search = Search(SPACE, seed=0)
    search.learn({}, 1.0)
    found = suggestions(search, 100, alone=2)
    assert len({json.dumps(item, sort_keys=True) for item in found}) == len(found) == SPACE.size - 1
    assert search.suggest(alone=True) is search.suggest(alone=False) is None


def test_what_is_known_from_an_earlier_command_is_not_suggested() -> None:
    search = Search(SPACE, seed=0)
    for changes in ({}, {"a": 1}, {"c": False}):
        search.learn(changes, 1.0)
    assert suggestions(search, 2) == [{"b": {"deep": True}}, {"a": 2}]


def test_a_trial_that_failed_is_not_suggested_again() -> None:
    search = Search(SPACE, seed=0)
    search.learn({}, 1.0)
    search.learn({"a": 1}, None)
    assert {"a": 1} not in suggestions(search, 100)


def test_the_same_seed_suggests_the_same() -> None:
    def run() -> list[dict[str, Any]]:
        search = Search(SPACE, seed=3)
        search.learn({}, 1.0)
        return suggestions(search, 6, lambda changes: 1.0 + len(changes), alone=0)

    assert run() == run()


def test_the_estimator_combines_what_gains_alone_sooner_than_chance_would() -> None:
    space = Space(tuple(Setting(name, name, (1, 2, 3)) for name in "abcde"))
    best = dict.fromkeys("abcde", 2)

    def speed(changes: dict[str, Any]) -> float:
        return 1.0 + sum(value == 2 for value in changes.values()) - sum(value == 3 for value in changes.values())

    search = Search(space, seed=0)
    search.learn({}, 1.0)
    assert best in suggestions(search, 60, speed, alone=15)  # of 1,024 combinations


def test_one_setting_with_one_choice_is_a_space_that_ends() -> None:
    search = Search(Space((Setting("a", "x", (1,)),)), seed=0)
    search.learn({}, 1.0)
    assert suggestions(search, 5, alone=0) == [{"a": 1}]


def test_the_size_counts_every_combination_with_the_untuned_one() -> None:
    assert SPACE.size == len(list(itertools.product(range(3), range(2), range(2))))
