"""From the baseline at one document a time to the fastest row, factor by factor: each of two rows that differ in one
thing.

Pure functions over rows that were measured and rows that could be. A step between two rows of which one was not
measured has no factor.
"""

import heapq
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.comparison.estimates import Estimate
from pipeline.comparison.speed_configuration import FIELDS, Configuration, Thing, difference
from pipeline.comparison.statistics import speed, speed_ratio


@dataclass(frozen=True)
class Measured:
    """A row with its speed, over all its launches.

    launches: docs/s by the launch's number. spread: the lowest and the highest docs/s of a single repeat, over all
    launches; None with one repeat in all. chosen_from: the dataset and seed of its documents, of which a smaller number
    is part of a larger one. software: versions of what its engine is made of, by package.
    """

    experiment: str
    configuration: Configuration
    launches: Mapping[int, float]
    documents: int
    repeats: int = 1
    spread: tuple[float, float] | None = None
    chosen_from: str | None = None
    scenario: str = "offline"
    prompt_tokens_mean: float | None = None
    output_tokens_mean: float | None = None
    software: Mapping[str, str] = field(default_factory=dict)

    @property
    def docs_per_s(self) -> Estimate:
        """Over launches."""
        found = speed(list(self.launches.values()))
        assert found is not None  # rows without a speed are left out before
        return found


@dataclass(frozen=True)
class Unmeasured:
    """A row that no result is of. documents: how many to measure it over."""

    experiment: str
    configuration: Configuration
    documents: int


Row = Measured | Unmeasured

_Queued = tuple[int, int, int, tuple[tuple[str, int], ...], tuple[int, ...]]
"""A way that was begun: rows not measured, steps, documents (negative, so that more come first), names and places."""


@dataclass(frozen=True)
class Factor:
    """Two rows that were measured and differ in one thing.

    ratio: docs/s of after over before, launch by launch. shared: how many of their documents are the same; None where
    that can't be told. software: what else differs, as versions.
    """

    thing: Thing
    before: Measured
    after: Measured
    ratio: Estimate
    shared: int | None
    software: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """From one row to the next. factor: None where one of them was not measured. share: of the whole way, on a
    logarithmic scale; None where the whole or the factor isn't known."""

    thing: Thing
    before: Row
    after: Row
    factor: Factor | None = None
    share: float | None = None


@dataclass(frozen=True)
class Way:
    """The steps from the baseline towards the fastest row.

    reached: where they end: the fastest row, unless no row of the catalogue, measured or not, leads there. total: the
    fastest row's docs/s over the baseline's, None where that wasn't measured. explained: the product of the factors
    that are known.
    """

    baseline: Row
    fastest: Measured
    reached: Row
    steps: tuple[Step, ...]
    total: Estimate | None
    explained: float

    @property
    def missing(self) -> tuple[Unmeasured, ...]:
        """The rows of the way that were not measured, in its order."""
        ends = [self.baseline, *(step.after for step in self.steps)]
        return tuple(row for row in ends if isinstance(row, Unmeasured))


def find_way(baseline: Row, measured: Sequence[Measured], candidates: Sequence[Unmeasured]) -> Way:
    """The way from the baseline to the fastest measured row that takes the fewest rows not measured, then the fewest
    steps, then the most documents; of several the first by name.

    Where none leads there, the way to the fastest row that is reached.
    """
    fastest, *slower = sorted(measured, key=lambda row: -row.docs_per_s.value)
    others: tuple[Row, ...] = (*measured, *candidates)
    rows = [baseline, *(row for row in others if row != baseline)]
    goals: list[Row] = [fastest, *slower, baseline]
    path = next(path for goal in goals if (path := _shortest(baseline, goal, rows)) is not None)
    total = ratio_of(baseline, fastest) if isinstance(baseline, Measured) else None
    steps = tuple(_step(before, after, total) for before, after in itertools.pairwise(path))
    explained = math.prod(step.factor.ratio.value for step in steps if step.factor)
    return Way(baseline, fastest, path[-1], steps, total, explained)


