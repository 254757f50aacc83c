"""A report's files, in the formats that it is written in."""

import tempfile
from collections.abc import Collection
from pathlib import Path

from pipeline.files import write_atomically
from pipeline.report import csv_file, markdown
from pipeline.report.model import Report


def write_files(report: Report, folder: Path, formats: Collection[str]) -> dict[str, Path]:
    """Write the report into the folder, each file whole or not at all, and return the files by their format.

    formats: html, md, csv, and pdf, which a browser prints from the page; it is left out where there is none, and one
    of an earlier report goes, which would pass for this one.
    """
    made = {}
    for name, render in (("md", markdown.render), ("csv", csv_file.render)):
        if name in formats:
            made[name] = folder / f"report.{name}"
            write_atomically(made[name], render(report))
    if "html" in formats or "pdf" in formats:
        made |= _page(report, folder, formats)
    return made


def _page(report: Report, folder: Path, formats: Collection[str]) -> dict[str, Path]:
    from pipeline.report import html  # what draws its charts takes a second to import

    made = {}
    pdf = folder / "report.pdf"
    if "pdf" in formats:
        pdf.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as beside:
        page = (folder if "html" in formats else Path(beside)) / "report.html"
        write_atomically(page, html.render(report))
        if "html" in formats:
            made["html"] = page
        if "pdf" in formats and html.to_pdf(page, pdf):
            made["pdf"] = pdf
    return made


def why_no_pdf() -> str:
    """In a line, for whoever asked for one that write_files did not make."""
    from pipeline.report.html.pdf import find_browser

    browser = find_browser()
    why = "no browser was found to print it" if browser is None else f"{browser} did not print the page"
    return f"report.pdf was left out: {why}"
