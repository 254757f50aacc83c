"""tuning.json: what tuning leaves in its run's folder."""

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.tuning.record import TUNING_FILE, Judged, Step, Trial, Tuning, read_tuning, write_tuning
from tests.builders import make_workload

TRIALS = (
    Trial("none", {}, "untuned", "ok", 1.0, 10.0),
    Trial("none-t1", {"deep": {"x": [1, 2]}, "flag": False}, "alone", "ok", 2.0, 9.0),
    Trial("none-t2", {"flag": True}, "search", "failed", None, 3.0, "cuda_oom: out of memory"),
)
TUNING = Tuning(
    of="none",
    model="gemma-3-270m",
    gpu="cpu",
    scenario="offline",
    docs=10,
    budget_s=60.0,
    spent_s=22.0,
    trials=TRIALS,
    path=(Step(None, None, "none", 1.0, None), Step("deep", {"x": [1, 2]}, "none-t1", 2.0, 2.0)),
    best="none-t1",
    judged=(Judged("none-t1", "undecided", "about 300 documents would decide"),),
    why_not="the quality gate says undecided",
    workload=make_workload(),
)


def test_it_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    write_tuning(tmp_path, TUNING)
    assert read_tuning(tmp_path) == TUNING


def test_there_is_nothing_before_the_first_tuning(tmp_path: Path) -> None:
    assert read_tuning(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"of": "none"}', '{"of": "../none"}'])
def test_a_damaged_file_is_named_with_the_mend(text: str, tmp_path: Path) -> None:
    (tmp_path / TUNING_FILE).write_text(text)
    with pytest.raises(UsageError, match=rf"(?s){TUNING_FILE}.*; move it away to tune from the start"):
        read_tuning(tmp_path)


def test_a_trial_is_known_by_its_changes_in_any_order() -> None:
    assert TUNING.known({"flag": False, "deep": {"x": [1, 2]}}) == TRIALS[1]
    assert TUNING.known({"flag": False}) is None
    assert TUNING.untuned == TRIALS[0]
