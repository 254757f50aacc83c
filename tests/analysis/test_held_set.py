"""How well the table classifies whole logs that nobody looked at while it was written, and those it was improved on."""

from pathlib import Path

import pytest

from pipeline.analysis.failures import UNKNOWN, load_signatures
from tests.analysis.held_set import accuracy, confusion, judge, read_index, wrong

HELD = Path(__file__).parent / "held"
DEVELOPED = Path(__file__).parent / "developed"
TABLE = load_signatures()

LOGS = {
    "oom.log": ("cuda_oom", "INFO starting\nRuntimeError: CUDA out of memory. Tried to allocate 2 GiB\n"),
    "port.log": ("port_in_use", "OSError: [Errno 98] Address already in use\n"),
    "odd.log": (UNKNOWN, "AssertionError: heads must divide\n"),
    "missed.log": ("host_oom", "AssertionError: nothing that is known\n"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small set, one of whose classes can't be found."""
    entries = [f"- {{file: {name}, class: {class_}, thread: a/b#1, what: x}}\n" for name, (class_, _) in LOGS.items()]
    (tmp_path / "index.yaml").write_text("".join(entries), encoding="utf-8")
    for name, (_, text) in LOGS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_there_are_logs_enough_and_some_that_match_no_class() -> None:
    classes = [held.class_ for held in read_index(HELD)]
    assert len(classes) >= 60
    assert classes.count(UNKNOWN) >= 15


def test_every_class_of_the_set_is_known() -> None:
    assert {held.class_ for held in read_index(HELD)} <= {entry.class_ for entry in TABLE} | {UNKNOWN}


def test_no_log_comes_from_where_a_signature_was_seen() -> None:
    sources = "; ".join(entry.source for entry in TABLE)
    assert [held.file for held in read_index(HELD) if held.thread in sources] == []


def test_nearly_all_logs_find_their_class() -> None:
    judged = judge(HELD, TABLE)
    assert accuracy(judged) >= 0.95, "\n".join(wrong(judged))


def test_the_logs_that_the_table_was_improved_on_keep_their_classes() -> None:
    assert wrong(judge(DEVELOPED, TABLE)) == []


def test_no_held_log_is_one_that_the_table_was_improved_on() -> None:
    threads = {held.thread for held in read_index(DEVELOPED)}
    assert [held.file for held in read_index(HELD) if held.thread in threads] == []


def test_accuracy_counts_the_right_ones(folder: Path) -> None:
    judged = judge(folder, TABLE)
    assert accuracy(judged) == 0.75
    [line] = wrong(judged)
    assert line.startswith("missed.log: host_oom, found unknown")


def test_the_confusion_shows_groups_with_their_sums(folder: Path) -> None:
    lines = confusion(judge(folder, TABLE), TABLE).splitlines()
    assert lines[0] == "| group | logs | right class | any | load | unknown |"
    assert lines[2:] == [
        "| any | 2 | 1 | 1 | 0 | 1 |",
        "| load | 1 | 1 | 0 | 1 | 0 |",
        "| unknown | 1 | 1 | 0 | 0 | 1 |",
        "| all | 4 | 3 | 1 | 1 | 2 |",
    ]
