"""Several launches of each experiment: their order, and what becomes of each by itself."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.catalog import load_catalog
from pipeline.datasets import Dataset
from pipeline.host.arguments import parse
from pipeline.host.environments import ensure_environment
from pipeline.host.execute import Execution, Policy
from pipeline.host.gpu_turn import GpuTurn
from pipeline.host.launchers import Exit
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.host.launchers.process import ProcessLauncher
from pipeline.host.prepare import Broken, Prepared
from pipeline.host.seats import LocalSeats, Seat
from pipeline.host.session import Session, find_dataset, make_request, open_session
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
    """Starts no launch whose job file's path has one of `fails` in it."""

    fails: Sequence[str] = ()

    def run(self, image: Any, variant: Any, arguments: Sequence[str], log: Path, *rest: Any, **more: Any) -> Exit:
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
        return session, make_request(session, dataset)

    def __call__(
        self,
        *words: str,
        fails: Sequence[str] = (),
        prepared: Prepared | None = None,
        seats: int = 1,
        **policy: Any,
    ) -> tuple[list[Result], Noting]:
        session, request = self.session(*words)
        watcher = Noting()
        arguments = session.arguments
        execution = Execution(
            launcher=Stumbling(arguments.data, arguments.cache, self.results, fails=fails),
            results=self.results,
            hardware=session.hardware,
            host=HostFacts(),
            policy=Policy(launches=arguments.launches, **policy),
            watcher=watcher,
            seats=LocalSeats([Seat(GpuTurn(None, watcher)) for _ in range(seats)]),
        )
        return execution.run_all(session.planned, request, prepared or Prepared()), watcher

    def folders(self) -> list[str]:
        return sorted(path.parent.name.partition("--")[0] for path in self.results.glob("*/*/result.json"))


@pytest.fixture
def run(cache: Path, tmp_path: Path) -> Run:
    image = CATALOG.images["reference"]
    ensure_environment(cache, image, image.variants[0], tmp_path / "log.txt")
    return Run(cache, tmp_path / "results")


def outcomes(results: Sequence[Result]) -> list[tuple[str, int, str]]:
    return [(result.job.experiment, result.job.launch, result.status) for result in results]


def test_launches_come_round_by_round_and_a_skip_once(run: Run) -> None:
    results, watcher = run()
    assert outcomes(results) == [
        ("lead-3", 1, "ok"),
        ("flash-attn", 1, "skipped"),
        ("lead-3", 2, "ok"),
    ]
    assert [(number, total) for _, number, total in watcher.begun] == [(1, 3), (2, 3), (3, 3)]
    assert run.folders() == ["flash-attn.gemma-3-270m.offline", "lead-3.offline", "lead-3.offline.2"]


def test_a_launch_that_fails_keeps_no_other_from_running_and_is_run_again_by_itself(run: Run) -> None:
    first, _ = run("--experiment", "lead-3", fails=["offline--"])
    assert [result.status for result in first] == ["failed", "ok"]
    again, watcher = run("--experiment", "lead-3", rerun="only-failed")
    assert [result.status for result in again] == ["ok", "ok"]
    assert watcher.kept == [False, True]


def test_with_fail_fast_a_failed_launch_is_the_last(run: Run) -> None:
    results, _ = run("--experiment", "lead-3", fails=["offline--"], fail_fast=True)
    assert outcomes(results) == [("lead-3", 1, "failed")]


def test_what_can_not_be_prepared_fails_all_launches(run: Run, tmp_path: Path) -> None:
    prepared = Prepared(images={"reference": Broken("no environment", tmp_path / "log.txt")})
    results, _ = run("--experiment", "lead-3", prepared=prepared)
    assert outcomes(results) == [("lead-3", launch, "failed") for launch in (1, 2)]
    mended, _ = run("--experiment", "lead-3", fails=["offline"], rerun="only-failed")
    assert [result.failure.phase for result in mended if result.failure] == ["start"] * LAUNCHES
    assert len(run.folders()) == LAUNCHES


def test_what_a_job_took_is_recorded_with_the_parts_that_its_worker_timed(run: Run) -> None:
    results, _ = run("--experiment", "lead-3")
    for timing in (result.timing for result in results):
        parts = (timing.start_s, timing.load_s, timing.warmup_s, timing.generate_s, timing.score_s, timing.save_s)
        known = [part for part in parts if part is not None]
        assert len(known) == len(parts)
        assert timing.wall_s is not None and 0 < sum(known) < timing.wall_s
        assert timing.rates_s is None  # of a job that runs no model


def test_jobs_that_ran_side_by_side_say_so(run: Run) -> None:
    results, _ = run("--experiment", "lead-3", seats=2)
    assert [result.environment.side_by_side for result in results] == [("lead-3",), ("lead-3",)]
    alone, _ = run("--experiment", "lead-3", rerun="fresh")
    assert [result.environment.side_by_side for result in alone] == [(), ()]


def test_results_of_jobs_side_by_side_stand_in_the_order_of_the_plan(run: Run) -> None:
    results, _ = run(seats=4)
    assert outcomes(results) == outcomes(run()[0])
