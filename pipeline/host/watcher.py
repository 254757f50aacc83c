"""What the host tells whoever watches a run."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from pipeline.progress import ProgressLine
from pipeline.results import Result


@dataclass(frozen=True)
class Queued:
    """A job of the run before it starts. launch: out of launches of the experiment, from 1."""

    experiment: str
    launch: int = 1
    launches: int = 1


class Preparations(Protocol):
    """Callbacks while what jobs need is made."""

    def note(self, text: str) -> None:
        """Something worth knowing that is no job's outcome."""

    def preparing(self, what: str) -> AbstractContextManager[None]:
        """Something is being made that takes a while: an environment, weights. Entered before, left when it is done."""

    def trouble(self, message: str) -> None:
        """Something could not be prepared."""


class Watcher(Preparations, Protocol):
    """Callbacks of a run in progress; called from the jobs' threads, several at once, so they must be quick."""

    def running(self, jobs: Sequence[Queued]) -> AbstractContextManager[None]:
        """All jobs of the run in their order. Entered before the first begins, left when none runs any more."""

    def started(self, number: int) -> None:
        """A job begins; number counts from 1, as the run's jobs stand. Several can run side by side."""

    def progress(self, number: int, line: ProgressLine) -> None:
        """A running job's progress."""

    def finished(self, number: int, result: Result, kept: bool) -> None:
        """A job has a result; kept: from an earlier command."""
