"""What jobs do when memory runs out, and whether they search their batch size or go on from documents."""

import argparse
from dataclasses import replace

import pytest

from pipeline.catalog import load_catalog
from pipeline.errors import UsageError
from pipeline.hardware import Hardware
from pipeline.jobs import make_job, remarks
from pipeline.options import add_hardware_options, add_run_option, add_workload_options, settle_options
from pipeline.plan import Request, Selected, select
from pipeline.spec import HostFacts, Job, JobGpu, JobWeights
from tests.builders import make_workload

CATALOG = load_catalog()
MODEL = CATALOG.models["gemma-3-270m"]
CPU = Hardware(JobGpu("cpu", "Some CPU", "cpu"), "float32")
REQUEST = Request("run", "offline", None, make_workload(), MODEL, "process")
WEIGHTS = JobWeights("hf", "models/gemma-3-270m/hf", "real", "1.0.0", "0" * 64)


def selected(name: str) -> Selected:
    [item] = select([name], CATALOG, MODEL, CPU, lambda *_: None)
    assert isinstance(item, Selected)
    return item


def job(name: str = "none", request: Request = REQUEST) -> Job:
    item = selected(name)
    return make_job(item, request, CPU, WEIGHTS if item.model else None, HostFacts())


def test_batches_shrink_by_default_where_the_engine_can() -> None:
    assert [job(name).on_oom for name in ("none", "4-bit", "vllm", "gguf-q4", "lead-3")] == [
        *("shrink", "shrink", "fail", "fail", "fail")
    ]


def test_the_user_can_have_a_batch_that_does_not_fit_fail() -> None:
    assert job(request=replace(REQUEST, on_oom="fail")).on_oom == "fail"


def test_one_document_at_a_time_has_nothing_to_shrink() -> None:
    assert job(request=replace(REQUEST, scenario="single")).on_oom == "fail"


def test_what_an_engine_can_not_do_of_what_was_asked_is_said_and_no_error() -> None:
    request = replace(REQUEST, on_oom="shrink", find_batch_size=True)
    made = job("vllm", request)
    assert (made.on_oom, made.find_batch_size) == ("fail", False)
    assert [text.partition(":")[0] for text in made.remarks] == ["--find-batch-size", "--on-oom shrink"]
    assert remarks(selected("none"), request) == remarks(selected("lead-3"), request) == ()


def test_an_engine_that_fills_a_pool_is_told_no_batch_size_whatever_its_image_can_do() -> None:
    made = job("paged", replace(REQUEST, find_batch_size=True))
    assert selected("paged").image.shrinks_batch
    assert (made.on_oom, made.find_batch_size) == ("fail", False)
    assert [text.partition(":")[0] for text in made.remarks] == ["--find-batch-size"]


def test_nothing_is_said_where_nothing_was_asked() -> None:
    assert remarks(selected("vllm"), REQUEST) == ()


@pytest.mark.parametrize("asked", [{"on_oom": "fail"}, {"find_batch_size": True}])
def test_the_answer_to_full_memory_and_the_search_make_another_job(asked: dict[str, str]) -> None:
    assert job(request=replace(REQUEST, **asked)).key != job().key


def test_going_on_from_documents_finds_the_job_that_was_interrupted() -> None:
    resumed = job(request=replace(REQUEST, resume_documents=True))
    assert resumed.resume_documents
    assert (resumed.key, resumed.folder) == (job().key, job().folder)


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_hardware_options(parser.add_argument_group(), CATALOG)
    add_workload_options(parser.add_argument_group(), CATALOG, "")
    add_run_option(parser.add_argument_group(), "")
    given = parser.parse_args(arguments)
    settle_options(given, CATALOG, [])
    return given


def test_without_being_asked_nothing_is_searched_or_gone_on_from() -> None:
    given = parsed()
    assert (given.on_oom, given.find_batch_size, given.resume_documents) == (None, False, False)


@pytest.mark.parametrize(
    ("arguments", "mend"),
    [(["--scenario", "single"], "take --scenario offline"), (["--batch-size", "4"], "leave one of them out")],
)
def test_a_search_is_refused_where_there_is_nothing_to_search(arguments: list[str], mend: str) -> None:
    with pytest.raises(UsageError, match=mend):
        parsed("--find-batch-size", *arguments)
