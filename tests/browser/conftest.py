"""The system's Chromium, headless, and pages that tell of every request and every error.

Without the browser these tests skip; where the container tests are required (tests/containers/with-engine, which
installs it) they fail instead.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from pipeline.report.html import render
from pipeline.report.html.pdf import find_browser
from pipeline.report.model import Report
from tests.browser.factory import make_report
from tests.containers.support import cannot_run

OpenPage = Callable[..., "Opened"]


@dataclass
class Opened:
    """A page, and what it did unasked. requests: all but its own file."""

    page: Page
    file: Path
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def note(self, url: str) -> None:
        """A request that the browser made."""
        if url.partition("#")[0] != self.file.as_uri():
            self.requests.append(url)


@pytest.fixture(scope="module")  # its event loop would be in the way of other modules' tests
def browser() -> Iterator[Browser]:
    executable = find_browser()
    if executable is None:
        cannot_run("no Chromium on the PATH: apt-get install --no-install-recommends chromium")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=executable, args=arguments)


@pytest.fixture(scope="module")
def report_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a report over 40 documents."""
    return written(make_report(40), tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture
def open_page(browser: Browser, report_file: Path) -> Iterator[OpenPage]:
    """Opens a page from its file in a window of its own; at the end it must have said and asked for nothing."""
    opened = []

    def open_one(file: Path = report_file, fragment: str = "", **window: object) -> Opened:
        page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **window})  # type: ignore[arg-type]
        one = Opened(page, file)
        page.on("console", lambda message: one.errors.append(message.text))
        page.on("pageerror", lambda error: one.errors.append(str(error)))
        page.on("request", lambda request: one.note(request.url))
        page.goto(file.as_uri() + fragment)
        opened.append(one)
        return one

    yield open_one
    for one in opened:
        one.page.close()
        assert (one.errors, one.requests) == ([], [])


def written(report: Report, file: Path) -> Path:
    """The report's page as a file."""
    file.write_text(render(report), encoding="utf-8")
    return file
