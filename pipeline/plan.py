"""Planning, as pure functions: which experiments can run on this hardware, and the job that each becomes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline import codec
from pipeline.catalog import Catalog, find
from pipeline.files import sha256_files, sha256_json
from pipeline.hardware import Hardware
from pipeline.results import SCHEMA_VERSION, JobSummary
from pipeline.spec import (
    Experiment,
    HostFacts,
    Image,
    Job,
    JobModel,
    JobWeights,
    Model,
    OnOutOfMemory,
    Scenario,
    Variant,
    Workload,
)

REPOSITORY = Path(__file__).parent.parent
KEY_DIGITS = 8

WhyNot = Callable[[Image, Variant], str | None]
"""A launcher's reason for not being able to run an image's variant on this machine, or None."""


@dataclass(frozen=True)
class Request:
    """What a run's jobs have in common. batch_size: None takes each experiment's own; on_oom: None, what it can.

    longest_document_bytes: of the chosen documents, for what has to be known before a tokenizer is at hand.
    """

    run: str
    scenario: Scenario
    batch_size: int | None
    workload: Workload
    model: Model
    launcher: str
    launch: int = 1
    find_batch_size: bool = False
    on_oom: OnOutOfMemory | None = None
    resume_documents: bool = False
    allow_pickle: bool = False
    longest_document_bytes: int | None = None


@dataclass(frozen=True)
class Selected:
    """An experiment that can run here. model: None for an experiment without one. why: why in this variant."""

    experiment: Experiment
    image: Image
    variant: Variant
    model: Model | None
    why: str


@dataclass(frozen=True)
class Skipped:
    """An experiment that can't run here, and why. mend: what to do about it, where something can be done."""

    experiment: Experiment
    reason: str
    mend: str | None = None


ANY_IMAGE = ""
"""The key in `forced` of the variant that every image is to run in."""


def select(
    names: Sequence[str],
    catalog: Catalog,
    model: Model,
    hardware: Hardware,
    why_not: WhyNot,
    forced: Mapping[str, str] | None = None,
) -> list[Selected | Skipped]:
    """Each named experiment, in order, with the image's variant for this hardware or the reason for skipping it.

    The variant is the newest that the driver and the GPU can run. forced: by image (or ANY_IMAGE), the one that the
    user insists on, whatever driver and GPU say.
    """
    experiments = [find(catalog.experiments, name, "experiment") for name in names]
    return [_select_one(experiment, catalog, model, hardware, why_not, forced or {}) for experiment in experiments]


def _select_one(
    experiment: Experiment,
    catalog: Catalog,
    model: Model,
    hardware: Hardware,
    why_not: WhyNot,
    forced: Mapping[str, str],
) -> Selected | Skipped:
    unfit = _unfit(experiment, model, hardware)
    if unfit is not None:
        return Skipped(experiment, unfit)
    image = catalog.images[experiment.image]
    # an experiment without a model computes nothing on a device, so its CPU image serves on any machine
    device = hardware.gpu.device if experiment.weights is not None else "cpu"
    variants = newest_first(variant for variant in image.variants if variant.device == device)
    if not variants:
        return Skipped(experiment, f"image {image.name} has no variant for {device}")
    insisted = forced.get(image.name) or (forced.get(ANY_IMAGE) if device == hardware.gpu.device else None)
    if insisted is not None:
        names = [variant.name for variant in variants]
        variants = [variant for variant in variants if variant.name == insisted]
        if not variants:
            only = f"no variant {insisted} for this hardware, only {', '.join(names)}"
            return Skipped(experiment, f"image {image.name} has {only}")
    reasons: list[str] = []
    for variant in variants:
        unsuited = unsuited_hardware(variant, hardware)
        reason = (None if insisted else unsuited) or why_not(image, variant)
        if reason is None:
            why = "; ".join(reasons) or _why(variant, hardware, insisted is not None, unsuited)
            return Selected(experiment, image, variant, model if experiment.weights is not None else None, why)
        reasons.append(f"variant {variant.name}: {reason}")
    return Skipped(experiment, f"image {image.name}, {'; '.join(reasons)}")


