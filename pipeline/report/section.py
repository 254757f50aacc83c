"""A part of a text that a terminal and a Markdown document show alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.report.markup import Column, escape, fenced, known


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it, in this order: a table of items, sentences, list entries, commands.

    document_only: left out of the terminal.
    """

    heading: str
    columns: Sequence[Column[Any]] = ()
    items: Sequence[Any] = ()
    sentences: Sequence[str] = ()
    entries: Sequence[str] = ()
    commands: Sequence[str] = ()
    document_only: bool = False


def as_markdown(section: Section) -> str:
    """With its heading; any text in it is escaped."""
    parts = [f"## {section.heading}"]
    parts += [known(section.columns, section.items)] if section.items else []
    parts += [escape(sentence) for sentence in section.sentences]
    parts += ["\n".join(f"- {escape(entry)}" for entry in section.entries)] if section.entries else []
    parts += [fenced("\n".join(section.commands), "sh")] if section.commands else []
    return "\n\n".join(parts)
