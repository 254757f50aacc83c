"""What ends a job over time, and what keeps it alive, by a clock and a processor-time reading that the test sets."""

import pytest

from pipeline.errors import UsageError
from pipeline.host.arguments import parse_limits
from pipeline.host.limits import STAGES, Limit, Limits, Watchdog
from pipeline.progress import ProgressLine, format_progress
from pipeline.results import Phase


class Job:
    """A watched job in an imagined time."""

    def __init__(self, limits: Limits) -> None:
        self.now = 100.0
        self.cpu_s: float | None = 0.0
        self._watchdog = Watchdog(limits, lambda: self.cpu_s, lambda: self.now)

    def says(self, text: str) -> None:
        self._watchdog.line(text)

    def is_in(self, phase: Phase, done: int = 0) -> None:
        self.says(format_progress(ProgressLine(phase, done, 10)))

    def lives(self, seconds: float, *, cpu_share: float = 0.0) -> str | None:
        """Let time pass in ticks as a launcher does; what exceeded a limit first, if anything did."""
        for _ in range(int(seconds)):
            self.now += 1
            if self.cpu_s is not None:
                self.cpu_s += cpu_share
            exceeded = self._watchdog.expired()
            if exceeded:
                return exceeded
        return None


def limits(total_s: float | None = None, idle_s: float | None = None) -> Limits:
    return Limits(stages=dict.fromkeys(STAGES, Limit(total_s, idle_s)))


def test_a_job_without_limits_lives_on() -> None:
    assert Job(Limits()).lives(10_000) is None


def test_the_whole_job_has_a_limit() -> None:
    job = Job(Limits(job_s=60))
    job.is_in("generate")
    assert job.lives(100) == "took longer than its limit of 1 min (--job-timeout)"


def test_each_stage_has_its_own_time() -> None:
    job = Job(limits(total_s=100))
    for phase in ("load", "warmup", "generate"):
        job.is_in(phase)
        assert job.lives(90) is None
    assert job.lives(20) == "stage generate took longer than its limit of 100 s (--time-limit)"


def test_phases_of_one_stage_share_its_time() -> None:
    job = Job(limits(total_s=100))
    job.is_in("encode")
    assert job.lives(60) is None
    job.is_in("warmup")
    assert job.lives(60) == "stage compile took longer than its limit of 100 s (--time-limit)"


def test_a_silent_compilation_that_computes_lives_on() -> None:
    job = Job(limits(idle_s=100))
    job.is_in("warmup")
    assert job.lives(1000, cpu_share=0.9) is None


def test_a_silent_compilation_that_computes_nothing_is_ended() -> None:
    job = Job(limits(idle_s=100))
    job.is_in("warmup")
    job.lives(40, cpu_share=0.9)
    assert job.lives(1000, cpu_share=0.001) == "stage compile gave no sign of life for 100 s (--idle-limit)"


def test_output_is_a_sign_of_life_while_loading() -> None:
    job = Job(limits(idle_s=100))
    for number in range(10):
        assert job.lives(90) is None
        job.says(f"shard {number} of 10")


def test_an_engine_that_computes_without_tokens_is_ended() -> None:
    job = Job(limits(idle_s=100))
    job.is_in("generate")
    job.says("some warning")
    assert job.lives(200, cpu_share=1.0) == "stage generate gave no sign of life for 100 s (--idle-limit)"


def test_tokens_keep_a_job_alive_though_no_document_is_done() -> None:
    job = Job(limits(idle_s=100))
    for _ in range(10):
        job.is_in("generate", done=0)
        assert job.lives(90) is None


def test_where_processor_time_cannot_be_told_output_alone_counts() -> None:
    job = Job(limits(idle_s=100))
    job.cpu_s = None
    job.is_in("load")
    assert job.lives(200) is not None


def test_the_defaults_end_what_hangs_in_every_stage() -> None:
    parsed = parse_limits(None, [], [])
    assert parsed.job_s is None
    assert all(parsed.stages[stage].idle_s for stage in STAGES)


def test_minutes_are_for_one_stage_or_for_all() -> None:
    parsed = parse_limits(5, ["30", "compile=90"], ["load=1", "generate=0"])
    assert parsed.job_s == 300
    assert [parsed.stages[stage].total_s for stage in STAGES] == [1800, 5400, 1800]
    assert parsed.stages["load"].idle_s == 60
    assert parsed.stages["generate"].idle_s is None


@pytest.mark.parametrize("value", ["lunch=3", "load", "load=", "load=-1", "=", "1.5"])
def test_a_limit_that_is_none_is_an_error_that_names_the_stages(value: str) -> None:
    with pytest.raises(UsageError, match="load, compile, generate"):
        parse_limits(None, [value], [])
