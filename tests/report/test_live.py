"""The live display, fed by hand and read by a terminal emulator; tests/end_to_end shows it with real jobs."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pyte
import pytest

from pipeline.errors import BenchmarkError
from pipeline.host.watcher import Queued
from pipeline.progress import ProgressLine
from pipeline.report.live import LiveWatcher, choose_watcher, duration
from pipeline.report.watch import LineWatcher
from pipeline.results import Failure
from tests.builders import make_result

ROWS = 20
JOBS = [Queued(name, launch, 2) for launch in (1, 2) for name in ("none", "vllm")]


class Display:
    """A LiveWatcher with a clock that the test moves, and the screen that it draws."""

    def __init__(self, columns: int) -> None:
        self.now_s = 0.0
        self.stream = io.StringIO()
        self.columns = columns
        self.watcher = LiveWatcher(self.stream, clock=lambda: self.now_s)

    @property
    def screen(self) -> pyte.Screen:
        """All that was written so far."""
        screen = pyte.Screen(self.columns, ROWS)
        screen.set_mode(pyte.modes.LNM)  # as a terminal does, whose driver puts a carriage return before a line feed
        pyte.Stream(screen).feed(self.stream.getvalue())
        return screen

    @property
    def text(self) -> str:
        """What stands there now."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def refreshed(self) -> str:
        """What stands there once the display has been drawn again."""
        time.sleep(0.1)
        return self.text

    @contextmanager
    def job(self, number: int) -> Iterator[None]:
        """While that one of JOBS runs."""
        with self.watcher.running(JOBS):
            self.watcher.started(number)
            yield


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Display:
    return sized(monkeypatch, 120)


def sized(monkeypatch: pytest.MonkeyPatch, columns: int) -> Display:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", str(ROWS))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("pipeline.report.live.REFRESHES_PER_S", 50)
    return Display(columns)


def test_a_running_job_shows_launch_repeat_rates_memory_and_time_left(display: Display) -> None:
    with display.job(3):
        display.watcher.progress(3, ProgressLine("generate", 0, 10, repeat=2, repeats=3))
        display.now_s = 10.0
        display.watcher.progress(3, ProgressLine("generate", 5, 10, 3 << 29, 640, repeat=2, repeats=3))
        shown = display.refreshed()
    line = next(line for line in shown.splitlines() if line.startswith("[3/4] none"))
    for part in (
        "launch 2/2",
        "repeat 2/3",
        "generate",
        "5/10",
        "0.500 docs/s",
        "64 tokens/s",
        "1.50 GiB",
        "30 s left",
    ):
        assert part in line
    assert "next: vllm" in shown


def test_where_all_does_not_fit_the_documents_stay_and_the_rest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    display = sized(monkeypatch, 30)
    with display.job(3):
        display.watcher.progress(3, ProgressLine("generate", 0, 10, repeat=1, repeats=3))
        display.now_s = 10.0
        display.watcher.progress(3, ProgressLine("generate", 5, 10, 3 << 29, 640, repeat=1, repeats=3))
        shown = display.refreshed()
    assert "[3/4] none  generate  5/10" in shown.splitlines()


def test_jobs_that_run_side_by_side_have_a_line_each(display: Display) -> None:
    with display.job(1):
        display.watcher.started(2)
        display.watcher.progress(1, ProgressLine("load", 0, 10))
        display.watcher.progress(2, ProgressLine("warmup", 0, 10))
        first, second, queue = display.refreshed().splitlines()
        display.watcher.finished(1, make_result("none", docs_per_s=0.25), kept=False)
        rest = display.refreshed().splitlines()
    assert first.startswith("[1/4] none  launch 1/2  load") and second.startswith("[2/4] vllm  launch 1/2  warmup")
    assert queue == "next: none, vllm"
    assert rest[1].startswith("[2/4] vllm")


def test_a_failed_job_stays_with_its_class(display: Display) -> None:
    failed = make_result("none", status="failed")
    with display.job(1):
        display.now_s = 65.0
        display.watcher.finished(1, replace(failed, failure=Failure("cuda_oom", "load", "no room\nat all")), kept=False)
    assert display.text == "[1/4] none launch 1/2: failed (cuda_oom): no room (1:05)"


