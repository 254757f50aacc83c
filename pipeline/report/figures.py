"""How values read in every report: figures, names and text that came from models or logs."""

import re

from pipeline.report.table import Row
from pipeline.results import Failure
from pipeline.spec import Scenario

UNKNOWN = "\N{EN DASH}"
GIB = 1024**3

SCENARIOS: dict[Scenario, str] = {
    "single": "one document at a time",
    "offline": "all documents handed over at once",
}

_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)|[\x00-\x08\x0e-\x1f\x7f-\x9f]")


def number(value: float | None, decimals: int) -> str:
    """A figure with so many decimals; what would round to 0 but is not 0 says so ("<0.01")."""
    if value is None:
        return UNKNOWN
    text = f"{value:,.{decimals}f}"
    return text if value == 0 or float(text.replace(",", "")) != 0 else f"<{10**-decimals:.{decimals}f}"


def speed(docs_per_s: float | None) -> str:
    """Documents a second: three decimals as in the published table, fewer where they would be noise."""
    return number(docs_per_s, 3 if docs_per_s is None or docs_per_s < 100 else 0)


def gib(value: int | None) -> str:
    """Bytes as GiB."""
    return number(None if value is None else value / GIB, 2)


def ratio(value: float | None) -> str:
    """A speed as a multiple of the baseline's."""
    return UNKNOWN if value is None else f"{number(value, 2 if value < 10 else 1)}\N{MULTIPLICATION SIGN}"


def name(value: str | int | None) -> str:
    """A setting as it is."""
    return UNKNOWN if value is None else one_line(str(value))


def status(row: Row) -> str:
    """A word or two for a row's status."""
    return "reference" if row.status == "ok" and not row.ranked else row.status.replace("_", " ")


def documents(row: Row) -> str:
    """Completed documents, of those asked for where some are missing."""
    if row.docs_completed is None:
        return UNKNOWN
    complete = row.docs_completed == row.docs_asked
    return str(row.docs_completed) if complete else f"{row.docs_completed} of {row.docs_asked}"


def reason(failure: Failure | None) -> str:
    """Why a job is not ok: what the class and the message add to its status, in one line."""
    if failure is None:
        return "no reason recorded"
    message = one_line(failure.message, 300)
    return f"{failure.class_} during {failure.phase}: {message}" if failure.phase != "plan" else message


def has_log(row: Row) -> bool:
    """Whether the job's folder holds a log: not where it never started."""
    return row.status != "skipped" and (row.failure is None or row.failure.phase not in ("plan", "prepare"))


def one_line(text: str, limit: int | None = None) -> str:
    """Text without colours, control characters and line ends, shortened to `limit` characters."""
    line = " ".join(_CONTROL.sub("", text).split())
    return line if limit is None or len(line) <= limit else line[: limit - 1].rstrip() + "…"


def plural(count: int, noun: str) -> str:
    """A count with its noun: 1 document, 2 documents."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
