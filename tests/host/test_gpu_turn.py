"""Turns on a GPU whose memory readings the test sets; the locks are real, and so are the processes that hold them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.gpus import GpuProcess
from pipeline.host import gpu_turn
from pipeline.host.gpu_turn import TOLERANCE_BYTES, GpuHeldError, GpuTurn
from pipeline.host.stopping import Stop
from pipeline.report.watch import LineWatcher
from tests.conftest import REPOSITORY

UUID = "GPU-0123"
GIB = 1024**3


class Notes(LineWatcher):
    """What a watcher is told."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def turn_with(tmp_path: Path, notes: Notes, monkeypatch: pytest.MonkeyPatch) -> Callable[..., GpuTurn]:
    """A turn on a GPU that gives these readings of its used memory, the last one for ever."""
    monkeypatch.setattr(gpu_turn, "PERIOD_S", 0.01)
    monkeypatch.setattr(gpu_turn, "RELEASE_LIMIT_S", 0.2)

    def make(*readings: int | None, holders: tuple[GpuProcess, ...] = ()) -> GpuTurn:
        left = list(readings)
        return GpuTurn(
            UUID, notes, lambda _: left.pop(0) if len(left) > 1 else left[0], lambda _: list(holders), tmp_path
        )

    return make


def take_twice(turn: GpuTurn) -> None:
    for _ in range(2):
        with turn.take(Stop()):
            pass


def test_the_next_job_waits_until_memory_is_back_at_its_baseline(
    turn_with: Callable[..., GpuTurn], notes: Notes
) -> None:
    take_twice(turn_with(GIB, 60 * GIB, 30 * GIB, GIB))
    assert notes.texts == ["waiting for the GPU's memory to be given back"]


def test_what_others_hold_all_the_time_is_the_baseline(turn_with: Callable[..., GpuTurn], notes: Notes) -> None:
    take_twice(turn_with(5 * GIB, 5 * GIB + TOLERANCE_BYTES))
    assert notes.texts == []


def test_memory_that_is_not_given_back_names_who_holds_it(turn_with: Callable[..., GpuTurn]) -> None:
    turn = turn_with(0, 3 * GIB, holders=(GpuProcess(4711, "python3", 3 * GIB),))
    with pytest.raises(GpuHeldError, match=r"3072 MiB more .* by process 4711 \(python3\)"):
        take_twice(turn)


def test_a_gpu_that_tells_nothing_is_not_waited_for(turn_with: Callable[..., GpuTurn]) -> None:
    take_twice(turn_with(None))


def test_a_cpu_has_no_turns(notes: Notes, tmp_path: Path) -> None:
    take_twice(GpuTurn(None, notes, locks=tmp_path))
    assert list(tmp_path.iterdir()) == []


HOLD = """
import sys
from pathlib import Path
from pipeline.host.gpu_turn import GpuTurn
from pipeline.host.stopping import Stop
from pipeline.report.watch import LineWatcher
with GpuTurn(sys.argv[1], LineWatcher(), lambda _: 0, lambda _: [], Path(sys.argv[2])).take(Stop()):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_another_commands_job_is_waited_for(
    turn_with: Callable[..., GpuTurn], notes: Notes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, UUID, str(tmp_path)], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None and holder.stdin is not None
    assert holder.stdout.readline() == b"held\n"

    def release(text: str) -> None:
        notes.texts.append(text)
        assert holder.stdin is not None
        holder.stdin.close()

    monkeypatch.setattr(notes, "note", release)
    with turn_with(0).take(Stop()):
        assert notes.texts == [f"waiting for another command's job on {UUID}"]
    assert holder.wait(10) == 0
    holder.stdout.close()
