"""Where the time went, as the page's tables: what Markdown shows, in cells that sort."""

from pipeline.report import shards, times
from pipeline.report.html.sheets import Sheet, make_sheet
from pipeline.report.model import Report


def time_tables(report: Report) -> tuple[Sheet, ...]:
    """Of shards, jobs and commands; none where nothing is known. Columns without any figure are left out."""
    several = len(report.runs) > 1
    found = (
        ("Shards", shards.NOTE, shards.COLUMNS, report.shards),
        ("Jobs", times.JOBS_NOTE, times.JOBS, report.job_times),
        ("Commands", times.COMMANDS_NOTE, times.COMMANDS, report.command_times),
    )
    return tuple(
        make_sheet(heading, (note,), columns if several else columns[1:], items)
        for heading, note, columns, items in found
        if items
    )
