"""What --explain found in a log, for people and for programs. What it shows of a log holds no secrets and no
control characters.
"""

from typing import Any

from pipeline.analysis.failures import UNKNOWN, Classified
from pipeline.figures import printable
from pipeline.redact import redact
from pipeline.report.troubleshooting import DOCUMENT_NAME

_INDENT = " " * 8


def as_json(found: Classified) -> dict[str, Any]:
    """The class with its cause and fix, and the line that shows it; group and source are null for `unknown`."""
    return {
        "class": found.class_,
        "cause": found.cause,
        "fix": found.fix,
        "line": printable(redact(found.line)),
        "retry": found.retry,
        "group": found.group,
        "source": found.source,
    }


def explanation(found: Classified) -> str:
    """The same as text."""
    lines = printable(redact(found.line)).splitlines() or ["(nothing but blank lines)"]
    facts = [
        ("class", found.class_),
        ("cause", found.cause),
        ("fix", found.fix + (", or try once more: it may pass" if found.retry else "")),
        ("log", f"\n{_INDENT}".join(lines)),
    ]
    if found.class_ != UNKNOWN:
        facts.append(("more", f"docs/{DOCUMENT_NAME}#{found.class_}"))
    return "\n".join(f"{name:<{len(_INDENT)}}{text}" for name, text in facts)
