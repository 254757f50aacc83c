"""The tables in the terminal. With report/live.py the only module that imports rich."""

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

from pipeline.report import figures, imported, shards
from pipeline.report.figures import number
from pipeline.report.model import Note, Report, Row, Standing, Table
from pipeline.report.section import Section

LOG_COLUMNS = 160
"""Of a pipe or a file, which have no width of their own."""
PICTURE_COLUMNS = 130

_PADDING = 1
_DIVIDER = 1
_EDGE = 1


@dataclass(frozen=True)
class _Column:
    """header: at most two lines. keep: columns with a lower figure are dropped first where the terminal is narrow.

    quality: of what was written; left out on random weights.
    """

    header: str
    cell: Callable[[Row], str]
    keep: int
    justify: Literal["left", "right"] = "right"
    quality: bool = False

    def width(self, rows: Sequence[Row]) -> int:
        return max(cell_len(text) for text in (*self.header.split("\n"), *(self.cell(row) for row in rows)))


_COLUMNS = (
    _Column("experiment", lambda row: figures.name(row.experiment), 100, "left"),
    _Column("optimisation", lambda row: figures.name(row.optimization), 40, "left"),
    _Column("docs/s", lambda row: figures.speed(figures.value(row.docs_per_s)), 100),
    _Column("GPU", lambda row: figures.name(row.gpu), 80, "left"),
    _Column("ROUGE-1\nF1", lambda row: number(row.score("rouge1_f1"), 3), 90, quality=True),
    _Column("times\nbaseline", lambda row: figures.times(row.speed_ratio), 65),
    _Column("95%\ninterval", lambda row: figures.ends(figures.interval(row.speed_ratio), 2), 25),
    _Column("gate", figures.verdict, 55, "left", quality=True),
    _Column("shards", figures.shards, 70),
    _Column("dtype", lambda row: figures.name(row.dtype), 35, "left"),
    _Column("batch\nsize", lambda row: figures.name(row.batch_size), 45),
    _Column("memory\nGiB", lambda row: figures.gib(row.memory.peak), 60),
    _Column("J/doc", lambda row: number(row.energy_per_doc_j, 1), 28),
    _Column("cost of\n1,000", lambda row: number(row.cost_per_1000, 3), 29),
    _Column("of the\nlimit", figures.share_of_limit, 26),
    _Column("load\ns", lambda row: number(row.time.load, 1), 30),
    _Column("output\ntokens/s", lambda row: number(row.output_tokens_per_s, 1), 50),
    _Column("status", figures.status, 70, "left"),
)

_ALWAYS = 80
"""Columns worth as much stand there even without a figure."""

_STYLES: dict[Standing, str] = {"below": "yellow", "failed": "red", "skipped": "dim"}


def show(report: Report) -> None:
    """Print the report on standard output."""
    console = Console()
    render(report, console if console.is_terminal else Console(width=LOG_COLUMNS))


def show_sections(lead: Sequence[str], sections: Sequence[Section]) -> None:
    """Print sentences, the first of them bold, and the sections below them that are for a terminal."""
    console = Console()
    console = console if console.is_terminal else Console(width=LOG_COLUMNS)
    for place, sentence in enumerate(lead):
        style = "dim" if place else "bold"
        console.print(Padding(Text(figures.one_line(sentence), style=style), (0 if place else 1, _EDGE)))
    for section in sections:
        if not section.document_only:
            _print_whole(section, console)


def _print_whole(section: Section, console: Console) -> None:
    console.print(Padding(Text(section.heading, style="bold"), (1, _EDGE, 0, _EDGE)))
    _print_section(section, console)


def _print_section(section: Section, console: Console) -> None:
    if section.items:
        console.print(_sheet(section))
    for text in (*section.sentences, *(f"· {entry}" for entry in section.entries)):
        console.print(Padding(Text(figures.one_line(text)), (0, _EDGE)))
    for command in section.commands:  # whole, so that it can be copied
        console.print(Text(figures.one_line(command), style="green"), soft_wrap=True)


def _sheet(section: Section) -> Grid:
    """The columns with a figure; what is wider than the terminal is wrapped."""
    grid = Grid(box=box.HORIZONTALS, padding=(0, _PADDING, 0, 0), border_style="dim", header_style="bold")
    shown = [
        column for column in section.columns if any(column.cell(item) != figures.UNKNOWN for item in section.items)
    ]
    for column in shown:
        grid.add_column(column.header, justify="left" if column.text else "right", vertical="bottom", overflow="fold")
    for item in section.items:
        grid.add_row(*(Text(figures.one_line(column.cell(item))) for column in shown))
    return grid


