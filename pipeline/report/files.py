"""A report's files, in the formats that it is written in."""

import tempfile
from collections.abc import Collection
from pathlib import Path

from pipeline.files import write_atomically
from pipeline.report import csv_file, markdown
from pipeline.report.model import Report


def write_files(report: Report, folder: Path, formats: Collection[str]) -> dict[str, Path]:
    """Write the report into the folder, each file whole or not at all, and return the files by their format.

    formats: html, md, csv, and pdf, which a browser prints from the page; it is left out where there is none.
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
    with tempfile.TemporaryDirectory() as beside:
        page = (folder if "html" in formats else Path(beside)) / "report.html"
        write_atomically(page, html.render(report))
        if "html" in formats:
            made["html"] = page
        if "pdf" in formats and html.to_pdf(page, folder / "report.pdf"):
            made["pdf"] = folder / "report.pdf"
    return made
