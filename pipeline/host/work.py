"""A command at work on a run, with all that its jobs need."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.host.execute import Execution
from pipeline.host.prepare import Prepared
from pipeline.host.runs import RunFolder
from pipeline.host.session import Session
from pipeline.plan import Request


@dataclass(frozen=True)
class Work:
    """requests: one for each of the session's plans. folder: the run's, locked. number: of the command in run.json."""

    session: Session
    requests: tuple[Request, ...]
    prepared: Prepared
    execution: Execution
    folder: RunFolder
    number: int

    def report_with(self, make: Callable[[], object]) -> None:
        """Make the report, for which the wall time so far is noted first, since it can't tell of itself."""
        clock = self.execution.clock
        self.folder.note_wall(self.number, clock.read())
        with clock.part("report"):
            make()
