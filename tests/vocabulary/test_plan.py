"""What runs where, why not, and what makes two jobs the same job."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from pipeline.catalog import load_catalog
from pipeline.entries import Image, Tuned, Variant
from pipeline.errors import UsageError
from pipeline.hardware import Hardware
from pipeline.jobs import make_job
from pipeline.plan import ANY_IMAGE, Request, Selected, Skipped, preparing_variant, select, weights_needed
from pipeline.spec import HostFacts, Job, JobGpu, JobWeights
from tests.builders import make_workload

CATALOG = load_catalog()
MODEL = CATALOG.models["gemma-3-270m"]
CPU = Hardware(JobGpu("cpu", "Some CPU", "cpu"), "float32")
T4 = Hardware(JobGpu("t4", "Tesla T4", "cuda"), "float16", 7.5, 580)
A100 = Hardware(JobGpu("a100", "NVIDIA A100-SXM4-40GB", "cuda"), "bfloat16", 8.0, 580)
V100 = Hardware(JobGpu("v100", "Tesla V100-SXM2-16GB", "cuda"), "float16", 7.0, 580)
REQUEST = Request("run", "offline", None, make_workload(), MODEL, "process")
WEIGHTS = JobWeights("hf", "models/gemma-3-270m/hf", "real", "1.0.0", "0" * 64)


def can_run(_image: Image, _variant: Variant) -> str | None:
    return None


def planned(name: str, hardware: Hardware) -> Selected | Skipped:
    return select([name], CATALOG, MODEL, hardware, can_run)[0]


def job(name: str = "none", hardware: Hardware = CPU, request: Request = REQUEST) -> Job:
    item = planned(name, hardware)
    assert isinstance(item, Selected)
    return make_job(item, request, hardware, WEIGHTS if item.model else None, HostFacts())


def reason(name: str, hardware: Hardware) -> str:
    item = planned(name, hardware)
    assert isinstance(item, Skipped)
    return item.reason


def test_flash_attention_is_skipped_on_a_cpu_with_what_it_needs() -> None:
    assert reason("flash-attn", CPU) == "needs a CUDA device of compute capability 8.0 or newer, this is a CPU"


def test_flash_attention_is_skipped_on_a_gpu_that_is_too_old() -> None:
    assert reason("flash-attn", T4) == "needs compute capability 8.0, this is Tesla T4 (compute capability 7.5)"


def test_an_old_driver_is_the_reason() -> None:
    text = reason("none", replace(A100, driver=470))
    assert "variant cu130: needs NVIDIA driver 580 or newer, this is 470" in text
    assert "variant cu128: needs NVIDIA driver 525 or newer, this is 470" in text


def chosen(name: str, hardware: Hardware, forced: Mapping[str, str] | None = None) -> Selected:
    [item] = select([name], CATALOG, MODEL, hardware, can_run, forced)
    assert isinstance(item, Selected)
    return item


def test_the_newest_variant_is_taken_that_driver_and_gpu_can_run() -> None:
    item = chosen("vllm", A100)
    assert (item.variant.name, item.why) == ("cu130", "the newest that driver 580 and compute capability 8.0 can run")


def test_an_older_driver_gets_the_older_variant_and_is_told_why() -> None:
    item = chosen("vllm", replace(A100, driver=550))
    assert item.variant.name == "cu128"
    assert item.why == "variant cu130: needs NVIDIA driver 580 or newer, this is 550"


def test_a_gpu_that_the_newest_is_not_built_for_gets_the_older_variant() -> None:
    item = chosen("none", V100)
    assert item.variant.name == "cu128"
    assert item.why.endswith("this is 7.0")


def test_a_gpu_of_a_later_minor_version_runs_what_was_built_for_an_earlier_one() -> None:
    assert chosen("flash-attn", replace(A100, compute_capability=8.9)).variant.name == "cu130"


def test_code_for_one_generation_does_not_run_on_another() -> None:
    blackwell = replace(A100, compute_capability=12.0)
    assert "is built for compute capability 8.0, 9.0, this is 12.0" in reason("flash-attn", blackwell)


def test_a_variant_that_a_launcher_can_not_run_gives_way_to_an_older_one() -> None:
    def only_128(_image: Image, variant: Variant) -> str | None:
        return None if variant.name == "cu128" else "no disk left"

    [item] = select(["none"], CATALOG, MODEL, A100, only_128)
    assert isinstance(item, Selected)
    assert (item.variant.name, item.why) == ("cu128", "variant cu130: no disk left")


def test_the_user_can_insist_on_an_images_variant() -> None:
    item = chosen("vllm", A100, {"vllm": "cu128"})
    assert (item.variant.name, item.why) == ("cu128", "asked for")
    assert chosen("none", A100, {"vllm": "cu128"}).variant.name == "cu130"


def test_insisting_counts_for_every_image_that_uses_the_gpu() -> None:
    assert chosen("none", A100, {ANY_IMAGE: "cu128"}).variant.name == "cu128"
    assert chosen("lead-3", A100, {ANY_IMAGE: "cu128"}).variant.name == "cpu"


def test_insisting_overrules_the_driver_and_says_so() -> None:
    item = chosen("none", replace(A100, driver=550), {ANY_IMAGE: "cu130"})
    assert item.variant.name == "cu130"
    assert item.why == "asked for, although it needs NVIDIA driver 580 or newer, this is 550"


def test_insisting_on_a_variant_that_an_image_lacks_skips_it_with_those_it_has() -> None:
    [item] = select(["none"], CATALOG, MODEL, CPU, can_run, {ANY_IMAGE: "cu130"})
    assert isinstance(item, Skipped)
    assert item.reason == "image transformers has no variant cu130 for this hardware, only cpu"


def test_an_image_without_a_variant_for_the_device_is_skipped_and_never_run_on_another() -> None:
    image = CATALOG.images["llama-cpp"]
    for_cpus = replace(image, variants=tuple(variant for variant in image.variants if variant.device == "cpu"))
    catalog = replace(CATALOG, images={**CATALOG.images, image.name: for_cpus})
    [item] = select(["gguf-q4"], catalog, MODEL, A100, can_run)
    assert isinstance(item, Skipped)
    assert item.reason == "image llama-cpp has no variant for cuda"


def test_a_model_without_the_weights_is_the_reason() -> None:
    model = replace(MODEL, weights={"hf": MODEL.weights["hf"], "gguf": MODEL.weights["gguf"]})
    [item] = select(["vllm-awq"], CATALOG, model, CPU, can_run)
    assert isinstance(item, Skipped)
    assert item.reason == "model gemma-3-270m has no awq weights in models.yaml"


def test_the_launchers_own_reason_is_passed_on() -> None:
    [item] = select(["none"], CATALOG, MODEL, CPU, lambda image, variant: "needs Python 3.11")
    assert isinstance(item, Skipped)
    assert item.reason == "image transformers, variant cpu: needs Python 3.11"


@pytest.mark.parametrize(("hardware", "variant"), [(CPU, "cpu"), (A100, "cu130")])
def test_the_variant_is_the_devices(hardware: Hardware, variant: str) -> None:
    item = planned("none", hardware)
    assert isinstance(item, Selected)
    assert item.variant.name == variant


def test_a_reference_line_needs_no_gpu_image() -> None:
    assert isinstance(planned("lead-3", A100), Selected)


def test_the_same_job_has_the_same_key() -> None:
    assert job().key == job().key


@pytest.mark.parametrize(
    "change",
    [
        {"workload": make_workload(max_new_tokens=65)},
        {"workload": make_workload(documents_sha256="e" * 64)},
        {"scenario": "single"},
        {"batch_size": 3},
        {"launch": 2},
        {"repeats": 2},
        {"launcher": "docker"},
        {"allow_pickle": True},
    ],
)
def test_whatever_decides_the_outcome_changes_the_key(change: dict[str, object]) -> None:
    assert job(request=replace(REQUEST, **change)).key != job().key  # type: ignore[arg-type]


def test_a_launch_after_the_first_is_in_its_folders_name() -> None:
    names = [job(request=replace(REQUEST, launch=launch)).folder.partition("--")[0] for launch in (1, 2, 11)]
    assert names == ["run/none.gemma-3-270m.offline", *(f"run/none.gemma-3-270m.offline.{n}" for n in (2, 11))]


def test_what_opens_no_weights_is_the_same_job_whether_or_not_pickles_are_allowed() -> None:
    assert job("lead-3", request=replace(REQUEST, allow_pickle=True)).key == job("lead-3").key


def test_no_job_is_made_whose_folder_would_lie_outside_the_results() -> None:
    with pytest.raises(UsageError, match=r"job of none\.(?:run|folder): '\.\./up"):
        job(request=replace(REQUEST, run="../up"))


def test_another_gpu_changes_the_key() -> None:
    other = replace(CPU, gpu=JobGpu("cpu", "Another CPU", "cpu"))
    assert job(hardware=other).key != job().key


def test_facts_about_the_host_leave_the_key_alone() -> None:
    item = planned("none", CPU)
    assert isinstance(item, Selected)
    assert make_job(item, REQUEST, CPU, WEIGHTS, HostFacts(git_commit="abc")).key == job().key


def test_single_runs_one_document_a_step() -> None:
    assert job(request=replace(REQUEST, scenario="single")).batch_size == 1


def test_a_batch_size_of_the_user_replaces_the_experiments() -> None:
    assert job(request=replace(REQUEST, batch_size=3)).batch_size == 3


def test_vllm_batches_by_itself_unless_told() -> None:
    assert job("vllm").batch_size is None


def test_formats_come_after_what_they_are_made_from() -> None:
    assert [needed.form for needed in weights_needed([planned("vllm-awq", CPU)])] == ["gguf", "hf", "awq"]


def no_gpu(_image: Image, variant: Variant) -> str | None:
    return "no GPU here" if variant.device == "cuda" else None


def preparing(name: str, hardware: Hardware, forced: Mapping[str, str] | None = None) -> str | None:
    variant = preparing_variant(CATALOG.images[name], hardware, can_run, forced)
    return variant.name if variant else None


def test_an_engines_image_prepares_without_a_gpu() -> None:
    assert preparing("transformers", A100) == "cpu"


def test_what_calibrates_does_so_in_the_newest_variant_that_driver_and_gpu_can_run() -> None:
    assert preparing("llm-compressor", A100) == "cu130"
    assert preparing("llm-compressor", replace(A100, driver=550)) == "cu128"
    assert preparing("llm-compressor", CPU) == "cpu"


def test_what_calibrates_does_so_on_the_cpu_where_no_variant_is_for_the_gpu() -> None:
    blackwell = replace(A100, compute_capability=10.0)
    assert preparing("autoawq", blackwell) == "cpu"
    assert preparing_variant(CATALOG.images["autoawq"], A100, no_gpu) == CATALOG.images["autoawq"].variants[0]


def test_the_user_can_insist_on_the_variant_that_calibrates() -> None:
    assert preparing("autoawq", A100, {"autoawq": "cpu"}) == "cpu"


def test_no_variant_prepares_where_none_can_run() -> None:
    assert preparing_variant(CATALOG.images["flash-attn"], A100, no_gpu) is None


def tuned(of: str, gpu: str, model: str, hardware: Hardware) -> Selected | Skipped:
    """How a preset that was tuned for that GPU and model is planned for the hardware."""
    preset = replace(CATALOG.experiments[of], name="mine", tuned=Tuned(of, {}, gpu, model))
    catalog = replace(CATALOG, experiments={**CATALOG.experiments, "mine": preset})
    return select(["mine"], catalog, MODEL, hardware, can_run)[0]


def test_a_tuned_preset_runs_with_the_model_on_the_gpu_that_it_was_tuned_for() -> None:
    assert isinstance(tuned("none", "cpu", MODEL.name, CPU), Selected)


@pytest.mark.parametrize(("gpu", "model"), [("t4", MODEL.name), ("a100", "llama-2-7b-chat")])
def test_a_tuned_preset_is_skipped_elsewhere_with_what_to_tune(gpu: str, model: str) -> None:
    item = tuned("none", gpu, model, A100)
    assert isinstance(item, Skipped)
    assert item.reason == f"was tuned for {model} on {gpu}, this is gemma-3-270m on a100: --tune none"


def test_what_the_hardware_lacks_is_said_of_a_tuned_preset_first() -> None:
    item = tuned("flash-attn", "a100", MODEL.name, CPU)
    assert isinstance(item, Skipped) and item.reason.startswith("needs a CUDA device")


def test_a_tuned_experiment_is_another_job_than_the_same_options_untuned() -> None:
    item = planned("none", CPU)
    assert isinstance(item, Selected)
    trial = replace(item, experiment=replace(item.experiment, tuned=Tuned("none", {"attention": "sdpa"})))
    made = make_job(trial, REQUEST, CPU, WEIGHTS, HostFacts())
    assert made.tuned == Tuned("none", {"attention": "sdpa"})
    assert made.key != job().key


def test_an_experiment_over_two_gpus_is_skipped_where_the_run_has_one() -> None:
    assert reason("vllm-tp2", replace(A100, uuids=("GPU-1",))) == (
        "needs 2 GPUs, this run has 1: --gpus names those it may use"
    )


def test_a_job_says_how_many_gpus_it_computes_on() -> None:
    two = replace(A100, uuids=("GPU-1", "GPU-2"))
    assert [job(name, two).gpus for name in ("vllm", "vllm-tp2", "lead-3")] == [1, 2, 0]
    assert job("none").gpus == 0
