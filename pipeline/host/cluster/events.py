"""What comes back from a node while a job runs on it, in the order in which it happened."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.host.launchers import Exit
from pipeline.results import DOCUMENTS_FILE, REPEATS_FILE, RESULT_FILE

FILES = (DOCUMENTS_FILE, REPEATS_FILE, RESULT_FILE)
"""What a job leaves in its folder and a node sends, in this order: with its result the rest is here."""


@dataclass(frozen=True)
class Started:
    """The job has its node. node_id: as Ray has it."""

    node_id: str


@dataclass(frozen=True)
class Line:
    """A line of the job's output, without secrets and without its end."""

    text: str


@dataclass(frozen=True)
class Documents:
    """What was added to the job's documents.jsonl: whole lines."""

    lines: bytes


@dataclass(frozen=True)
class Piece:
    """A part of one of FILES. last: the file is whole with it."""

    name: str
    content: bytes
    last: bool


@dataclass(frozen=True)
class Ended:
    """The job's command ended so; what it left has come before."""

    exit: Exit


Event = Started | Line | Documents | Piece | Ended
Batch = Sequence[Event]
