"""Presets of published settings: what they set, what contradicts them, and what the jobs under them are."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.catalog import CONFIG, load_catalog, under_preset
from pipeline.choices import make_requests, resolve_choices
from pipeline.datasets import in_place
from pipeline.errors import UsageError
from pipeline.hardware import Hardware
from pipeline.host.arguments import Arguments
from pipeline.host.arguments import parse as parse_for_host
from pipeline.host.launchers.choose import LAUNCHERS
from pipeline.jobs import make_job, settings_on, unstarted_job
from pipeline.plan import Request, Selected, select
from pipeline.report.listing import catalog_listing
from pipeline.results import summarize_job
from pipeline.spec import HostFacts, Job, JobGpu, JobWeights
from pipeline.worker.arguments import parse as parse_for_worker
from tests.conftest import REPOSITORY

CATALOG = load_catalog()
HF = CATALOG.presets["published-hf"]
A100 = Hardware(JobGpu("a100", "NVIDIA A100-SXM4-40GB", "cuda"), "bfloat16", 8.0, 580)
CPU = Hardware(JobGpu("cpu", "Some CPU", "cpu"), "float32")
WEIGHTS = JobWeights("hf", "models/llama-2-7b-chat/hf", "real", "1.0.0", "0" * 64)


def parse(*argv: str) -> Arguments:
    return parse_for_host(["--gpu", "cpu", "--dataset", "sample", "--docs", "2", *argv], CATALOG, LAUNCHERS)


def requested(*argv: str) -> Request:
    """The request of a command for the published model."""
    arguments = parse("--all", "--model", "llama-2-7b-chat", *argv)
    choices = resolve_choices(arguments, under_preset(CATALOG, arguments.preset))
    data = REPOSITORY / "data"
    [made] = make_requests(arguments, choices, in_place("sample/howto_en.jsonl", data), data, "process")
    return made


def planned(name: str, preset: str | None) -> Selected:
    catalog = under_preset(CATALOG, preset)
    [item] = select([name], catalog, catalog.models["llama-2-7b-chat"], A100, lambda *_: None)
    assert isinstance(item, Selected)
    return item


def job(name: str, *argv: str) -> Job:
    request = requested(*argv)
    return make_job(planned(name, request.preset), request, A100, WEIGHTS, HostFacts())


def edited(tmp_path: Path, old: str, new: str) -> Path:
    config = tmp_path / "config"
    shutil.copytree(CONFIG, config)
    text = (config / "experiments.yaml").read_text(encoding="utf-8")
    assert old in text
    (config / "experiments.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    return config


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("prompt: published-hf", "prompt: absent", r"published-hf: prompt: there is no prompt 'absent'"),
        ("[none, 4-bit, 8-bit", "[none, 4bit, 8-bit", "published-hf: there is no experiment '4bit'"),
        ("4-bit: float16", "4-bit: float17", "published-hf: dtype: 4-bit: 'float17' is none of float32"),
        ("temperature: 0.6", "temperature: 0", "published-hf: sampling: temperature: expected a number above 0"),
        ("top_p: 0.9", "top_p: 90", "published-hf: sampling: top_p: expected a number above 0 and at most 1"),
        ("top_k: 50", "top_k: -1", "published-hf: sampling: top_k: expected a number above 0"),
        ("strategy: sample, temp", "strategy: greedy, temp", "published-hf: sampling: greedy draws nothing"),
        ("strategy: sample, temp", "strategy: beam, temp", r"published-hf\.sampling\.strategy: 'beam' is none of"),
    ],
)
def test_a_preset_that_does_not_fit_is_an_error_that_names_file_and_field(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    with pytest.raises(UsageError, match=rf"experiments\.yaml: {fault}"):
        load_catalog(edited(tmp_path, old, new))


def test_a_preset_sets_prompt_scenario_limit_and_experiments() -> None:
    arguments = parse("--all", "--preset", "published-hf")
    assert (arguments.prompt, arguments.scenario, arguments.max_new_tokens) == ("published-hf", "single", 300)
    assert arguments.experiments == HF.experiments


def test_without_a_preset_the_defaults_stay() -> None:
    arguments = parse("--all")
    assert (arguments.prompt, arguments.scenario, arguments.max_new_tokens) == (None, "offline", 300)


@pytest.mark.parametrize(
    "said", [("--prompt", "published-vllm"), ("--scenario", "offline"), ("--max-new-tokens", "64")]
)
def test_what_contradicts_a_preset_is_refused_with_both_named(said: tuple[str, str]) -> None:
    option, value = said
    with pytest.raises(UsageError, match=rf"{option} {value}: --preset published-hf sets {option}"):
        parse("--all", "--preset", "published-hf", option, value)


def test_what_says_the_same_as_a_preset_is_no_contradiction() -> None:
    assert parse("--all", "--preset", "published-hf", "--scenario", "single").scenario == "single"


def test_an_experiment_that_was_not_published_so_is_refused_with_those_that_were() -> None:
    with pytest.raises(UsageError, match=r"--experiment vllm-awq: --preset published-hf holds for none, 4-bit, 8-bit"):
        parse("--preset", "published-hf", "--experiment", "none", "--experiment", "vllm-awq")


def test_a_worker_alone_refuses_it_too() -> None:
    with pytest.raises(UsageError, match="--experiment vllm: --preset published-hf holds for"):
        parse_for_worker(["--experiment", "vllm", "--preset", "published-hf"], CATALOG, None)


def test_an_unknown_preset_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown preset 'published'; did you mean published-"):
        parse("--all", "--preset", "published")


def test_a_job_under_a_preset_is_unranked_and_its_summary_names_it() -> None:
    made = job("none", "--preset", "published-hf")
    assert not made.ranked
    assert summarize_job(made).preset == "published-hf"
    assert job("none").ranked
    assert job("none").preset is None


def test_an_experiment_that_never_started_under_a_preset_is_a_row_of_its_own() -> None:
    request = requested("--preset", "published-hf")
    summary, folder = unstarted_job(planned("none", "published-hf"), request, A100)
    assert (summary.preset, summary.ranked) == ("published-hf", False)
    assert folder != unstarted_job(planned("none", "published-hf"), replace(request, preset=None), A100)[1]


def test_a_job_draws_as_its_preset_says_and_is_greedy_without_one() -> None:
    assert job("none", "--preset", "published-hf").sampling == HF.sampling
    assert job("none").sampling.strategy == "greedy"


def test_how_it_draws_makes_another_job() -> None:
    request = requested("--preset", "published-hf")
    item = planned("none", "published-hf")
    colder = replace(request, sampling=replace(request.sampling, temperature=0.5))
    keys = {make_job(item, each, A100, WEIGHTS, HostFacts()).key for each in (request, colder)}
    assert len(keys) == 2


def test_a_dtype_is_the_published_one_or_where_there_is_none_the_hardwares() -> None:
    dtypes = {name: job(name, "--preset", "published-hf").dtype for name in ("none", "4-bit", "8-bit")}
    assert dtypes == {"none": "float32", "4-bit": "float16", "8-bit": "float16"}
    assert job("vllm", "--preset", "published-vllm").dtype == "bfloat16"


def test_on_a_cpu_no_dtype_is_the_published_one() -> None:
    experiments = under_preset(CATALOG, "published-hf").experiments
    assert settings_on(experiments["4-bit"], CPU)[1] == "float32"
    vllm_awq = under_preset(CATALOG, "published-vllm").experiments["vllm-awq"]
    assert settings_on(vllm_awq, CPU)[1] == settings_on(CATALOG.experiments["vllm-awq"], CPU)[1]


def test_published_prompts_are_bare_text() -> None:
    published, usual = job("none", "--preset", "published-hf").model, job("none").model
    assert published is not None
    assert usual is not None
    assert (published.prompt_prefix, published.prompt_suffix) == ("", "")
    assert usual.prompt_prefix == "[INST] "


def test_a_run_without_a_name_is_named_after_its_preset_too() -> None:
    assert requested("--preset", "published-vllm").run == f"{requested().run}-published-vllm"


def test_the_listing_shows_presets() -> None:
    listing = catalog_listing(CATALOG, {})
    assert "published-hf    the published Hugging Face rows" in listing
    assert "sample temperature 0.6 top_p 0.9 top_k 50" in listing
