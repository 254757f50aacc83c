"""The way from the untuned row to the best, and what is kept of it."""

from typing import Any

from pipeline.tuning.path import best_of, ordered, prefixes, settled, steps, worthwhile
from pipeline.tuning.record import Trial


def trial(docs_per_s: float | None, **settings: Any) -> Trial:
    name = "-".join(["t", *(f"{key}{value}" for key, value in settings.items())])
    status = "failed" if docs_per_s is None else "ok"
    return Trial(name, settings, "search" if settings else "untuned", status, docs_per_s, 1.0)  # type: ignore[arg-type]


UNTUNED = trial(1.0)


def test_the_best_is_the_fastest_that_came_through() -> None:
    assert best_of([UNTUNED, trial(2.0, a=1), trial(None, b=1)]) == trial(2.0, a=1)
    assert best_of([trial(None)]) is None


def test_of_equally_fast_ones_the_fewest_changes_are_best() -> None:
    assert best_of([UNTUNED, trial(2.0, a=1, b=1), trial(2.0, a=1)]) == trial(2.0, a=1)


def test_what_gained_most_alone_comes_first_and_what_was_not_tried_alone_last() -> None:
    trials = [trial(1.1, a=1), trial(1.3, b=1), trial(9.0, c=2), trial(None, d=1)]
    assert list(ordered({"d": 1, "c": 1, "a": 1, "b": 1}, trials)) == ["b", "a", "d", "c"]


def test_prefixes_end_with_all_of_it() -> None:
    assert prefixes({"a": 1, "b": 2}) == [{"a": 1}, {"a": 1, "b": 2}]
    assert prefixes({}) == []


def test_a_step_is_the_factor_over_the_one_before() -> None:
    way = steps(UNTUNED, {"a": 1, "b": 1}, [UNTUNED, trial(2.0, a=1), trial(3.0, b=1, a=1)])
    assert [(step.setting, step.gain) for step in way] == [(None, None), ("a", 2.0), ("b", 1.5)]


def test_the_way_ends_before_what_did_not_come_through() -> None:
    way = steps(UNTUNED, {"a": 1, "b": 1}, [UNTUNED, trial(None, a=1), trial(3.0, a=1, b=1)])
    assert [step.setting for step in way] == [None]


def test_there_is_no_way_from_an_untuned_row_that_failed() -> None:
    assert steps(trial(None), {"a": 1}, [trial(2.0, a=1)]) == ()


def test_what_gains_no_more_than_noise_is_left_out() -> None:
    changes = {"a": 1, "b": 1, "c": 1}
    way = steps(UNTUNED, changes, [trial(2.0, a=1), trial(2.005, a=1, b=1), trial(1.9, a=1, b=1, c=1)])
    assert worthwhile(way, changes) == {"a": 1}


def test_what_the_way_misses_stays() -> None:
    changes = {"a": 1, "b": 1}
    assert worthwhile(steps(UNTUNED, changes, [trial(None, a=1)]), changes) == changes


def test_fewer_changes_are_settled_on_where_they_are_as_fast_but_for_noise() -> None:
    trials = [UNTUNED, trial(2.0, a=1), trial(2.005, a=1, b=1)]
    assert settled(trials, {"a": 1}) == trials[1]


def test_a_setting_whose_own_step_gained_nothing_stays_where_leaving_it_out_costs() -> None:
    # a does nothing alone, and b nothing without a
    trials = [UNTUNED, trial(1.001, a=1), trial(1.5, a=1, b=1), trial(0.99, b=1)]
    way = steps(UNTUNED, {"a": 1, "b": 1}, trials)
    kept = worthwhile(way, {"a": 1, "b": 1})
    assert kept == {"b": 1}
    assert settled(trials, kept) == trials[2]


def test_a_gain_of_noise_alone_leaves_the_untuned_row() -> None:
    trials = [UNTUNED, trial(1.004, a=1)]
    assert settled(trials, {"a": 1}) == UNTUNED


def test_fewer_changes_that_did_not_come_through_are_not_settled_on() -> None:
    trials = [UNTUNED, trial(None, a=1), trial(2.0, a=1, b=1)]
    assert settled(trials, {"a": 1}) == trials[2]
    assert settled([trial(None)], {}) is None
