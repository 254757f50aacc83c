"""Picture a report's page: `.venv/bin/python -m docs.screenshots results/RUN/report.html [VIEW…]`.

Takes the system's Chromium and the packages of requirements-dev.lock. The view `documents` shows texts: only of
documents that may be published, such as the bundled sample.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import sync_playwright

from pipeline.report.html.pdf import find_browser

PICTURES = Path(__file__).parent / "screenshots"


@dataclass(frozen=True)
class View:
    """A window and what is in it. part: the element that is scrolled to, None for the top. scale: pixels a point."""

    name: str
    width: int
    height: int
    colours: Literal["light", "dark"] = "light"
    part: str | None = None
    scale: float = 1


VIEWS = (
    View("wide", 1440, 1500),
    View("dark", 1440, 1500, "dark", ".charts"),
    View("documents", 1440, 1000, part="#documents"),
    View("narrow", 390, 844, scale=2),
    View("narrow-ranking", 390, 844, part=".tools", scale=2),
)


def main(report: Path, names: Sequence[str]) -> None:
    """Write docs/screenshots/*.png from a report.html: the views of these names, or all."""
    browser = find_browser()
    if browser is None:
        sys.exit("error: no Chromium on the PATH: apt-get install --no-install-recommends chromium")
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        window = playwright.chromium.launch(executable_path=browser, args=arguments)
        for view in (view for view in VIEWS if not names or view.name in names):
            page = window.new_page(
                viewport={"width": view.width, "height": view.height},
                color_scheme=view.colours,
                device_scale_factor=view.scale,
            )
            page.goto(report.resolve().as_uri())
            if view.part:
                page.locator(view.part).first.evaluate(
                    "one => scrollTo({top: one.getBoundingClientRect().top + scrollY - 76, behavior: 'instant'})"
                )
            page.screenshot(path=PICTURES / f"{view.name}.png")
            page.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m docs.screenshots", description=main.__doc__)
    parser.add_argument("report", type=Path, help="a run's report.html")
    known = [view.name for view in VIEWS]
    parser.add_argument("views", nargs="*", metavar="VIEW", help=f"{', '.join(known)}; all where none is named")
    given = parser.parse_args()
    if unknown := [name for name in given.views if name not in known]:  # choices= refuses that there is none
        parser.error(f"no view {', '.join(unknown)}; there are {', '.join(known)}")
    main(given.report, given.views)
