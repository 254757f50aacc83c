"""Values from outside (JSON, YAML), held against what the project's own files can hold and hand on.

A plain value is a dict with text keys, a list, text, a finite number that a float can hold, a truth value or None.
What Python's parsers let through beside that (NaN, a key that stands twice, half a surrogate pair, numbers and nesting
without end) would break whoever writes, hashes or prints it later, far from the file that it came from.
"""

import json
import math
import reprlib
from collections import Counter
from typing import Any

from pipeline.errors import UsageError

DEEPEST = 64
"""Levels of dicts and lists."""
LARGEST_INTEGER = 10**300
"""Engines write 10^30 for "no limit"; a float ends at some 10^308."""
KEY_CHARACTERS = 80

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxlevel = 2


def shown(value: Any) -> str:
    """A value as an error shows it: as Python writes it, shortened where it is long or deep."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # more digits than Python writes out
        return f"a number of {value.bit_length()} bits" if isinstance(value, int) else type(value).__name__


def inside(where: str, key: str | int) -> str:
    """How an error names the place of a key, or of a position in a list, within the place `where`."""
    if isinstance(key, int):
        return f"{where}[{key}]"
    return f"{where}.{spelt(key)}"


def spelt(name: str) -> str:
    """A name as an error's place has it: as it is, unless it is long or would not print."""
    return name if name.isprintable() and len(name) <= KEY_CHARACTERS else shown(name)


def parse_json(content: bytes | str, where: str) -> Any:
    """The plain value that a JSON text spells. bytes are UTF-8. A UsageError says what is wrong, after `where`."""
    try:
        text = content.decode() if isinstance(content, bytes) else content
        value = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise UsageError(not_utf8(where, error)) from error
    except RecursionError as error:
        raise UsageError(f"{where}: not valid JSON (nested too deeply)") from error
    except ValueError as error:
        raise UsageError(f"{where}: not valid JSON ({error})") from error
    require_plain(value, where)
    return value


def not_utf8(where: str, error: UnicodeDecodeError) -> str:
    """An error's words for bytes that are not UTF-8."""
    return f"{where}: not UTF-8 ({error.reason} at byte {error.start}); save the file as UTF-8"


def require_plain(value: Any, where: str, depth: int = 0) -> None:
    """Raise a UsageError that names the place of the first thing that is not plain."""
    if isinstance(value, str):
        require_encodable(value, where)
    elif isinstance(value, dict | list):
        if depth == DEEPEST:
            raise UsageError(f"{where}: nested more than {DEEPEST} levels deep")
        if isinstance(value, dict):
            for key, item in value.items():
                _require_key(key, where)
                if not _is_usual(item):
                    require_plain(item, inside(where, key), depth + 1)
        else:
            for index, item in enumerate(value):
                if not _is_usual(item):
                    require_plain(item, inside(where, index), depth + 1)
    elif isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            raise UsageError(f"{where}: {shown(value)} is out of range")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise UsageError(f"{where}: {value} is not a finite number")
    elif value is not None:
        raise UsageError(f"{where}: expected text, a number, a list or fields, found {shown(value)}")


def _is_usual(value: Any) -> bool:
    """Whether it is a plain value at the first look, as almost all are: naming their places would take most time."""
    kind = value.__class__
    return (kind is str and value.isascii()) or value is None or (kind is float and math.isfinite(value))


def require_encodable(text: str, where: str) -> None:
    """Raise a UsageError for half a surrogate pair, which JSON can spell and no file or tokenizer can hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{where}: holds a broken Unicode escape ({error.reason}); mend it") from error


def _require_key(key: Any, where: str) -> None:
    if key.__class__ is str and key.isascii():
        return
    if not isinstance(key, str):
        raise UsageError(f"{where}: field names are text, found {shown(key)}; put it in quotes")
    require_encodable(key, where)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = Counter(name for name, _ in pairs)
        raise ValueError(f"{shown(names.most_common(1)[0][0])} stands twice in one object")
    return fields


_DECODER = json.JSONDecoder(object_pairs_hook=_without_doubles)
