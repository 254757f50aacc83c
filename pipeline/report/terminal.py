"""The tables in the terminal. The only module that imports rich."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from pipeline.report import figures
from pipeline.report.figures import number
from pipeline.report.notes import Note
from pipeline.report.table import BASELINE, Row, Table

LOG_COLUMNS = 130

_PADDING = 1
_DIVIDER = 1
_EDGE = 1


@dataclass(frozen=True)
class _Column:
    """header: at most two lines. keep: columns with a lower figure are dropped first where the terminal is narrow."""

    header: str
    cell: Callable[[Row], str]
    keep: int
    justify: Literal["left", "right"] = "right"

    def width(self, rows: Sequence[Row]) -> int:
        return max(cell_len(text) for text in (*self.header.split("\n"), *(self.cell(row) for row in rows)))


_COLUMNS = (
    _Column("experiment", lambda row: figures.name(row.experiment), 100, "left"),
    _Column("optimisation", lambda row: figures.name(row.optimization), 40, "left"),
    _Column("docs/s", lambda row: figures.speed(row.docs_per_s), 100),
    _Column(f"against\n{BASELINE}", lambda row: figures.ratio(row.speed_ratio), 20),
    _Column("GPU", lambda row: figures.name(row.gpu), 80, "left"),
    _Column("ROUGE-1\nF1", lambda row: number(row.rouge1_f1, 3), 90),
    _Column("dtype", lambda row: figures.name(row.dtype), 35, "left"),
    _Column("batch\nsize", lambda row: figures.name(row.batch_size), 45),
    _Column("memory\nGiB", lambda row: figures.gib(row.peak_memory_bytes), 60),
    _Column("load\ns", lambda row: number(row.load_s, 1), 30),
    _Column("output\ntokens/s", lambda row: number(row.output_tokens_per_s, 1), 50),
    _Column("status", figures.status, 70, "left"),
)

_STYLES = {"ok": "", "failed": "red", "timed_out": "red", "skipped": "dim"}


def show(tables: Sequence[Table], label: str | None = None) -> None:
    """Print the tables on standard output. A pipe or a log file has no width of its own and gets every column."""
    console = Console()
    render(tables, console if console.is_terminal else Console(width=LOG_COLUMNS), label)


def save_picture(tables: Sequence[Table], path: Path, title: str, label: str | None = None) -> None:
    """Write what a terminal shows as an SVG picture."""
    console = Console(width=LOG_COLUMNS, record=True, file=io.StringIO(), force_terminal=True)
    render(tables, console, label)
    console.save_svg(str(path), title=title)


def render(tables: Sequence[Table], console: Console, label: str | None = None) -> None:
    """Print each table with its failures, skips and notes below it.

    label: what every reader must know first, such as that this is a demo. Where the terminal is narrow, the least
    important columns are left out; no cell is wrapped.
    """
    for table in tables:
        console.print()
        _print_heading(table, console, label)
        console.print(_grid(table.rows, console.width))
        _print_reasons("failed", [row for row in table.rows if row.status in ("failed", "timed_out")], console)
        _print_reasons("skipped", [row for row in table.rows if row.status == "skipped"], console)
        _print_notes(table.notes, console)
    console.print()


def _print_heading(table: Table, console: Console, label: str | None) -> None:
    work = table.workload
    facts = [
        table.model or "no model",
        work.dataset,
        figures.plural(work.docs, "document"),
        f"at most {figures.plural(work.max_new_tokens, 'new token')}",
        f"launcher {table.launcher}",
    ]
    if label:
        console.print(Padding(Text(figures.one_line(label), style="bold yellow"), (0, _EDGE)))
    heading = Text.assemble((table.scenario, "bold"), f": {figures.SCENARIOS[table.scenario]}")
    console.print(Padding(heading, (0, _EDGE)))
    console.print(Padding(Text(figures.one_line(" · ".join(facts)), style="dim"), (0, _EDGE)))


def _grid(rows: Sequence[Row], width: int) -> Grid:
    columns = _fitting(rows, width)
    grid = Grid(box=box.HORIZONTALS, padding=(0, _PADDING, 0, 0), border_style="dim", header_style="bold")
    for column in columns:
        grid.add_column(column.header, justify=column.justify, no_wrap=True, vertical="bottom", overflow="ellipsis")
    fastest = next((row for row in rows if row.ranked and row.status == "ok" and row.docs_per_s is not None), None)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        cells = [Text(column.cell(row), style=_style(column, row, row is fastest)) for column in columns]
        grid.add_row(*cells, end_section=following is not None and _section(row) != _section(following))
    return grid


def _fitting(rows: Sequence[Row], width: int) -> list[_Column]:
    """The columns that fit beside each other, in their order; the most important one always."""
    columns = list(_COLUMNS)
    while len(columns) > 1 and _total_width(columns, rows) > width:
        columns.remove(min(columns, key=lambda column: column.keep))
    return columns


def _total_width(columns: Sequence[_Column], rows: Sequence[Row]) -> int:
    widths = [column.width(rows) + _PADDING for column in columns]
    return sum(widths) + _DIVIDER * (len(widths) - 1) + 2 * _EDGE


def _section(row: Row) -> str:
    return "ranked" if row.status == "ok" and row.ranked else "reference" if row.status == "ok" else "other"


def _style(column: _Column, row: Row, fastest: bool) -> str:
    if row.status != "ok":
        return _STYLES[row.status] if column.header in ("experiment", "status") else "dim"
    if not row.ranked:
        return "italic cyan"
    if fastest and column.header == "docs/s":
        return "bold green"
    return "bold" if column.header in ("experiment", "docs/s") else ""


def _print_reasons(word: str, rows: Sequence[Row], console: Console) -> None:
    """What failed or was skipped and why, the hint and the log below it."""
    if not rows:
        return
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for row in rows:
        text = Text(figures.reason(row.failure))
        if row.failure and row.failure.hint:
            text.append(f"\n→ {figures.one_line(row.failure.hint)}", style="green")
        if figures.has_log(row):
            text.append(f"\nlog: *--{row.key[:8]}/log.txt", style="dim")
        grid.add_row(Text(figures.name(row.experiment), style=_STYLES[row.status]), text)
    console.print(Padding(Text(word, style="bold"), (0, _EDGE)))
    console.print(Padding(grid, (0, _EDGE, 0, _EDGE + 2)))


def _print_notes(notes: Sequence[Note], console: Console) -> None:
    if not notes:
        return
    grid = Grid.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for note in notes:
        style = "yellow" if note.warning else ""
        grid.add_row(Text("!" if note.warning else "·", style=style), Text(figures.one_line(note.text), style=style))
    console.print(Padding(Text("notes", style="bold"), (0, _EDGE)))
    console.print(Padding(grid, (0, _EDGE, 0, _EDGE + 2)))
