"""The options that say where documents lie in a file or a dataset of the user's choice."""

import argparse
from dataclasses import dataclass

from pipeline.errors import UsageError

DATASET = (
    "a dataset of --list; a file of your own (JSONL with id, document, summary; CSV, TSV, Parquet), or a pattern "
    "of such files in quotes; or hub:OWNER/NAME[@REVISION][:[CONFIG/]SPLIT]"
)
"""What --dataset takes, in its help."""


@dataclass(frozen=True)
class FieldChoice:
    """Names of fields as they were given; dots reach into nested ones. None where nothing was."""

    document: str | None = None
    summary: str | None = None
    id: str | None = None

    @property
    def made(self) -> bool:
        """Whether any was given."""
        return self != FieldChoice()


def add_field_options(group: argparse._ArgumentGroup) -> None:
    """--document-field, --summary-field and --id-field."""
    for name, what in (
        ("document", "the text to summarise; dots reach into nested fields (default: document)"),
        ("summary", "the reference summary, likewise (default: summary)"),
        (
            "id",
            "what tells documents apart (default: id, or else the file's name and the row's number)",
        ),
    ):
        group.add_argument(f"--{name}-field", metavar="NAME", help=f"of a file of your own, or of hub:…: {what}")


def parse_fields(given: argparse.Namespace) -> FieldChoice:
    """What was given of them; a UsageError for an empty name."""
    chosen = {name: getattr(given, f"{name}_field") for name in ("document", "summary", "id")}
    for name, value in chosen.items():
        if value is not None and not all(value.split(".")):
            raise UsageError(f"--{name}-field {value!r}: name a field, or fields with a dot between them")
    return FieldChoice(**chosen)
