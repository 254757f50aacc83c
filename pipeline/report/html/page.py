"""The report's page: one file with its style, script, charts and documents inside, that asks nobody for anything."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.figures import one_line, printable
from pipeline.report import figures
from pipeline.report.across import grouped
from pipeline.report.html import bars, columns, distributions, pareto, speeds
from pipeline.report.html.cells import Cell, estimate, figure
from pipeline.report.html.columns import Group
from pipeline.report.html.documents import documents_json, table_names
from pipeline.report.html.drawing import Chart
from pipeline.report.html.imported import imported_sheet
from pipeline.report.html.keyfigures import KeyFigure, key_figures
from pipeline.report.html.times import time_tables
from pipeline.report.model import Launch, Report, Row, Standing, Table
from pipeline.results import LOG_FILE

ASSETS = Path(__file__).parent / "assets"
LONGEST_MESSAGE = 2000

_STANDINGS: tuple[tuple[Standing, str | None], ...] = (
    ("ranked", None),
    ("below", "Below the line: not shown to keep the quality, or not comparable"),
    ("unranked", "Published settings: reproduced, never ranked"),
    ("reference", "Reference: runs no model"),
)


@dataclass(frozen=True)
class Section:
    """Rows of one standing, each with its cells by group. heading: None for the ranked ones."""

    heading: str | None
    rows: tuple[tuple[Row, tuple[tuple[str, Cell], ...]], ...]


@dataclass(frozen=True)
class View:
    """A table as the page shows it. id: unique in the page. name: what tells it from the others. left_out: columns in
    which no row has a figure."""

    id: str
    table: Table
    name: str
    groups: tuple[Group, ...]
    left_out: tuple[str, ...]
    sections: tuple[Section, ...]
    charts: tuple[Chart, ...]
    failed: tuple[Row, ...]
    skipped: tuple[Row, ...]
    explained: tuple[Row, ...]
    key_figures: tuple[KeyFigure, ...]


def render(report: Report) -> str:
    """The whole page. Text of documents, models, logs and machines stays text, whatever it holds."""
    style = Markup((ASSETS / "page.css").read_text("utf-8"))
    # the page's own after what it uses
    script = Markup("").join(Markup((ASSETS / name).read_text("utf-8")) for name in ("documents.js", "page.js"))
    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_without_control,
    )
    environment.filters.update(
        line=one_line, plural=figures.plural, log_link=log_link, title=figures.title, model=figures.model
    )
    names = table_names(report.tables)
    views = [_view(report, table, f"table-{place}", names[place]) for place, table in enumerate(report.tables)]
    return environment.get_template("page.html").render(
        report=report,
        views=views,
        prompts=tuple(dict.fromkeys(table.workload.prompt for table in report.tables if table.model)),
        workloads=tuple(
            dict.fromkeys((w.dataset, w.documents_sha256, w.seed) for w in (table.workload for table in report.tables))
        ),
        across=grouped(report.across),
        times=time_tables(report),
        imported=imported_sheet(report),
        style=style,
        script=script,
        policy=_policy(style, script),
        documents=Markup(documents_json(report)),
        cell=_CELLS,
        longest_message=LONGEST_MESSAGE,
    )


def log_link(launch: Launch) -> str:
    """Where a launch's log is, as seen from the run's folder, which the page lies in."""
    return quote(f"../{launch.folder}/{LOG_FILE}")


_CELLS = {"estimate": estimate, "figure": figure}


def _view(report: Report, table: Table, name: str, shown_as: str) -> View:
    shown = [row for row in table.rows if row.standing not in ("failed", "skipped")]
    groups, left_out = columns.known(columns.groups(report, table), shown)
    charts = (
        pareto.draw(table, f"{name}-pareto"),
        speeds.draw(table, f"{name}-speed"),
        bars.memory(table, f"{name}-memory"),
        distributions.draw(table, f"{name}-latency"),
        bars.time(table, f"{name}-time"),
    )
    return View(
        id=name,
        table=table,
        name=shown_as,
        groups=tuple(groups),
        left_out=tuple(left_out),
        sections=tuple(
            Section(title, rows) for standing, title in _STANDINGS if (rows := _rows(shown, standing, groups))
        ),
        charts=tuple(chart for chart in charts if chart is not None),
        failed=tuple(row for row in table.rows if row.standing == "failed"),
        skipped=tuple(row for row in table.rows if row.standing == "skipped"),
        explained=tuple(row for row in table.rows if row.explanation),
        key_figures=key_figures(table),
    )


def _rows(
    rows: Sequence[Row], standing: Standing, groups: Sequence[Group]
) -> tuple[tuple[Row, tuple[tuple[str, Cell], ...]], ...]:
    return tuple(
        (row, tuple((group.name, column.cell(row)) for group in groups for column in group.columns))
        for row in rows
        if row.standing == standing
    )


def _without_control(value: object) -> object:
    """What is written into the page, without characters that control a terminal or turn text around."""
    return printable(value) if type(value) is str else value


def _policy(style: str, script: str) -> str:
    """A Content-Security-Policy under which nothing runs, and nothing is fetched, but what the page was made with."""
    sources = {"default-src": "'none'", "script-src": _hash(script), "style-src": _hash(style)}
    sources |= {"base-uri": "'none'", "form-action": "'none'"}
    return "; ".join(f"{name} {value}" for name, value in sources.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
