"""Old pairs as tests need them: whole and plausible, with the one thing that matters set."""

import json
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).parent.parent / "data" / "legacy"
"""Row 10 of the published table, as its files were published (CC0-1.0, see LICENSE there)."""


def old_documents(count: int = 4, **fields: Any) -> list[dict[str, Any]]:
    """As many entries of a data file, with the fields in each; a callable is given the entry's number."""
    return [
        {
            "url": f"https://www.wikihow.com/Tie-Knot-{number}",
            "gt_summary": "Take a rope. Tie a knot in it.",
            "pred_summary": f"Take the rope number {number} and tie a knot.",
            **{name: value(number) if callable(value) else value for name, value in fields.items()},
        }
        for number in range(count)
    ]


def in_batches(size: int, seconds: float = 2.0) -> dict[str, Any]:
    """Fields of documents that ran in batches of that size, each of which took so long."""
    return {"batch_inference_time": seconds, "batch_id": lambda number: number // size}


def write_pair(folder: Path, stem: str, documents: Any, totals: Any) -> None:
    """The two files; text is written as it is, anything else as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, content in (("data", documents), ("results", totals)):
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{kind}_{stem}.json").write_text(text, encoding="utf-8")