def _unfit(experiment: Experiment, model: Model, hardware: Hardware) -> str | None:
    """Why the experiment can't run with this model on this hardware in any image."""
    needs = experiment.needs
    if needs.device not in (None, hardware.gpu.device):
        least = f" of compute capability {needs.compute_capability} or newer" if needs.compute_capability else ""
        return f"needs a {needs.device.upper()} device{least}, this is {hardware.description}"
    capability = hardware.compute_capability or 0
    if hardware.gpu.device == "cuda" and needs.compute_capability and capability < needs.compute_capability:
        return f"needs compute capability {needs.compute_capability}, this is {hardware.description}"
    if experiment.weights is not None and experiment.weights not in model.weights:
        return f"model {model.name} has no {experiment.weights} weights in models.yaml"
    return None


def preparing_variant(
    image: Image, hardware: Hardware, why_not: WhyNot, forced: Mapping[str, str] | None = None
) -> Variant | None:
    """The variant in which an image makes weights; None where none of them can run here. why_not, forced: see select.

    Fetching and rewriting take no GPU: an engine's image does them in the first of its variants. An image that makes
    weights and runs nothing calibrates them, at a GPU's speed where there is one: the newest that driver and GPU can
    run, else the one for a CPU.
    """
    insisted = (forced or {}).get(image.name)
    runnable = [item for item in image.variants if insisted in (None, item.name) and why_not(image, item) is None]
    if image.provides is None and insisted is None:
        suited = [item for item in newest_first(runnable) if unsuited_hardware(item, hardware) is None]
        runnable = [item for device in (hardware.gpu.device, "cpu") for item in suited if item.device == device]
    return next(iter(runnable), None)


def newest_first(variants: Iterable[Variant]) -> list[Variant]:
    """By their CUDA version; those without one stay in the order of their file."""
    return sorted(variants, key=lambda variant: [-int(part) for part in (variant.cuda or "0").split(".")])


def unsuited_hardware(variant: Variant, hardware: Hardware) -> str | None:
    """Why the driver or the GPU can't run the variant's packages; None where they can, or nothing is known of them."""
    if variant.min_driver and hardware.driver is not None and hardware.driver < variant.min_driver:
        return f"needs NVIDIA driver {variant.min_driver} or newer, this is {hardware.driver}"
    capability = hardware.compute_capability
    if variant.architectures and capability is not None and not variant.runs_on(capability):
        built = ", ".join(str(architecture) for architecture in variant.architectures)
        return f"is built for compute capability {built}, this is {capability}"
    return None


def _why(variant: Variant, hardware: Hardware, insisted: bool, unsuited: str | None) -> str:
    """Why the first choice was taken."""
    if insisted:
        return f"asked for, although it {unsuited}" if unsuited else "asked for"
    if variant.device == "cpu":
        return "for any machine"
    driver = f"driver {hardware.driver} and " if hardware.driver is not None else ""
    return f"the newest that {driver}compute capability {hardware.compute_capability} can run"


def make_job(
    selected: Selected, request: Request, hardware: Hardware, weights: JobWeights | None, host: HostFacts
) -> Job:
    """The job of a selected experiment. Its key covers what decides the outcome; `host` stays outside it."""
    experiment, model = selected.experiment, selected.model
    options, dtype, batch_size = settings_on(experiment, hardware)
    identity: dict[str, Any] = {
        "experiment": experiment.name,
        "optimization": experiment.optimization,
        "ranked": experiment.ranked,
        "backend": experiment.backend,
        "image": selected.image.name,
        "variant": selected.variant.name,
        "launcher": request.launcher,
        "scenario": request.scenario,
        "launch": request.launch,
        "dtype": dtype,
        "options": options,
        "batch_size": effective_batch_size(experiment, batch_size, request),
        "find_batch_size": request.find_batch_size and _can_shrink(selected, request),
        "on_oom": "shrink" if request.on_oom != "fail" and _can_shrink(selected, request) else "fail",
        "allow_pickle": request.allow_pickle and model is not None,
        "gpu": codec.encode(hardware.gpu),
        "model": codec.encode(_job_model(model)) if model else None,
        "weights": codec.encode(weights),
        "workload": codec.encode(request.workload),
        "lock_sha256": sha256_files(REPOSITORY, [lock_path(selected.image, selected.variant)]),
        "code_sha256": code_sha256(),
    }
    key = sha256_json(identity | {"environment": selected.image.variables(selected.variant)})
    folder = f"{request.run}/{slug(experiment, model, request)}--{key[:KEY_DIGITS]}"
    fields = {"schema_version": SCHEMA_VERSION, "key": key, "run": request.run, "folder": folder, **identity}
    beside = {
        "resume_documents": request.resume_documents,
        "remarks": list(remarks(selected, request)),
        "host": codec.encode(host),
    }
    return codec.decode(Job, fields | beside, f"job of {experiment.name}")


