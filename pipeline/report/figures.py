"""How rows read in every report, beside the single values of pipeline/figures.py, which are at hand here too."""

from pipeline.comparison.estimates import Estimate, Interval
from pipeline.entries import Scenario
from pipeline.figures import UNKNOWN as UNKNOWN
from pipeline.figures import gib as gib
from pipeline.figures import name as name
from pipeline.figures import number as number
from pipeline.figures import one_line as one_line
from pipeline.figures import printable as printable
from pipeline.figures import speed as speed
from pipeline.report.model import Row, Table
from pipeline.results import LOG_FILE, Failure

SCENARIOS: dict[Scenario, str] = {
    "single": "one document at a time",
    "offline": "all documents handed over at once",
}


def title(table: Table) -> str:
    """How its documents were handed over, and whether its rows tell of speed alone."""
    return f"{SCENARIOS[table.scenario]}{' (speed only)' if table.synthetic else ''}"


def model(table: Table) -> str:
    """The model, and whether its weights are random."""
    return f"{table.model or 'no model'}{', random weights' if table.synthetic else ''}"


def about(value: float) -> str:
    """A figure for a sentence: two digits, or those before the point."""
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"


def times(estimate: Estimate | None) -> str:
    """A speed as a multiple of the baseline's."""
    if estimate is None:
        return UNKNOWN
    return f"{number(estimate.value, 2 if estimate.value < 10 else 1)}×"


def slowdown(row: Row) -> str:
    """The smallest one that its launches find with 80% power."""
    return UNKNOWN if row.speed_detectable is None else f"{number(100 * (1 - row.speed_detectable), 1)}%"


def ends(interval: Interval | None, decimals: int = 3) -> str:
    """An interval as "low to high"."""
    return UNKNOWN if interval is None else f"{number(interval.low, decimals)} to {number(interval.high, decimals)}"


def value(estimate: Estimate | None) -> float | None:
    """The figure alone."""
    return estimate.value if estimate else None


def interval(estimate: Estimate | None) -> Interval | None:
    """Its interval alone."""
    return estimate.interval if estimate else None


def verdict(row: Row) -> str:
    """The accuracy gate's word on a row."""
    return UNKNOWN if row.gate is None else row.gate.verdict


def share_of_limit(row: Row) -> str:
    """How much of the hardware's limit a row reaches."""
    fraction = row.roofline.fraction if row.roofline else None
    return UNKNOWN if fraction is None else f"{number(fraction * 100, 0)}%"


def of_limit(row: Row) -> str:
    """The same, with what bounds it."""
    share = share_of_limit(row)
    return f"{share}, {one_line(row.bounded_by)}" if share != UNKNOWN and row.bounded_by else share


def status(row: Row) -> str:
    """A word or two for how a row stands."""
    words = {"ranked": "ok", "below": "below the line", "unranked": "not ranked", "failed": row.status}
    return words.get(row.standing, row.standing).replace("_", " ")


def documents(row: Row) -> str:
    """Completed documents, of those asked for where some are missing."""
    if row.docs_completed is None:
        return UNKNOWN
    complete = row.docs_completed == row.docs_asked
    return str(row.docs_completed) if complete else f"{row.docs_completed} of {row.docs_asked}"


def launches(row: Row) -> str:
    """How many came through, of those started where some did not; nothing is said of what never started."""
    if row.standing == "skipped":
        return UNKNOWN
    done = sum(launch.status == "ok" for launch in row.launches)
    return str(done) if done == len(row.launches) else f"{done} of {len(row.launches)}"


def shards(row: Row) -> str:
    """Into how many the row's jobs were split; nothing of one that was not."""
    return UNKNOWN if row.shards == 1 else str(row.shards)


def reason(failure: Failure | None) -> str:
    """Why a job is not ok: what the class and the message add to its status, in one line."""
    if failure is None:
        return "no reason recorded"
    message = one_line(failure.message, 300)
    return f"{one_line(failure.class_)} during {failure.phase}: {message}" if failure.phase != "plan" else message


def logs(row: Row) -> list[str]:
    """The logs of launches that did not come through, as paths from the results folder."""
    return [f"{launch.folder}/{LOG_FILE}" for launch in row.launches if launch.has_log and launch.status != "ok"]


def plural(count: int, noun: str) -> str:
    """A count with its noun: 1 document, 2 documents."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
