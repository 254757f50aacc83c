"""Tables of the page that are what Markdown shows, in cells that sort."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.report.figures import UNKNOWN
from pipeline.report.html.cells import Cell, unknown
from pipeline.report.imported import FLAG
from pipeline.report.markup import Column

LONGEST_WORD = 32
"""Characters of a cell's text that stay on one line."""


@dataclass(frozen=True)
class Sheet:
    """headers: each with its unit, if it has one, and whether its cells are text. lead, notes: sentences around it."""

    heading: str
    notes: tuple[str, ...]
    headers: tuple[tuple[str, str | None, bool], ...]
    rows: tuple[tuple[Cell, ...], ...]
    lead: str | None = None


def make_sheet(
    heading: str, notes: tuple[str, ...], columns: Sequence[Column[Any]], items: Sequence[Any], lead: str | None = None
) -> Sheet:
    """The items in the columns of which any of them has a figure."""
    shown = [column for column in columns if any(column.cell(item) != UNKNOWN for item in items)]
    return Sheet(
        heading,
        notes,
        tuple((name[0].upper() + name[1:], unit or None, column.text) for column, name, unit in map(_parts, shown)),
        tuple(tuple(_cell(column.cell(item)) for column in shown) for item in items),
        lead,
    )


def _parts(column: Column[Any]) -> tuple[Column[Any], str, str]:
    name, _, unit = column.header.partition(", ")
    return column, name, unit


def _cell(text: str) -> Cell:
    if text == UNKNOWN:
        return unknown("there was none, or it was not recorded")
    plain = text.replace(",", "").lstrip("<>").removesuffix(FLAG)
    try:
        return Cell(text, float(plain))
    except ValueError:
        return Cell(text, text, prose=len(text) > LONGEST_WORD)
