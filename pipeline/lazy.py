"""Sequences that hold no items: each is read when it is taken, so many need no more memory than few."""

from array import array
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeVar, overload

T = TypeVar("T")

FEW = 10_000
"""Numbers that are not worth importing numpy for, which takes a tenth of a second."""


class Picked(Sequence[T]):
    """The items of another sequence at these positions, in this order. A part of it is one too.

    source, positions: as given; a Picked of a Picked refers to what the first one does.
    """

    def __init__(self, source: Sequence[T], positions: Sequence[int]) -> None:
        picked: Picked[T] | None = source if isinstance(source, Picked) else None
        self.source: Sequence[T] = picked.source if picked else source
        self.positions: Sequence[int] = _composed(picked.positions, positions) if picked else positions

    def __len__(self) -> int:
        return len(self.positions)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return Picked(self.source, self.positions[index])
        return self.source[self.positions[index]]


def _composed(outer: Sequence[int], inner: Sequence[int]) -> Sequence[int]:
    """What the inner positions are of the outer ones; no copy where one of them is all that there is, in order."""
    if isinstance(outer, range) and outer == range(len(outer)):
        return inner
    if isinstance(inner, range) and inner == range(len(outer)):
        return outer
    return array("q", (outer[position] for position in inner))


def ascending(keys: "array[int] | array[float]") -> Sequence[int]:
    """The positions of these keys from the least to the largest, of equal ones in their order.

    Of many keys no Python object each is made, which would be several times as large as the keys.
    """
    if len(keys) <= FEW:
        return array("q", sorted(range(len(keys)), key=keys.__getitem__))
    import numpy

    positions: Sequence[int] = memoryview(numpy.argsort(numpy.frombuffer(keys, dtype=keys.typecode), kind="stable"))
    return positions


def put_in_order(keys: "array[Any]") -> None:
    """From the least to the largest, where they are: of many keys no second copy is made."""
    if len(keys) <= FEW:
        keys[:] = array(keys.typecode, sorted(keys))
        return
    import numpy

    numpy.frombuffer(keys, dtype=keys.typecode).sort()


def repeated(keys: "array[int]") -> set[int]:
    """Those that stand there more than once. They are put in order, see put_in_order."""
    put_in_order(keys)
    return {one for one, other in pairwise(keys) if one == other}
