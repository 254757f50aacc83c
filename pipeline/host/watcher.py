"""What the host tells whoever watches a run."""

from typing import Protocol

from pipeline.progress import ProgressLine
from pipeline.results import Result


class Watcher(Protocol):
    """Callbacks of a run in progress; called from the launcher's threads too, so they must be quick."""

    def note(self, text: str) -> None:
        """Something worth knowing before anything starts."""

    def preparing(self, what: str) -> None:
        """Something is being made that takes a while: an environment, weights."""

    def trouble(self, message: str) -> None:
        """Something could not be prepared."""

    def started(self, experiment: str, number: int, total: int) -> None:
        """A job begins; number counts from 1."""

    def progress(self, line: ProgressLine) -> None:
        """The running job's progress."""

    def finished(self, result: Result, kept: bool) -> None:
        """A job has a result; kept: from an earlier command."""
