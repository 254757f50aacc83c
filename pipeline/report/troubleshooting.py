"""docs/troubleshooting.md, made from the table of failures: `python -m pipeline.report.troubleshooting` writes it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.analysis.failures import WRAPPER, Group, Signature, load_signatures
from pipeline.files import write_atomically

DOCUMENT_NAME = "troubleshooting.md"
DOCUMENT = Path(__file__).parent.parent.parent / "docs" / DOCUMENT_NAME

HEADINGS: dict[Group, str] = {
    "start": "Starting a container",
    "build": "Installing and building packages",
    "prepare": "Fetching models",
    "load": "Loading the engine and the model",
    "compile": "Compiling kernels",
    "generate": "Working on documents",
    "any": "At any time",
}
"""By group, in the order of a run."""

_HEAD = """\
# Troubleshooting

What breaks, by the class of the failure as results and reports show it, grouped by when it usually shows. A log tells
its class to

```
python orchestrator.py --explain LOGFILE
```

(`-` reads standard input, `--json` prints JSON; the log may come from anywhere). `unknown` is what shows no message
that is listed here: its last telling lines are kept, and nothing is guessed.

This file is made from [`pipeline/config/failures.yaml`](../pipeline/config/failures.yaml) by `make docs`.
"""


def render(table: Sequence[Signature]) -> str:
    """The document: each class of the table once, in the table's order within its group."""
    causes = [entry for entry in table if entry.class_ != WRAPPER]
    parts = [_HEAD]
    for group, heading in HEADINGS.items():
        names = dict.fromkeys(entry.class_ for entry in causes if entry.group == group)
        if not names:
            continue
        parts.append(f"## {heading}\n\n{', '.join(f'[{name}](#{name})' for name in names)}\n")
        parts += ["\n".join(_section([entry for entry in causes if entry.class_ == name])) for name in names]
    return "\n".join(parts)


def _section(entries: Sequence[Signature]) -> Iterator[str]:
    """A class. Entries that share a cause and a fix stand together."""
    yield f"### {entries[0].class_}\n"
    for cause, fix in dict.fromkeys((entry.cause, entry.fix) for entry in entries):
        yield f"**{_sentence(cause)}**\n\nFix: {_text(fix)}.\n"
    if entries[0].retry:
        yield "It may pass by itself, and is tried once more.\n"
    examples = "\n\n".join(entry.example for entry in entries)
    yield f"````text\n{examples}\n````\n"
    sources = dict.fromkeys(entry.source for entry in entries)
    yield f"Seen in: {_text('; '.join(sources))}.\n"


def _sentence(text: str) -> str:
    return f"{_text(text[0].upper() + text[1:])}."


def _text(text: str) -> str:
    """Text in which only the code between backticks is markup."""
    code = False
    shown = []
    for part in text.split("`"):
        shown.append(part if code else part.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_"))
        code = not code
    return "`".join(shown)


def main() -> None:
    """Write the document."""
    write_atomically(DOCUMENT, render(load_signatures()))
    print(DOCUMENT.relative_to(DOCUMENT.parent.parent))


if __name__ == "__main__":
    main()
