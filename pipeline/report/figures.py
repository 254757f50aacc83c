"""How rows read in every report, beside the single values of pipeline/figures.py, which are at hand here too."""

from pipeline.entries import Scenario
from pipeline.figures import UNKNOWN as UNKNOWN
from pipeline.figures import gib as gib
from pipeline.figures import name as name
from pipeline.figures import number as number
from pipeline.figures import one_line as one_line
from pipeline.figures import printable as printable
from pipeline.figures import speed as speed
from pipeline.report.table import Row
from pipeline.results import Failure

SCENARIOS: dict[Scenario, str] = {
    "single": "one document at a time",
    "offline": "all documents handed over at once",
}


def ratio(value: float | None) -> str:
    """A speed as a multiple of the baseline's."""
    return UNKNOWN if value is None else f"{number(value, 2 if value < 10 else 1)}\N{MULTIPLICATION SIGN}"


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
    return f"{one_line(failure.class_)} during {failure.phase}: {message}" if failure.phase != "plan" else message


def has_log(row: Row) -> bool:
    """Whether the job's folder holds a log: not where it never started."""
    return row.status != "skipped" and (row.failure is None or row.failure.phase not in ("plan", "prepare"))


def plural(count: int, noun: str) -> str:
    """A count with its noun: 1 document, 2 documents."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
