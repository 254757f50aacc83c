"""What a command's parts took: added up, noted in run.json, and never at the cost of the record."""

import time
from pathlib import Path

import pytest

from pipeline.files import read_json, write_json
from pipeline.host.runs import RUN_FILE, RunFolder
from pipeline.host.wall import Clock, Wall


def test_a_part_that_is_entered_twice_is_added_up() -> None:
    clock = Clock()
    for _ in range(2):
        with clock.part("jobs"):
            time.sleep(0.01)
    assert 0.02 <= (clock.read().jobs_s or 0) < 1
    assert clock.read().report_s is None


def test_a_part_that_breaks_counts_too() -> None:
    clock = Clock()
    with pytest.raises(KeyboardInterrupt), clock.part("jobs"):
        raise KeyboardInterrupt
    assert clock.read().jobs_s is not None


def test_the_total_begins_with_the_process() -> None:
    started = time.perf_counter()
    wall = Clock().read()
    assert wall.total_s > time.perf_counter() - started


def test_what_is_in_no_part_is_the_orchestrator_s_own() -> None:
    assert Wall(total_s=10.0, prepare_s=1.0, jobs_s=6.0, report_s=None).own_s == 3.0


def test_each_command_has_its_own_wall_in_run_json(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "mine")
    folder.make()
    first, second = folder.record("one", None), folder.record("two", None)
    folder.note_wall(second, Wall(2.0))
    folder.note_wall(first, Wall(1.0))
    assert folder.noted()[0].walls == (Wall(1.0), Wall(2.0))


def test_a_record_of_before_walls_were_noted_is_read(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "mine")
    folder.make()
    folder.record("one", None)
    value = read_json(tmp_path / "mine" / RUN_FILE)
    del value["commands"][0]["wall"]
    write_json(tmp_path / "mine" / RUN_FILE, value)
    assert folder.noted()[0].walls == (None,)


def test_a_damaged_record_is_left_as_it_is(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "mine")
    folder.make()
    number = folder.record("one", None)
    (tmp_path / "mine" / RUN_FILE).write_text("{", encoding="utf-8")
    folder.note_wall(number, Wall(1.0))
    assert (tmp_path / "mine" / RUN_FILE).read_text(encoding="utf-8") == "{"
