"""Decoding is strict, and says where the fault is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from pipeline import codec
from pipeline.errors import UsageError


@dataclass(frozen=True)
class Inner:
    """A nested part."""

    size: int


@dataclass(frozen=True)
class Outer:
    """Every kind of field that the project's files use."""

    name: str
    kind: Literal["a", "b"]
    ratio: float
    inner: Inner | None = None
    items: tuple[Inner, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


GOOD: dict[str, Any] = {
    "name": "x",
    "kind": "a",
    "ratio": 2,
    "inner": {"size": 1},
    "items": [{"size": 2}],
    "extra": {"deep": [1]},
}


def test_what_is_encoded_decodes_to_the_same_value() -> None:
    value = codec.decode(Outer, GOOD, "file")
    assert codec.decode(Outer, codec.encode(value), "file") == value


def test_a_whole_number_is_accepted_where_a_float_is_expected() -> None:
    assert codec.decode(Outer, GOOD, "file").ratio == 2.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "c"}, r"file\.kind: 'c' is none of 'a', 'b'"),
        ({"name": 3}, r"file\.name: expected str, found 3"),
        ({"inner": {"size": True}}, r"file\.inner\.size: expected int, found True"),
        ({"items": [{"size": 1}, {"size": "2"}]}, r"file\.items\[1\]\.size: expected int, found '2'"),
        ({"items": "ab"}, r"file\.items: expected a list"),
        ({"nmae": "x"}, r"file: unknown field 'nmae'; known are name"),
    ],
)
def test_a_misfit_is_an_error_that_names_its_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        codec.decode(Outer, GOOD | change, "file")


def test_a_missing_field_is_named() -> None:
    with pytest.raises(UsageError, match="file: field 'ratio' is missing"):
        codec.decode(Outer, {"name": "x", "kind": "a"}, "file")