def _can_shrink(selected: Selected, request: Request) -> bool:
    return selected.image.shrinks_batch and request.scenario == "offline"


def remarks(selected: Selected, request: Request) -> tuple[str, ...]:
    """What was asked for and this experiment's engine can't do, in words."""
    if selected.image.shrinks_batch or selected.model is None:
        return ()
    found = []
    if request.find_batch_size:
        found.append("--find-batch-size: its engine can't change its batch size once it is loaded, and keeps its own")
    if request.on_oom == "shrink":
        found.append("--on-oom shrink: its engine can't run a batch again at half the size, and fails instead")
    return tuple(found)


def settings_on(experiment: Experiment, hardware: Hardware) -> tuple[dict[str, Any], str, int | None]:
    """The experiment's options, dtype and batch size on that hardware; cpu_options replace options on a CPU."""
    options = dict(experiment.options)
    batch_size = experiment.batch_size
    if hardware.gpu.device == "cpu":
        options |= experiment.cpu_options
        batch_size = experiment.cpu_batch_size or batch_size
    dtype = str(options.pop("dtype", hardware.dtype))
    return options, dtype, batch_size


def effective_batch_size(experiment: Experiment, default: int | None, request: Request) -> int | None:
    """Documents a step: one in `single`; in `offline` the user's or the experiment's, None where the engine decides."""
    if experiment.weights is None:
        return None
    if request.scenario == "single":
        return 1
    return request.batch_size or default


def unstarted_job(planned: Selected | Skipped, request: Request, hardware: Hardware) -> tuple[JobSummary, str]:
    """The summary and folder of a job that never started: skipped, or its environment or weights could not be had."""
    experiment = planned.experiment
    model = request.model if experiment.weights is not None else None
    identity = [experiment.name, model.name if model else None, request.scenario, request.launch, request.launcher]
    key = sha256_json([*identity, codec.encode(request.workload), codec.encode(hardware.gpu)])
    summary = JobSummary(
        key=key,
        run=request.run,
        experiment=experiment.name,
        optimization=experiment.optimization,
        ranked=experiment.ranked,
        backend=experiment.backend,
        model=model.name if model else None,
        model_revision=None,
        gpu=hardware.gpu.name,
        image=experiment.image,
        variant=planned.variant.name if isinstance(planned, Selected) else None,
        launcher=request.launcher,
        scenario=request.scenario,
        launch=request.launch,
        workload=request.workload,
    )
    return summary, f"{request.run}/{slug(experiment, model, request)}--{key[:KEY_DIGITS]}"


def slug(experiment: Experiment, model: Model | None, request: Request) -> str:
    """The readable part of a job's folder name."""
    parts = [experiment.name, *([model.name] if model else []), request.scenario]
    return ".".join(parts)


def lock_path(image: Image, variant: Variant) -> Path:
    """The lock file of an image's variant."""
    return REPOSITORY / "images" / image.name / variant.lock


@cache
def code_sha256() -> str:
    """Fingerprint of the code that runs inside images: the vocabulary, worker and analysis. Taken once a command."""
    package = REPOSITORY / "pipeline"
    files = [*package.glob("*.py"), *package.glob("worker/**/*.py"), *package.glob("analysis/**/*.py")]
    return sha256_files(package, files)


def _job_model(model: Model) -> JobModel:
    return JobModel(
        name=model.name,
        context_length=model.context_length,
        eos_ids=model.eos_ids,
        bos_id=model.bos_id,
        prompt_prefix=model.prompt_prefix,
        prompt_suffix=model.prompt_suffix,
    )


def formats_needed(planned: Sequence[Selected | Skipped], model: Model) -> Mapping[str, str]:
    """Format of weights -> image that prepares it, for the selected experiments; sources first."""
    needed: dict[str, str] = {}

    def add(form: str) -> None:
        source = model.weights[form]
        if source.convert_from:
            add(source.convert_from)
        if source.image:
            needed.setdefault(form, source.image)

    for item in planned:
        if isinstance(item, Selected) and item.experiment.weights is not None:
            add(item.experiment.weights)
    return needed
