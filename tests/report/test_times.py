"""Where the time went: what jobs and commands took, and what is not known of it."""

from dataclasses import replace

import pytest

from pipeline.host.wall import Wall
from pipeline.measures import Timing
from pipeline.report import markdown
from pipeline.report.html import render
from pipeline.report.wall_times import CommandTime, JobTime
from pipeline.results import Result
from tests.builders import make_report, make_result

TIMING = Timing(
    load_s=3.0,
    compile_s=1.0,
    warmup_s=0.5,
    generate_s=2.0,
    repeats=(2.0, 2.5),
    score_s=0.25,
    start_s=0.5,
    encode_s=0.1,
    close_s=0.2,
    rates_s=0.3,
    save_s=0.05,
    wall_s=11.0,
)
WALL = Wall(total_s=20.0, prepare_s=5.0, gpu_wait_s=0.5, jobs_s=11.0, report_s=1.5)


def result(timing: Timing = TIMING, command: int | None = 1) -> Result:
    made = make_result("none")
    return replace(made, timing=timing, job=replace(made.job, command=command))


def job_of(timing: Timing) -> JobTime:
    [job] = make_report([result(timing)]).job_times
    return job


def command_of(wall: Wall, *timings: Timing) -> CommandTime:
    [command] = make_report([result(timing) for timing in timings], walls=(wall,)).command_times
    return command


def test_a_job_s_parts_and_its_rest_add_up_to_its_total() -> None:
    job = job_of(TIMING)
    assert job.generate == 4.5 and job.repeats == 2
    assert job.between == pytest.approx(0.65)
    parts = [job.start, job.load, job.compile, job.warmup, job.generate, job.score, job.between, job.rest]
    assert sum(part for part in parts if part is not None) == pytest.approx(job.total)


def test_a_job_of_before_wall_times_were_recorded_has_its_parts_and_no_rest() -> None:
    job = job_of(Timing(load_s=3.0, generate_s=2.0, repeats=(2.0,)))
    assert (job.load, job.generate, job.rest, job.total) == (3.0, 2.0, None, None)


def test_a_job_that_failed_has_its_total_alone() -> None:
    job = job_of(Timing(wall_s=4.0))
    assert (job.total, job.rest, job.generate) == (4.0, None, None)


def test_a_job_that_was_skipped_took_no_time() -> None:
    assert make_report([make_result("none", status="skipped", load_s=None)]).job_times == ()


def test_a_command_s_own_time_is_what_its_parts_leave() -> None:
    command = command_of(WALL, TIMING)
    assert (command.own, command.jobs_run) == (2.0, 1)


def test_beyond_loading_and_generating_is_the_rest_of_the_jobs_the_report_and_the_orchestrator() -> None:
    # of the job's 11 s, 9 were loading, compiling, warming up and generating
    assert command_of(WALL, TIMING).beyond == pytest.approx(2.0 + 1.5 + 2.0)


def test_a_command_whose_results_were_replaced_has_nothing_beyond() -> None:
    [command] = make_report([result(command=2)], walls=(WALL,)).command_times
    assert command.beyond is None


def test_reports_show_both_tables() -> None:
    made = make_report([result()], walls=(WALL,))
    text, page = markdown.render(made), render(made)
    assert "## Where the time went" in text and "waiting for the GPU, s" in text
    assert 'id="times"' in page and "Waiting for the GPU" in page


def test_a_report_with_no_times_has_no_such_section() -> None:
    made = make_report([make_result("none", status="skipped", load_s=None)])
    assert "Where the time went" not in markdown.render(made)
    assert "Where the time went" not in render(made)
