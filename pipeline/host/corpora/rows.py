"""A row of somebody's table, and how a text is taken out of it."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipeline.errors import UsageError
from pipeline.plain import shown, spelt
from pipeline.prepared import Fields

NAMES_SHOWN = 12
_PLACE = re.compile(r"(.+)\[(\d{1,6})\]")


@dataclass(frozen=True)
class Row:
    """values: by column. where: its file and place, for an error. number: from 1, within its file."""

    values: Mapping[str, Any]
    where: str
    number: int


class Path(NamedTuple):
    """A field's name, taken apart. names: to follow, one into the other. place: of the one text of a list that is
    meant, from 0; None for all of them."""

    names: tuple[str, ...]
    place: int | None


def path_of(name: str, columns: Iterable[str]) -> Path:
    """A column of exactly that name, else what the dots reach into: "article.document", or "article.document[0]"."""
    if name in columns:
        return Path((name,), None)
    found = _PLACE.fullmatch(name)
    bare, place = (found[1], int(found[2])) if found else (name, None)
    return Path(tuple(bare.split(".")), place)


def text_at(value: Any, path: Path, *, numbers: bool = False) -> str | None:
    """The text that the path leads to; None where there is none.

    A text stands as it is. Those of a list, or of the sections in one, come to one line, joined with spaces.
    numbers: whether a whole number counts, as its digits. A UsageError, without a place, for anything else.
    """
    texts, of_list = _texts(value, path.names, numbers=numbers)
    if path.place is not None:
        return _joined(texts[path.place : path.place + 1])
    return _joined(texts) if of_list else texts[0]


def _texts(value: Any, names: Sequence[str], *, numbers: bool) -> tuple[list[str | None], bool]:
    """All that are there, and whether there was a list on the way."""
    if isinstance(value, list):
        return [text for item in value for text in _texts(item, names, numbers=numbers)[0]], True
    if value is None:
        return [None], False
    if names:
        if not isinstance(value, Mapping):
            raise UsageError(f"expected fields with {names[0]!r} among them, found {type(value).__name__}")
        return _texts(value.get(names[0]), names[1:], numbers=numbers)
    if numbers and isinstance(value, int) and not isinstance(value, bool):
        return [str(value)], False
    if not isinstance(value, str):
        raise UsageError(f"must be text, or a list of texts, found {type(value).__name__}")
    return [value], False


def _joined(texts: Iterable[str | None]) -> str:
    lines = (line.strip() for text in texts for line in (text or "").splitlines())
    return " ".join(line for line in lines if line)


def missing(where: str, name: str, columns: Sequence[str], option: str | None) -> UsageError:
    """For a column that isn't there. option: what names another, None where nothing does."""
    near = difflib.get_close_matches(name, columns, n=3, cutoff=0.5)
    there = ", ".join(map(spelt, columns[:NAMES_SHOWN])) + ", …" * (len(columns) > NAMES_SHOWN)
    advice = f"; did you mean {' or '.join(map(spelt, near))}?" if near else ""
    mend = f"; name it with {option}" if option else ""
    return UsageError(f"{where}: column {shown(name)}: not there, only {there or 'no column'}{advice}{mend}")


def options_by_field(fields: Fields) -> dict[str, str]:
    """What on the command line names each field of a row."""
    named = {fields.document: "--document-field", fields.summary: "--summary-field"}
    return named | ({fields.id: "--id-field"} if fields.id is not None else {})
