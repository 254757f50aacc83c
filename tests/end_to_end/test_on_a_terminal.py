"""What a person sees of a run on a terminal: the real command on a real pseudo-terminal, read by an emulator."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.pseudo_terminal import Frame, Terminal

SMALL = ["--model", "gemma-3-270m", "--dataset", "sample", "--docs", "3", "--max-new-tokens", "16"]
SINGLE = ["--scenario", "single"]  # a document is finished long before the last
MODEL = [
    "--gpu",
    "cpu",
    "--experiment",
    "gguf-q4",
    "--experiment",
    "lead-3",
    "--experiment",
    "flash-attn",
    *SMALL,
    *SINGLE,
]
LEAD = ["--gpu", "cpu", "--experiment", "lead-3", "--docs", "2"]
NARROW = 44
RUNNING = re.compile(r"^\[\d/\d\] \S+  \S")
COLOUR = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7])(?:;\d+)*m")
INTERRUPT = b"\x03"

Open = Callable[..., Terminal]


def command(cache: Path, results: Path, *arguments: str) -> list[str]:
    folders = ["--cache", str(cache), "--results", str(results), "--launcher", "process", "--formats", "md"]
    return [sys.executable, "orchestrator.py", *arguments, *folders]


@pytest.fixture(scope="module")
def watched(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A run of three experiments that has ended, its terminal made narrower while the first one generated."""
    results = tmp_path_factory.mktemp("results")
    terminal = Terminal(columns=120)
    terminal.start(command(cache, results, *MODEL), REPOSITORY, environment())
    terminal.watch(lambda frame: "left" in (frame.find("[1/3] gguf-q4  generate") or ""))  # that of the first document
    terminal.resize(NARROW)
    assert terminal.end() == 1, terminal.last.text  # flash-attn was asked for by name
    yield terminal
    terminal.close()


@pytest.fixture
def open_terminal(cache: Path, tmp_path: Path) -> Iterator[Open]:
    """Start a command on a terminal of its own."""
    opened = []

    def call(*arguments: str, stdout: Path | None = None, **variables: str) -> Terminal:
        terminal = Terminal()
        opened.append(terminal)
        terminal.start(
            command(cache, tmp_path / "results", *arguments), REPOSITORY, environment(**variables), stdout=stdout
        )
        return terminal

    yield call
    for terminal in opened:
        terminal.close()


def environment(**variables: str) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    return {**ours, "TERM": "xterm-256color", **variables}


def running_lines(frame: Frame) -> list[str]:
    return [line for line in frame.lines if RUNNING.match(line)]


def seen(terminal: Terminal, pattern: str) -> list[str]:
    """The running job's lines, over all frames, in which that is found."""
    return [line for frame in terminal.frames for line in running_lines(frame) if re.search(pattern, line)]


def test_the_running_job_shows_its_phase_and_documents(watched: Terminal) -> None:
    assert seen(watched, r"gguf-q4  load")
    assert seen(watched, r"gguf-q4  generate  \S+  0/3")


def test_memory_is_shown_while_documents_are_generated(watched: Terminal) -> None:
    shown = seen(watched, r"generate .* (\d\.\d\d) GiB")
    assert shown
    assert not [line for line in shown if "0.00 GiB" in line]


def test_rate_and_time_left_appear_with_the_first_finished_document(watched: Terminal) -> None:
    assert seen(watched, r"[1-3]/3  [\d.]+ docs/s .* left")
    assert not seen(watched, r"0/3 .*(docs/s|left)")


def test_the_jobs_to_come_are_named(watched: Terminal) -> None:
    assert any(frame.find("next: lead-3, flash-attn") for frame in watched.frames)
    assert any(frame.find("1 ok · next: flash-attn") for frame in watched.frames)


def test_the_jobs_that_ended_stand_above_with_their_outcome(watched: Terminal) -> None:
    shown = [frame.text for frame in watched.frames]
    first, second, third = (
        r"^\[1/3\] gguf-q4: ok: [\d.]+ docs/s \(",
        r"^\[2/3\] lead-3: ok: [\d,.]+ docs/s \(",
        r"^\[3/3\] flash-attn: skipped: needs",
    )
    assert any(re.search(f"{first}(?s:.*){second}(?s:.*){third}", text, re.M) for text in shown)


def test_on_a_narrow_terminal_the_running_job_keeps_to_its_line(watched: Terminal) -> None:
    narrow = [frame for frame in watched.frames if frame.columns == NARROW and running_lines(frame)]
    assert narrow
    for frame in narrow:
        [line] = running_lines(frame)
        assert len(line) <= NARROW
        assert line.startswith("[")


def test_the_display_leaves_nothing_behind(watched: Terminal) -> None:
    assert running_lines(watched.last) == []
    assert "next:" not in watched.last.text
    assert watched.left_as_it_was


def test_ctrl_c_leaves_the_terminal_as_it_was(open_terminal: Open) -> None:
    terminal = open_terminal(*MODEL, "--max-new-tokens", "200")
    terminal.watch(lambda frame: frame.find("[1/3] gguf-q4  generate") is not None)
    terminal.press(INTERRUPT)
    assert terminal.end() == 130
    assert "interrupted; the same command goes on from here" in terminal.last.text
    assert running_lines(terminal.last) == []
    assert terminal.left_as_it_was


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(open_terminal: Open) -> None:
    terminal = open_terminal(*LEAD, TERM="dumb")
    assert terminal.end() == 0
    assert b"\x1b" not in terminal.output
    assert terminal.last.find("[1/1] lead-3: generate")


def test_no_color_leaves_the_colours_out_and_the_display_in(open_terminal: Open, watched: Terminal) -> None:
    assert COLOUR.search(watched.output)
    plain = open_terminal(*LEAD, NO_COLOR="1")
    assert plain.end() == 0
    assert any(map(running_lines, plain.frames))
    assert not COLOUR.search(plain.output)


def test_with_json_the_terminal_gets_plain_lines_and_standard_output_the_json(
    open_terminal: Open, tmp_path: Path
) -> None:
    terminal = open_terminal(*LEAD, "--json", stdout=tmp_path / "out.json")
    assert terminal.end() == 0
    assert b"\x1b" not in terminal.output
    assert terminal.last.find("[1/1] lead-3: ok")
    assert json.loads((tmp_path / "out.json").read_text())["results"]