def other_factors(baseline: Configuration, measured: Sequence[Measured], steps: Sequence[Step]) -> tuple[Factor, ...]:
    """Every other pair that differs in one thing, by thing; of batch sizes those next to each other alone.

    From the row that is as the baseline in that thing, or from the smaller batch, to the other.
    """
    used = {frozenset({id(step.before), id(step.after)}) for step in steps}
    found = []
    for place, one in enumerate(measured):
        for other in measured[place + 1 :]:
            thing = difference(one.configuration, other.configuration)
            if thing is None or {id(one), id(other)} in used:
                continue
            if thing != "batching" or _neighbours(one, other, measured):
                found.append(_factor(thing, *sorted((one, other), key=lambda row: _rank(row, thing, baseline))))
    return tuple(
        sorted(found, key=lambda factor: (list(FIELDS).index(factor.thing), _name(factor.before), _name(factor.after)))
    )


def ratio_of(before: Measured, after: Measured) -> Estimate:
    """How many times as fast as `before`, over launches of the same number where there are such."""
    found = speed_ratio(after.launches, before.launches)
    assert found is not None
    return found


def _shortest(start: Row, goal: Row, rows: Sequence[Row]) -> tuple[Row, ...] | None:
    """By Dijkstra's algorithm: a step costs one at least, so that more documents never make up for a longer way.

    rows: the start first.
    """
    queue: list[_Queued] = [(int(isinstance(start, Unmeasured)), 0, 0, (_name(start),), (0,))]
    done: set[int] = set()
    while queue:
        unmeasured, steps, documents, names, path = heapq.heappop(queue)
        here = rows[path[-1]]
        if here is goal:
            return tuple(rows[place] for place in path)
        if path[-1] in done:
            continue
        done.add(path[-1])
        for place, row in enumerate(rows):
            if place not in done and difference(here.configuration, row.configuration) is not None:
                more, known = unmeasured + isinstance(row, Unmeasured), documents - row.documents
                heapq.heappush(queue, (more, steps + 1, known, (*names, _name(row)), (*path, place)))
    return None


def _name(row: Row) -> tuple[str, int]:
    return row.experiment, row.configuration.batch


def _step(before: Row, after: Row, total: Estimate | None) -> Step:
    thing = difference(before.configuration, after.configuration)
    assert thing is not None  # what a way is made of
    if isinstance(before, Unmeasured) or isinstance(after, Unmeasured):
        return Step(thing, before, after)
    factor = _factor(thing, before, after)
    known = total is not None and total.value not in (0.0, 1.0)
    share = math.log(factor.ratio.value) / math.log(total.value) if total is not None and known else None
    return Step(thing, before, after, factor, share)


def _factor(thing: Thing, before: Measured, after: Measured) -> Factor:
    same = before.chosen_from is not None and before.chosen_from == after.chosen_from
    # between two engines it is a matter of course that the software differs
    kept = before.configuration.engine == after.configuration.engine
    return Factor(
        thing,
        before,
        after,
        ratio_of(before, after),
        shared=min(before.documents, after.documents) if same else None,
        software=_versions_that_differ(before, after) if kept else (),
    )


def _versions_that_differ(before: Measured, after: Measured) -> tuple[str, ...]:
    """Such as "torch 2.10.0 to 2.11.0"."""
    common = sorted(before.software.keys() & after.software.keys())
    pairs = ((name, before.software[name], after.software[name]) for name in common)
    return tuple(f"{name} {mine} to {its}" for name, mine, its in pairs if mine != its)


def _neighbours(one: Measured, other: Measured, rows: Sequence[Measured]) -> bool:
    """Whether no row of the same configuration was measured at a batch size between theirs."""
    low, high = sorted((one.configuration.batch, other.configuration.batch))
    alike = [row for row in rows if difference(one.configuration, row.configuration) == "batching"]
    return not any(low < row.configuration.batch < high for row in alike)


def _rank(row: Measured, thing: Thing, baseline: Configuration) -> tuple[bool, int, str, tuple[str, int]]:
    """What comes first in a pair: what the baseline has, then smaller numbers, then the first by name."""
    value, its = getattr(row.configuration, FIELDS[thing]), getattr(baseline, FIELDS[thing])
    return thing != "batching" and value != its, value if isinstance(value, int) else 0, str(value), _name(row)