def save_picture(report: Report, path: Path, title: str) -> None:
    """Write what a terminal shows as an SVG picture."""
    console = Console(width=PICTURE_COLUMNS, record=True, file=io.StringIO(), force_terminal=True)
    render(report, console)
    console.save_svg(str(path), title=title)


def render(report: Report, console: Console) -> None:
    """Print the answer and each table, with what stands below the line, failures, skips and notes below it.

    Where the terminal is narrow, the least important columns are left out; no cell is wrapped.
    """
    for label in report.labels:
        console.print(Padding(Text(figures.one_line(label), style="bold yellow"), (1, _EDGE, 0, _EDGE)))
    for table in report.tables:
        console.print()
        _print_heading(table, console)
        console.print(_grid(table, console.width))
        for word, standing in (("below the line", "below"), ("failed", "failed"), ("skipped", "skipped")):
            _print_reasons(word, [row for row in table.rows if row.standing == standing], console)
        _print_notes(table.notes, console)
    if report.shards:
        first = 0 if len(report.runs) > 1 else 1  # the column that names the run
        _print_whole(Section("shards", shards.COLUMNS[first:], report.shards), console)
    if report.imported:
        _print_whole(imported.terminal_section(report.imported), console)
    console.print(Padding(Text(figures.one_line(report.answer), style="bold"), (1, _EDGE)))


def _print_heading(table: Table, console: Console) -> None:
    work = table.workload
    facts = [
        figures.model(table),
        work.dataset,
        figures.plural(work.docs, "document"),
        f"at most {figures.plural(work.max_new_tokens, 'new token')}",
        f"launcher {table.launcher}",
    ]
    place = f" on {figures.one_line(table.gpu)}: {figures.title(table)}"
    heading = Text.assemble((table.scenario, "bold"), place)
    console.print(Padding(heading, (0, _EDGE)))
    console.print(Padding(Text(figures.one_line(" · ".join(facts)), style="dim"), (0, _EDGE)))


def _grid(table: Table, width: int) -> Grid:
    rows, columns = table.rows, _fitting(table, width)
    grid = Grid(box=box.HORIZONTALS, padding=(0, _PADDING, 0, 0), border_style="dim", header_style="bold")
    for column in columns:
        grid.add_column(column.header, justify=column.justify, no_wrap=True, vertical="bottom", overflow="ellipsis")
    fastest = next((row for row in rows if row.standing == "ranked" and row.docs_per_s is not None), None)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        cells = [Text(column.cell(row), style=_style(column, row, row is fastest)) for column in columns]
        grid.add_row(*cells, end_section=following is not None and _section(row) != _section(following))
    return grid


def _fitting(table: Table, width: int) -> list[_Column]:
    """The columns with a figure that fit beside each other, in their order; the most important one always."""
    columns = [
        column
        for column in _COLUMNS
        if (column.keep >= _ALWAYS or any(column.cell(row) != figures.UNKNOWN for row in table.rows))
        and not (table.synthetic and column.quality)
    ]
    while len(columns) > 1 and _total_width(columns, table.rows) > width:
        columns.remove(min(columns, key=lambda column: column.keep))
    return columns


def _total_width(columns: Sequence[_Column], rows: Sequence[Row]) -> int:
    widths = [column.width(rows) + _PADDING for column in columns]
    return sum(widths) + _DIVIDER * (len(widths) - 1) + 2 * _EDGE


def _section(row: Row) -> str:
    return "not ok" if row.status != "ok" else row.standing


def _style(column: _Column, row: Row, fastest: bool) -> str:
    if row.status != "ok":
        return _STYLES[row.standing] if column.header in ("experiment", "status") else "dim"
    if row.standing in ("reference", "unranked"):
        return "italic cyan"
    if fastest and column.header == "docs/s":
        return "bold green"
    if row.standing == "below" and column.header in ("gate", "status"):
        return _STYLES["below"]
    return "bold" if column.header in ("experiment", "docs/s") else ""


def _print_reasons(word: str, rows: Sequence[Row], console: Console) -> None:
    """What stands below the line, failed or was skipped and why, the hint and the logs below it."""
    if not rows:
        return
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for row in rows:
        text = Text(figures.one_line(row.below_because) if row.below_because else figures.reason(row.failure))
        if row.failure and row.failure.hint:
            text.append(f"\n→ {figures.one_line(row.failure.hint)}", style="green")
        for log in figures.logs(row):
            text.append(f"\nlog: {figures.one_line(log)}", style="dim")
        grid.add_row(Text(figures.name(row.experiment), style=_STYLES[row.standing]), text)
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