def test_a_kept_job_says_so_and_not_how_long_it_took(display: Display) -> None:
    with display.job(1):
        display.watcher.finished(1, make_result("none", docs_per_s=0.25), kept=True)
    assert display.text == "[1/4] none launch 1/2: ok (kept): 0.250 docs/s"


def test_the_batch_size_that_is_tried_is_shown_while_the_largest_is_searched(display: Display) -> None:
    with display.job(1):
        display.watcher.progress(1, ProgressLine("search", 16, 100))
        assert "search  batch of 16" in display.refreshed()


def test_a_step_of_the_preparation_shows_how_long_it_takes_and_took(display: Display) -> None:
    with display.watcher.preparing("image vllm (cpu), installed from its lock"):
        display.now_s = 61.0
        assert "preparing image vllm (cpu), installed from its lock … 1:01" in display.refreshed()
        display.now_s = 75.0
    assert display.text == "image vllm (cpu), installed from its lock: took 1:15"


def test_a_step_that_breaks_leaves_its_trouble_alone(display: Display) -> None:
    with pytest.raises(BenchmarkError), display.watcher.preparing("image vllm (cpu)"):
        raise BenchmarkError("no such package")
    display.watcher.trouble("no such package")
    assert display.text.strip() == "no such package"


def test_a_note_goes_above_the_running_job(display: Display) -> None:
    with display.job(1):
        display.watcher.progress(1, ProgressLine("load", 0, 10))
        display.watcher.note("waiting for the GPU's memory to be given back")
        lines = display.refreshed().splitlines()
    assert lines[0] == "waiting for the GPU's memory to be given back"
    assert lines[1].startswith("[1/4] none  launch 1/2  load")


@pytest.mark.parametrize("error", [KeyboardInterrupt, BenchmarkError])
def test_whatever_ends_a_run_ends_the_display(display: Display, error: type[BaseException]) -> None:
    with pytest.raises(error), display.job(1):
        display.refreshed()
        raise error
    assert display.text == ""
    assert not display.screen.cursor.hidden


def test_a_terminal_that_is_gone_does_not_hide_what_ended_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        gone = False

        def write(self, text: str) -> int:
            if self.gone:
                raise OSError(5, "Input/output error")
            return super().write(text)

    monkeypatch.setenv("TERM", "xterm")
    stream = Gone()
    with pytest.raises(KeyboardInterrupt), LiveWatcher(stream).running(JOBS):
        stream.gone = True
        raise KeyboardInterrupt


def test_text_from_outside_does_nothing_to_the_terminal(display: Display) -> None:
    hostile = "\x1b]0;taken over\x07\x1b[2J[bold]hf_" + "a" * 30
    with display.watcher.preparing(hostile):
        display.refreshed()
    display.watcher.note(hostile)
    display.watcher.trouble(hostile)
    with display.job(1):
        display.watcher.finished(
            1, replace(make_result("none", status="failed"), failure=Failure(hostile, "load", hostile)), kept=False
        )
    assert display.screen.title == ""
    assert display.text.count("[bold]<hidden>") == 5


def test_the_watcher_is_chosen_by_what_the_stream_can_do() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert isinstance(choose_watcher(stream=Terminal(), environment={"TERM": "xterm"}), LiveWatcher)
    assert isinstance(choose_watcher(stream=Terminal(), environment={"TERM": "dumb"}), LineWatcher)
    assert isinstance(choose_watcher(stream=Terminal(), environment={}), LineWatcher)
    assert isinstance(choose_watcher(stream=Terminal(), environment={"TERM": "xterm"}, as_json=True), LineWatcher)
    assert isinstance(choose_watcher(stream=io.StringIO(), environment={"TERM": "xterm"}), LineWatcher)


def test_durations_read_as_a_person_says_them() -> None:
    assert [duration(seconds) for seconds in (0.0, 59.9, 60, 3599, 7384)] == ["0 s", "59 s", "1:00", "59:59", "2:03:04"]
