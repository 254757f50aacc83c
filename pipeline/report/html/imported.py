"""What was imported from old files, as the page's table."""

from pipeline.report import imported
from pipeline.report.html.sheets import Sheet, make_sheet
from pipeline.report.model import Report


def imported_sheet(report: Report) -> Sheet | None:
    """The rows, with what contradicts itself in their files below; None where nothing was imported."""
    if not report.imported:
        return None
    lead, *notes = imported.NOTES
    notes += imported.remarks(report.imported)
    return make_sheet(imported.HEADING, tuple(notes), imported.COLUMNS, report.imported, lead)
