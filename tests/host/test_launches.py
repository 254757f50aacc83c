"""Several launches of each experiment: their order, and what becomes of each by itself."""

from pathlib import Path

from pipeline.host.prepare import Broken, Prepared
from tests.runs import LAUNCHES, Run, outcomes


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
