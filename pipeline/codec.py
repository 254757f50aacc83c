"""Dataclasses to and from plain JSON or YAML values, strictly: what does not fit is an error that names the place."""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union

from pipeline.errors import UsageError
from pipeline.plain import inside, shown

T = TypeVar("T")


def encode(value: Any) -> Any:
    """Plain dicts, lists and scalars for a dataclass (tuples become lists), keys in field order."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    return value


def decode(kind: type[T], value: Any, where: str) -> T:
    """Build the dataclass `kind` from plain values.

    where: how an error names the place, e.g. "experiments.yaml: none".
    Raises UsageError for a missing, unknown or mistyped field.
    """
    return typing.cast(T, _decode(kind, value, where))


def _decode(kind: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if kind is Any or kind is object:
        return value
    if origin is Annotated:
        return _decode_checked(kind, value, where)
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(typing.cast(type, kind), value, where)
    if origin in (Union, types.UnionType):
        return _decode_optional(typing.get_args(kind), value, where)
    if origin is Literal:
        if value not in typing.get_args(kind):
            raise UsageError(f"{where}: {shown(value)} is none of {', '.join(map(repr, typing.get_args(kind)))}")
        return value
    if origin in (tuple, Sequence, list):
        return _decode_list(kind, value, where)
    if origin in (dict, Mapping):
        return _decode_mapping(kind, value, where)
    return _decode_scalar(kind, value, where)


def _decode_dataclass(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where}: expected fields, found {shown(value)}")
    fields, as_they_are, required = _shape(kind)
    if not value.keys() <= fields.keys():
        unknown = next(key for key in value if key not in fields)
        raise UsageError(f"{where}: unknown field {shown(unknown)}; known are {', '.join(fields)}")
    for name in required:
        if name not in value:
            raise UsageError(f"{where}: field {name!r} is missing")
    return kind(
        **{
            name: given
            if (given := value[name]).__class__ in as_they_are[name]
            else _decode(hint, given, inside(where, name))
            for name, hint in fields.items()
            if name in value
        }
    )


def _as_they_are(kind: Any) -> frozenset[type]:
    """The types of values that decode to themselves as this kind, and are not looked at any further."""
    if kind in (str, int, float, bool, type(None)):
        return frozenset([kind])
    if typing.get_origin(kind) in (Union, types.UnionType):
        options = [_as_they_are(option) for option in typing.get_args(kind)]
        return frozenset().union(*options) if all(options) else frozenset()
    return frozenset()


@cache
def _shape(kind: type) -> tuple[Mapping[str, Any], Mapping[str, frozenset[type]], Sequence[str]]:
    """A dataclass's fields' types by name, those of values that _decode leaves as they are, and what must be there."""
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = dataclasses.fields(kind)
    missing = dataclasses.MISSING
    required = [one.name for one in fields if one.default is missing and one.default_factory is missing]
    by_name = {one.name: hints[one.name] for one in fields}
    return by_name, {name: _as_they_are(hint) for name, hint in by_name.items()}, required


def _decode_checked(kind: Any, value: Any, where: str) -> Any:
    """A type with rules beside it (pipeline/names.py): objects with check(value, where), which raises UsageError."""
    plain, *rules = typing.get_args(kind)
    decoded = _decode(plain, value, where)
    for rule in rules:
        rule.check(decoded, where)
    return decoded


def _decode_optional(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    remaining = [option for option in options if option is not type(None)]
    for option in remaining[:-1]:
        try:
            return _decode(option, value, where)
        except UsageError:
            continue
    return _decode(remaining[-1], value, where)


def _decode_list(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, (list, tuple)):
        raise UsageError(f"{where}: expected a list, found {shown(value)}")
    item = typing.get_args(kind)[0]
    items = [_decode(item, entry, inside(where, index)) for index, entry in enumerate(value)]
    return items if typing.get_origin(kind) is list else tuple(items)


def _decode_mapping(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where}: expected fields, found {shown(value)}")
    name, item = typing.get_args(kind)
    return {
        _decode(name, str(key), where): _decode(item, entry, inside(where, str(key))) for key, entry in value.items()
    }


def _decode_scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # bool is a subclass of int, so `true` would pass as 1 without this
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise UsageError(f"{where}: expected {kind.__name__}, found {shown(value)}")
    return value
