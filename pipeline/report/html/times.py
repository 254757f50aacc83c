"""Where the time went, as the page's tables: what Markdown shows, in cells that sort."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.report import shards, times
from pipeline.report.figures import UNKNOWN
from pipeline.report.html.cells import Cell, unknown
from pipeline.report.markup import Column
from pipeline.report.model import Report


@dataclass(frozen=True)
class TimeTable:
    """headers: each with its unit, if it has one, and whether its cells are text."""

    heading: str
    note: str
    headers: tuple[tuple[str, str | None, bool], ...]
    rows: tuple[tuple[Cell, ...], ...]


def time_tables(report: Report) -> tuple[TimeTable, ...]:
    """Of shards, jobs and commands; none where nothing is known. Columns without any figure are left out."""
    several = len(report.runs) > 1
    found = (
        ("Shards", shards.NOTE, shards.COLUMNS, report.shards),
        ("Jobs", times.JOBS_NOTE, times.JOBS, report.job_times),
        ("Commands", times.COMMANDS_NOTE, times.COMMANDS, report.command_times),
    )
    return tuple(_table(heading, note, several, columns, items) for heading, note, columns, items in found if items)


def _table(heading: str, note: str, several: bool, columns: Sequence[Column[Any]], items: Sequence[Any]) -> TimeTable:
    shown = [
        column
        for column in (columns if several else columns[1:])
        if any(column.cell(item) != UNKNOWN for item in items)
    ]
    return TimeTable(
        heading,
        note,
        tuple((name[0].upper() + name[1:], unit or None, column.text) for column, name, unit in map(_parts, shown)),
        tuple(tuple(_cell(column.cell(item)) for column in shown) for item in items),
    )


def _parts(column: Column[Any]) -> tuple[Column[Any], str, str]:
    name, _, unit = column.header.partition(", ")
    return column, name, unit


def _cell(text: str) -> Cell:
    if text == UNKNOWN:
        return unknown("there was none, or it was not recorded")
    plain = text.replace(",", "").lstrip("<>")
    try:
        return Cell(text, float(plain))
    except ValueError:
        return Cell(text, text)
