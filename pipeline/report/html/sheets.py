"""Tables of the page that are what Markdown shows, in cells that sort: where the time went, and what was imported."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.report import imported, times
from pipeline.report.figures import UNKNOWN
from pipeline.report.html.cells import Cell, unknown
from pipeline.report.markup import Column
from pipeline.report.model import Report

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


def time_sheets(report: Report) -> tuple[Sheet, ...]:
    """Of the jobs and of the commands; none where nothing is known. Columns without any figure are left out."""
    several = len(report.runs) > 1
    found = (
        ("Jobs", times.JOBS_NOTE, times.JOBS, report.job_times),
        ("Commands", times.COMMANDS_NOTE, times.COMMANDS, report.command_times),
    )
    return tuple(
        _sheet(heading, (note,), columns if several else columns[1:], items)
        for heading, note, columns, items in found
        if items
    )


def imported_sheet(report: Report) -> Sheet | None:
    """What was imported, with what contradicts itself in it; None where nothing was."""
    if not report.imported:
        return None
    lead, *notes = imported.NOTES
    sheet = _sheet(imported.HEADING, (*notes, *imported.remarks(report.imported)), imported.COLUMNS, report.imported)
    return replace(sheet, lead=lead)


def _sheet(heading: str, notes: tuple[str, ...], columns: Sequence[Column[Any]], items: Sequence[Any]) -> Sheet:
    shown = [column for column in columns if any(column.cell(item) != UNKNOWN for item in items)]
    return Sheet(
        heading,
        notes,
        tuple((name[0].upper() + name[1:], unit or None, column.text) for column, name, unit in map(_parts, shown)),
        tuple(tuple(_cell(column.cell(item)) for column in shown) for item in items),
    )


def _parts(column: Column[Any]) -> tuple[Column[Any], str, str]:
    name, _, unit = column.header.partition(", ")
    return column, name, unit


def _cell(text: str) -> Cell:
    if text == UNKNOWN:
        return unknown("there was none, or it was not recorded")
    plain = text.replace(",", "").lstrip("<>").removesuffix(imported.FLAG)
    try:
        return Cell(text, float(plain))
    except ValueError:
        return Cell(text, text, prose=len(text) > LONGEST_WORD)
