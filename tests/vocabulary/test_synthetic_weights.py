"""--weights synthetic in the plan: which weights each experiment reads, what is left out, and what can't be made."""

from dataclasses import replace

import pytest

from pipeline.catalog import Catalog, load_catalog, with_weights
from pipeline.choices import make_requests, resolve_choices
from pipeline.datasets import in_place
from pipeline.errors import UsageError
from pipeline.hardware import Hardware
from pipeline.host.arguments import parse
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.jobs import make_job, unstarted_job
from pipeline.plan import Request, Selected, Skipped, select
from pipeline.results import summarize_job
from pipeline.spec import HostFacts, JobGpu, JobWeights
from tests.conftest import REPOSITORY

CATALOG = load_catalog()
SYNTHETIC = with_weights(CATALOG, "synthetic")
LLAMA = CATALOG.models["llama-2-7b-chat"]
H100 = Hardware(JobGpu("h100", "NVIDIA H100 80GB HBM3", "cuda"), "bfloat16", 9.0, 580)
RANDOM = JobWeights("synthetic-hf", "models/llama-2-7b-chat/synthetic-hf", "synthetic", "random_hf@1", "0" * 64)
REAL = JobWeights("hf", "models/llama-2-7b-chat/hf", "real", "1", "0" * 64)


def request(*argv: str, catalog: Catalog = CATALOG) -> Request:
    given = ["--gpu", "cpu", "--all", "--dataset", "sample", "--docs", "2", "--model", "llama-2-7b-chat", *argv]
    arguments = parse(given, CATALOG, LAUNCHERS)
    data = REPOSITORY / "data"
    choices = resolve_choices(arguments, catalog)
    [made] = make_requests(arguments, choices, in_place("sample/howto_en.jsonl", data), data, "process")
    return made


def planned(name: str, catalog: Catalog = SYNTHETIC) -> Selected | Skipped:
    [item] = select([name], catalog, LLAMA, H100, lambda *_: None)
    return item


@pytest.mark.parametrize(("name", "form"), [("vllm", "synthetic-hf"), ("vllm-awq", "synthetic-awq"), ("lead-3", None)])
def test_each_experiment_reads_random_weights_in_place_of_its_format(name: str, form: str | None) -> None:
    assert SYNTHETIC.experiments[name].weights == form


def test_real_weights_leave_the_catalogue_as_it_is() -> None:
    assert with_weights(CATALOG, "real") is CATALOG


def test_an_experiment_whose_speed_depends_on_the_text_is_skipped() -> None:
    item = planned("vllm-ngram")
    assert isinstance(item, Skipped) and item.reason.startswith("needs real weights")


def test_it_runs_on_real_weights() -> None:
    assert isinstance(planned("vllm-ngram", CATALOG), Selected)


def test_a_format_that_is_not_made_at_random_is_named() -> None:
    item = planned("gguf-q4")
    assert isinstance(item, Skipped)
    assert item.reason == "no random weights are made in the gguf format (--weights synthetic)"


def test_a_model_of_unknown_shape_is_refused_with_those_that_have_one() -> None:
    shapeless = replace(CATALOG, models={**CATALOG.models, LLAMA.name: replace(LLAMA, architecture=None)})
    with pytest.raises(UsageError, match=r"no architecture of llama-2-7b-chat.* gemma-3-270m, orca-2-7b, mistral"):
        request("--weights", "synthetic", catalog=shapeless)


def test_the_run_is_named_apart_from_one_on_real_weights() -> None:
    assert request("--weights", "synthetic").run == f"{request().run}-synthetic"


@pytest.mark.parametrize(("weights", "synthetic"), [(RANDOM, True), (REAL, False)])
def test_a_result_says_which_weights_its_job_ran_on(weights: JobWeights, synthetic: bool) -> None:
    item = planned("vllm", SYNTHETIC if synthetic else CATALOG)
    assert isinstance(item, Selected)
    assert summarize_job(make_job(item, request(), H100, weights, HostFacts())).synthetic is synthetic


def test_a_job_that_never_started_says_so_too_and_has_a_key_of_its_own() -> None:
    random, real = (unstarted_job(planned("vllm", catalog), request(), H100)[0] for catalog in (SYNTHETIC, CATALOG))
    assert (random.synthetic, real.synthetic) == (True, False)
    assert random.key != real.key
