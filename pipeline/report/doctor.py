"""What --doctor found, as lines for people and for programs."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

from pipeline.figures import one_line
from pipeline.report.listing import aligned
from pipeline.spec import Check, CheckStatus

SKIPPED = ("experiment", "skip")


def doctor_listing(checks: Sequence[Check]) -> str:
    """A line for each check, its mend below it, and how many there are of each status."""
    rows = [[item.status, item.check, one_line(item.subject), one_line(item.message)] for item in checks]
    lines = []
    for item, line in zip(checks, aligned(rows, indent="").splitlines(), strict=True):
        lines.append(line)
        if item.mend is not None:
            lines.append(f"{'':8}mend: {one_line(item.mend)}")
    counts = Counter(item.status for item in checks)
    summary = ", ".join(f"{counts[status]} {status}" for status in get_args(CheckStatus) if counts[status])
    return "\n".join([*lines, "", summary])


def troubles(checks: Sequence[Check]) -> list[str]:
    """What a run says before it begins: warnings, failures, and which experiments can't run here."""
    told = [item for item in checks if item.status in ("warn", "fail") or (item.check, item.status) == SKIPPED]
    return [one_line(_sentence(item)) for item in told]


def as_json(check: Check) -> dict[str, Any]:
    """As --doctor --json prints it."""
    return {name: getattr(check, name) for name in ("check", "subject", "status", "message", "mend")}


def _sentence(item: Check) -> str:
    """As "skip: flash-attn: needs …"; the kind of check stands before a subject that doesn't speak for itself."""
    subject = item.subject if item.check == "experiment" else f"{item.check}, {item.subject}"
    return f"{item.status}: {subject}: {item.message}{f'; {item.mend}' if item.mend else ''}"
