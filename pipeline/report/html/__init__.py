"""The report as one page that needs nothing but a browser, and that page as a PDF."""

from pipeline.report.html.page import render as render
from pipeline.report.html.pdf import to_pdf as to_pdf
