"""A run's folder when its files are damaged, its clock was set back or its last command was cut off."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.hardware import Hardware
from pipeline.host.runs import RUN_FILE, RunFolder, open_run, open_runs
from pipeline.job_folder import ASIDE, begin, restore_interrupted, settle
from pipeline.jobs import make_job
from pipeline.plan import Request, Selected, select
from pipeline.results import Result, read_result, write_result
from pipeline.spec import HostFacts, Job, JobGpu
from tests.builders import make_result, make_workload
from tests.containers.support import CATALOG

CPU = Hardware(JobGpu("cpu", "a processor", "cpu"), "float32")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path, "mine")
    made.make()
    return made


def leave(folder: RunFolder, name: str, result: Result) -> Path:
    (folder.path / name).mkdir()
    write_result(folder.path / name, result)
    return folder.path / name / "result.json"


def test_commands_are_noted_in_order_and_numbered(folder: RunFolder) -> None:
    assert [folder.record("first", "remark"), folder.record("second", None)] == [1, 2]
    noted = json.loads((folder.path / RUN_FILE).read_text())
    assert [command["command"] for command in noted["commands"]] == ["first", "second"]
    assert folder.noted()[0].label == "remark"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\x00", b"[]", b'{"name": 3}', b'{"commands": [{}]}'])
def test_a_damaged_run_file_is_set_aside_and_the_command_goes_on(folder: RunFolder, content: bytes) -> None:
    (folder.path / RUN_FILE).write_bytes(content)
    assert folder.record("again", None) == 1
    assert (folder.path / "run.json.damaged-1").read_bytes() == content


@pytest.mark.parametrize("content", [b"", b'{"schema_ver', b"\xff\x00", b"[]", b'{"schema_version": 99}'])
def test_a_damaged_result_is_named_and_hides_no_other(folder: RunFolder, content: bytes) -> None:
    leave(folder, "a", make_result("none"))
    leave(folder, "b", make_result("4-bit")).write_bytes(content)
    results, unreadable = folder.results_of_all_jobs()
    assert [result.job.experiment for result in results.values()] == ["none"]
    assert [fault.split(":")[0] for fault in unreadable] == [str(folder.path / "b" / "result.json")]


def test_of_two_answers_the_later_commands_counts_though_the_clock_was_set_back(folder: RunFolder) -> None:
    old, new = make_result("none", 1.0), make_result("none", 2.0)
    leave(folder, "old", replace(old, job=replace(old.job, command=1), finished_at="2026-11-23T12:00:00+00:00"))
    leave(folder, "new", replace(new, job=replace(new.job, command=2), finished_at="1999-01-01T00:00:00+00:00"))
    results, _ = folder.results_of_all_jobs()
    [result] = results.values()
    assert result.metrics is not None
    assert result.metrics.docs_per_s == 2.0


def test_another_machines_answer_to_the_same_question_is_kept(folder: RunFolder) -> None:
    for name, machine in (("here", "A CPU"), ("there", "Another CPU")):
        leave(folder, name, make_result("none", cpu=machine))
    results, _ = folder.results_of_all_jobs()
    assert {path.name for path in results} == {"here", "there"}


def in_command(number: int, result: Result) -> Result:
    return replace(result, job=replace(result.job, command=number))


def test_a_later_skip_takes_nothing_from_a_job_that_came_through(folder: RunFolder) -> None:
    """Two interpreters may fill one run, each with the engines that it has."""
    done = make_result("vllm", variant="current-cpu")
    skipped = make_result("vllm", status="skipped", variant=None, batch_size_asked=None)
    leave(folder, "done", in_command(1, done))
    leave(folder, "skipped", in_command(2, skipped))
    assert [path.name for path in folder.results_of_all_jobs()[0]] == ["done"]


def test_a_job_that_came_through_outdates_an_earlier_skip(folder: RunFolder) -> None:
    leave(folder, "skipped", in_command(1, make_result("none", status="skipped", variant=None, batch_size_asked=None)))
    leave(folder, "done", in_command(2, make_result("none", variant="current-cpu")))
    assert [path.name for path in folder.results_of_all_jobs()[0]] == ["done"]


def test_a_later_skip_outdates_a_failure(folder: RunFolder) -> None:
    leave(folder, "failed", in_command(1, make_result("none", status="failed")))
    leave(folder, "skipped", in_command(2, make_result("none", status="skipped", variant=None, batch_size_asked=None)))
    assert [path.name for path in folder.results_of_all_jobs()[0]] == ["skipped"]


def test_an_environment_of_its_own_and_the_interpreter_at_hand_answer_for_themselves(folder: RunFolder) -> None:
    for number, variant in enumerate(("cpu", "current-cpu"), start=1):
        leave(folder, variant, in_command(number, make_result("none", variant=variant)))
    assert {path.name for path in folder.results_of_all_jobs()[0]} == {"cpu", "current-cpu"}


def test_answers_on_real_and_on_random_weights_are_both_kept(folder: RunFolder) -> None:
    for name, synthetic in (("real", False), ("random", True)):
        leave(folder, name, make_result("none", synthetic=synthetic))
    results, _ = folder.results_of_all_jobs()
    assert {path.name for path in results} == {"real", "random"}


def test_a_damaged_run_file_is_read_as_none_and_left_as_it_is(folder: RunFolder) -> None:
    (folder.path / RUN_FILE).write_text("{")
    record, fault = folder.noted()
    assert (record.label, record.commands) == (None, ())
    assert fault is not None and str(folder.path / RUN_FILE) in fault
    assert (folder.path / RUN_FILE).read_text() == "{"


def test_a_damaged_run_file_is_named(folder: RunFolder) -> None:
    (folder.path / RUN_FILE).write_text("{")
    record, fault = folder.noted()
    assert (record.label, record.typed) == (None, ())
    assert fault is not None and fault.startswith(f"{folder.path / RUN_FILE}: not valid JSON")


def test_a_whole_run_file_has_no_fault(folder: RunFolder) -> None:
    folder.record("first", "remark")
    record, fault = folder.noted()
    assert (record.label, record.typed, fault) == ("remark", ("first",), None)


def test_a_run_is_found_by_its_name_or_its_folder(folder: RunFolder, tmp_path: Path) -> None:
    folder.record("command", None)
    assert open_run("mine", tmp_path).path == folder.path.resolve()
    assert open_run(str(folder.path), tmp_path / "elsewhere").path == folder.path.resolve()


def test_a_run_that_is_not_there_is_named_with_the_nearest(folder: RunFolder, tmp_path: Path) -> None:
    folder.record("command", None)
    with pytest.raises(UsageError, match=r"'nine': no run of that name.*did you mean mine\?"):
        open_run("nine", tmp_path)
    with pytest.raises(UsageError, match=r"holds mine"):
        open_run("\0", tmp_path)


def test_a_run_that_is_named_in_several_ways_is_opened_once(folder: RunFolder, tmp_path: Path) -> None:
    folder.record("command", None)
    (tmp_path / "linked").symlink_to(folder.path)
    named = ["mine", "./mine", "mine/", str(folder.path), "linked"]
    assert [run.path for run in open_runs(named, tmp_path)] == [folder.path.resolve()]


def test_a_folder_without_a_run_in_it_is_no_run(folder: RunFolder, tmp_path: Path) -> None:
    (folder.path / "notes").mkdir()
    with pytest.raises(UsageError, match="'mine': no run of that name and no run's folder"):
        open_run("mine", tmp_path)
    with pytest.raises(UsageError, match="no run of that name"):
        open_run("", tmp_path)


def test_results_alone_make_a_folder_a_run(folder: RunFolder, tmp_path: Path) -> None:
    leave(folder, "a", make_result("none"))
    assert open_run("mine", tmp_path).path == folder.path.resolve()


@pytest.fixture
def item() -> Selected:
    [found] = select(["lead-3"], CATALOG, CATALOG.models["gemma-3-270m"], CPU, lambda *_: None)
    assert isinstance(found, Selected)
    return found


@pytest.fixture
def request_() -> Request:
    return Request("mine", "offline", None, make_workload(), CATALOG.models["gemma-3-270m"], "process")


@pytest.fixture
def job(item: Selected, request_: Request) -> Job:
    return make_job(item, request_, CPU, None, HostFacts())


def test_a_result_that_is_being_replaced_comes_back_if_the_attempt_is_cut_off(
    folder: RunFolder, job: Job, item: Selected, request_: Request
) -> None:
    path = folder.results / job.folder
    path.mkdir()
    write_result(path, make_result("lead-3"))
    begin(folder.results, job, item, request_, CPU)
    assert not (path / "result.json").exists()
    restore_interrupted(folder.path)
    assert read_result(path / "result.json") == make_result("lead-3")


def test_a_result_that_was_replaced_stays_so(folder: RunFolder, job: Job, item: Selected, request_: Request) -> None:
    path = folder.results / job.folder
    path.mkdir()
    write_result(path, make_result("lead-3", 1.0))
    begin(folder.results, job, item, request_, CPU)
    write_result(path, make_result("lead-3", 2.0))
    restore_interrupted(folder.path)
    assert read_result(path / "result.json") == make_result("lead-3", 2.0)
    settle(folder.results, job)
    assert list((folder.path / ASIDE).iterdir()) == []


def test_only_a_job_that_resumes_keeps_the_documents_of_its_last_attempt(
    folder: RunFolder, job: Job, item: Selected, request_: Request
) -> None:
    path = folder.results / job.folder
    for resumes in (True, False):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        (path / "documents.jsonl").write_text("{}\n")
        (path / "log.txt").write_text("old")
        begin(folder.results, replace(job, resume_documents=resumes), item, request_, CPU)
        left = {file.name for file in path.iterdir()}
        assert left == ({"job.json", "documents.jsonl"} if resumes else {"job.json"})
