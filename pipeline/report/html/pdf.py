"""A report's page as a PDF, through whatever browser is at hand."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
LIMIT_S = 120


def find_browser() -> str | None:
    """The first browser on the PATH that can print without a window."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def to_pdf(html: Path, pdf: Path) -> bool:
    """Print a page to a file, whole or not at all; whether it was written: not without a browser that can."""
    browser = find_browser()
    if browser is None:
        return False
    # beside the file, so that it can be moved to its place in one step
    with tempfile.TemporaryDirectory(dir=pdf.parent, prefix=f".{pdf.name}.", ignore_cleanup_errors=True) as folder:
        printed = Path(folder) / pdf.name
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--disable-dev-shm-usage",  # containers give it too little
            "--no-pdf-header-footer",
            f"--user-data-dir={folder}/profile",
            f"--print-to-pdf={printed.resolve()}",
            html.resolve().as_uri(),
        ]
        if os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # it refuses to start for root without; the page runs no foreign code
        try:
            if _call(command) != 0:
                return False
            printed.replace(pdf)
        except OSError:
            return False
    return True


def _call(command: Sequence[str]) -> int | None:
    """The exit status of a command in a process group of its own, which ends with it; None after LIMIT_S seconds."""
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
    try:
        return process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # usually nothing is left of the group
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
