"""Runs of planned jobs over the checkout's environments, with jobs that stumble where a test says."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.catalog import load_catalog
from pipeline.datasets import Dataset
from pipeline.errors import BenchmarkError
from pipeline.host.arguments import parse
from pipeline.host.execute import Execution, Policy
from pipeline.host.gpu_turn import GpuTurn
from pipeline.host.launchers import Exit
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.launchers.process import ProcessLauncher
from pipeline.host.prepare import Prepared
from pipeline.host.seats import LocalSeats, Seat
from pipeline.host.session import Session, find_dataset, make_requests, open_session
from pipeline.host.watcher import Queued
from pipeline.plan import Request
from pipeline.report.watch import LineWatcher
from pipeline.results import Result
from pipeline.spec import HostFacts

CATALOG = load_catalog()
LAUNCHES = 2
TWO = ("--experiment", "lead-3", "--experiment", "flash-attn")


@dataclass(frozen=True)
class Stumbling(ProcessLauncher):
    """A launch whose job file's path has one of `fails` in it fails, and with one of `refuses` it is not started."""

    fails: Sequence[str] = ()
    refuses: Sequence[str] = ()

    def run(self, image: Any, variant: Any, arguments: Sequence[str], log: Path, *rest: Any, **more: Any) -> Exit:
        if any(part in arguments[-1] for part in self.refuses):
            raise BenchmarkError("no engine answers")
        if any(part in arguments[-1] for part in self.fails):
            log.write_text("it stumbled", encoding="utf-8")
            return Exit(3)
        return super().run(image, variant, arguments, log, *rest, **more)


class Noting(LineWatcher):
    """Notes which jobs it is told of, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[tuple[str, int, int]] = []
        self.kept: list[bool] = []

    def running(self, jobs: Sequence[Queued]) -> AbstractContextManager[None]:
        self.jobs = jobs
        return super().running(jobs)

    def started(self, number: int) -> None:
        self.begun.append((self.jobs[number - 1].experiment, number, len(self.jobs)))
        super().started(number)

    def finished(self, number: int, result: Result, kept: bool) -> None:
        self.kept.append(kept)
        super().finished(number, result, kept)


@dataclass
class Run:
    """Commands of one run, over two documents, with the checkout's environments."""

    cache: Path
    results: Path

    def session(self, *words: str) -> tuple[Session, Request]:
        folders = ["--results", str(self.results), "--cache", str(self.cache), "--launcher", "process"]
        options = ["--gpu", "cpu", "--docs", "2", "--run", "mine", "--launches", str(LAUNCHES), *folders]
        session = open_session(parse([*options, *(words or TWO)], CATALOG, LAUNCHERS), CATALOG)
        dataset = find_dataset(session)
        assert isinstance(dataset, Dataset)
        [request] = make_requests(session, dataset)
        return session, request

    def __call__(
        self,
        *words: str,
        fails: Sequence[str] = (),
        refuses: Sequence[str] = (),
        prepared: Prepared | None = None,
        seats: int = 1,
        **policy: Any,
    ) -> tuple[list[Result], Noting]:
        session, request = self.session(*words)
        watcher = Noting()
        arguments = session.arguments
        execution = Execution(
            launcher=Stumbling(arguments.data, arguments.cache, self.results, fails=fails, refuses=refuses),
            results=self.results,
            hardware=session.hardware,
            host=HostFacts(),
            policy=Policy(launches=arguments.launches, **policy),
            watcher=watcher,
            seats=LocalSeats([Seat(GpuTurn(None, watcher)) for _ in range(seats)]),
        )
        return execution.run_all(session.jobs([request]), prepared or Prepared()), watcher

    def folders(self) -> list[str]:
        return sorted(path.parent.name.partition("--")[0] for path in self.results.glob("*/*/result.json"))


def outcomes(results: Sequence[Result]) -> list[tuple[str, int, str]]:
    return [(result.job.experiment, result.job.launch, result.status) for result in results]
