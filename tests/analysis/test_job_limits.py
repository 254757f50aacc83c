"""What a planned job carries of its limit, and the bound for the documents that it completed."""

from dataclasses import replace

import pytest

from pipeline.analysis.roofline import RequestLength, bound, for_documents
from pipeline.analysis.samples import Samples
from pipeline.entries import Rates
from pipeline.hardware import CPU, choose_hardware
from pipeline.measures import DocumentResult
from pipeline.spec import Precision
from tests.vocabulary.test_hardware import GPUS, detected
from tests.vocabulary.test_plan import job

RATES = Rates("measured", 7e10, 9e11)
DONE = DocumentResult("a", "text", "stop", prompt_tokens=500, output_tokens=60)
TOO_LONG = DocumentResult("b", "", "too_long", prompt_tokens=50_000)


def test_a_job_knows_its_models_shape_and_its_precision() -> None:
    planned = job("none")
    assert planned.model is not None
    assert planned.model.linear_parameters == 100_270_080
    assert planned.model.output_parameters == 262_144 * 640
    assert planned.precision == Precision(32, 32, 32, 16)


def test_a_job_without_a_model_has_no_precision() -> None:
    assert job("lead-3").precision is None


def test_a_job_on_a_listed_gpu_carries_its_vendors_rates() -> None:
    hardware = choose_hardware("auto", GPUS, detected("Tesla T4", 7.5), force=False, hypothetical=False)
    assert job("none", hardware).gpu.rates == Rates("listed", 3.2e11, 6.5e13, 1.3e14)


def test_a_cpu_has_no_listed_rates() -> None:
    assert choose_hardware(CPU, GPUS, [], force=False, hypothetical=False).gpu.rates is None


def test_the_fraction_is_of_the_measured_time_and_documents_too_long_count_nowhere() -> None:
    planned = job("none")
    assert planned.model is not None and planned.precision is not None
    alone = bound([RequestLength(500, 60)], planned.model, planned.precision, RATES, "offline")
    found = for_documents(planned, Samples([DONE, TOO_LONG]), RATES, None, 10.0)
    assert alone is not None and found is not None
    assert found == replace(alone, fraction=alone.bound_s / 10)


def test_without_a_speed_there_is_a_bound_and_no_fraction() -> None:
    found = for_documents(job("none"), Samples([DONE]), RATES, None, None)
    assert found is not None and found.fraction is None


@pytest.mark.parametrize("rates", [None, RATES])
def test_without_rates_or_with_uncounted_tokens_there_is_no_bound(rates: Rates | None) -> None:
    document = DONE if rates is None else replace(DONE, output_tokens=None)
    assert for_documents(job("none"), Samples([document]), rates, None, 10.0) is None
