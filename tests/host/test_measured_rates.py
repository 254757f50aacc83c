"""Rates that one job of a command measured are told to those after it that would measure the same."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.entries import Rates
from pipeline.host.measured_rates import MeasuredRates
from pipeline.results import Environment, Result, summarize_job
from pipeline.spec import Job, Precision
from tests.fuzz.seeds import job as make_job

RATES = Rates("measured", 1e10, 1e11, None)


def job(**more: Any) -> Job:
    return replace(make_job(), precision=Precision(16, 16, 16, 16), **more)


def result(of: Job, rates: Rates | None = RATES) -> Result:
    return Result(job=summarize_job(of), status="ok", environment=Environment(rates=rates))


def test_a_later_job_of_the_same_kind_is_told() -> None:
    measured = MeasuredRates()
    measured.note(job(), result(job()))
    assert measured.told(job(launch=2)).host.rates == RATES


@pytest.mark.parametrize(
    "other", [{"dtype": "float16"}, {"variant": "cu130"}, {"image": "vllm"}], ids=["dtype", "variant", "image"]
)
def test_another_environment_or_dtype_measures_for_itself(other: dict[str, Any]) -> None:
    measured = MeasuredRates()
    measured.note(job(), result(job()))
    assert measured.told(job(**other)).host.rates is None


def test_the_bandwidth_is_the_device_s_and_told_to_all() -> None:
    measured = MeasuredRates()
    measured.note(job(), result(job()))
    assert measured.told(job(dtype="float16")).host.bandwidth_bytes_per_s == RATES.bandwidth_bytes_per_s


def test_a_job_that_could_not_measure_leaves_it_to_the_next() -> None:
    measured = MeasuredRates()
    measured.note(job(), result(job(), None))
    assert measured.told(job()).host.rates is None


def test_a_job_without_a_model_has_no_use_for_rates() -> None:
    measured = MeasuredRates()
    measured.note(job(), result(job()))
    assert measured.told(replace(job(), precision=None)).host.rates is None
