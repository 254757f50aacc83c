"""A row of somebody's table, and how a text is taken out of it."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import UsageError
from pipeline.plain import shown, spelt
from pipeline.prepared import Fields

NAMES_SHOWN = 12


@dataclass(frozen=True)
class Row:
    """values: by column. where: its file and place, for an error. number: from 1, within its file."""

    values: Mapping[str, Any]
    where: str
    number: int


def path_of(name: str, columns: Iterable[str]) -> tuple[str, ...]:
    """A field's name as the names to follow: a column of exactly that name, else what the dots reach into."""
    return (name,) if name in columns else tuple(name.split("."))


def text_at(value: Any, names: Sequence[str], *, numbers: bool = False) -> str | None:
    """The text that these names lead to; None where there is none.

    A text stands as it is. Those of a list, or of the sections in one, come to one line, joined with spaces.
    numbers: whether a whole number counts, as its digits. A UsageError, without a place, for anything else.
    """
    if value is None:
        return None
    if isinstance(value, list):
        return _joined(text_at(item, names, numbers=numbers) for item in value)
    if names:
        if not isinstance(value, Mapping):
            raise UsageError(f"expected fields with {names[0]!r} among them, found {type(value).__name__}")
        return text_at(value.get(names[0]), names[1:], numbers=numbers)
    if numbers and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise UsageError(f"must be text, or a list of texts, found {type(value).__name__}")
    return value


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
