"""The job that a planned experiment becomes: settings, key and folder, and the code and lock that it stands for."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from pipeline import codec
from pipeline.analysis.roofline import precision
from pipeline.current import packages_sha256
from pipeline.entries import Experiment, Image, Model, Variant
from pipeline.files import sha256_files, sha256_json
from pipeline.hardware import Hardware
from pipeline.plan import REPOSITORY, Request, Selected, Skipped
from pipeline.results import SCHEMA_VERSION, JobSummary
from pipeline.spec import HostFacts, Job, JobModel, JobWeights, Precision, Shard

KEY_DIGITS = 8


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
        "repeats": request.repeats,
        "shards": request.shards,
        "dtype": dtype,
        "options": options,
        "batch_size": effective_batch_size(experiment, batch_size, request),
        "find_batch_size": request.find_batch_size and _can_shrink(selected, request),
        "on_oom": "shrink" if request.on_oom != "fail" and _can_shrink(selected, request) else "fail",
        "allow_pickle": request.allow_pickle and model is not None,
        "sampling": codec.encode(request.sampling),
        "preset": request.preset,
        "tuned": codec.encode(experiment.tuned),
        "gpu": codec.encode(hardware.gpu),
        "model": codec.encode(_job_model(model)) if model else None,
        "precision": codec.encode(_precision(experiment, model, dtype)),
        "weights": codec.encode(weights),
        "workload": codec.encode(request.workload),
        "gpus": gpus_of(selected, hardware),
        "lock_sha256": lock_sha256(selected.image, selected.variant),
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


def gpus_of(selected: Selected, hardware: Hardware) -> int:
    """How many GPUs its jobs compute on."""
    on_gpu = hardware.gpu.device == "cuda" and selected.model is not None
    return selected.experiment.needs.gpus if on_gpu else 0


def shard_jobs(job: Job) -> list[Job]:
    """The jobs that a sharded one is split into: each in a folder below its own, with a key of its own.

    They go on from the documents that an earlier attempt left. Raises ValueError for a job that is not sharded.
    """
    if job.shards < 2 or job.shard is not None:
        raise ValueError(f"{job.folder} is not split into shards")
    return [
        replace(
            job,
            key=sha256_json([job.key, number]),
            folder=f"{job.folder}/shard-{number}-of-{job.shards}",
            shard=Shard(number, job.shards),
            resume_documents=True,
        )
        for number in range(1, job.shards + 1)
    ]


def _can_shrink(selected: Selected, request: Request) -> bool:
    return _batches_are_told(selected) and request.scenario == "offline"


def _batches_are_told(selected: Selected) -> bool:
    """Whether its engine takes its batch size from the worker, instead of filling a pool with what fits."""
    return selected.image.shrinks_batch and selected.experiment.memory.kv_cache != "pool"


def remarks(selected: Selected, request: Request) -> tuple[str, ...]:
    """What was asked for and this experiment's engine can't do, in words."""
    if _batches_are_told(selected) or selected.model is None:
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
    source = model.weights.get(experiment.weights) if model and experiment.weights else None
    synthetic = source is not None and source.kind == "synthetic"
    identity += [request.preset, synthetic, request.shards]
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
        repeats=request.repeats,
        workload=request.workload,
        preset=request.preset,
        tuned=experiment.tuned,
        synthetic=synthetic,
        gpus=gpus_of(planned, hardware) if isinstance(planned, Selected) else 0,
        shards=request.shards,
    )
    return summary, f"{request.run}/{slug(experiment, model, request)}--{key[:KEY_DIGITS]}"


def slug(experiment: Experiment, model: Model | None, request: Request) -> str:
    """The readable part of a job's folder name, with its shards where it has some and its launch from the second on."""
    shards = [f"{request.shards}-shards"] if request.shards > 1 else []
    launch = [str(request.launch)] if request.launch > 1 else []
    parts = [experiment.name, *([model.name] if model else []), request.scenario, *shards, *launch]
    return ".".join(parts)


def lock_path(image: Image, variant: Variant) -> Path:
    """The lock file of an image's variant. Raises ValueError for the interpreter at hand, which has none."""
    if variant.lock is None:
        raise ValueError(f"variant {variant.name} has no lock")
    return REPOSITORY / "images" / image.name / variant.lock


def lock_sha256(image: Image, variant: Variant) -> str:
    """Fingerprint of the packages of an image's variant: of its lock, or of what is installed where it has none."""
    return packages_sha256() if variant.lock is None else sha256_files(REPOSITORY, [lock_path(image, variant)])


@cache
def code_sha256() -> str:
    """Fingerprint of the code that runs inside images: the vocabulary, worker and analysis. Taken once a command."""
    package = REPOSITORY / "pipeline"
    files = [*package.glob("*.py"), *package.glob("worker/**/*.py"), *package.glob("analysis/**/*.py")]
    return sha256_files(package, files)


def _precision(experiment: Experiment, model: Model | None, dtype: str) -> Precision | None:
    if model is None or experiment.weights is None:
        return None
    return precision(model.weights[experiment.weights], experiment.memory, dtype)


def _job_model(model: Model) -> JobModel:
    return JobModel(
        name=model.name,
        context_length=model.context_length,
        eos_ids=model.eos_ids,
        bos_id=model.bos_id,
        prompt_prefix=model.prompt_prefix,
        prompt_suffix=model.prompt_suffix,
        linear_parameters=model.linear_parameters,
        output_parameters=model.output_parameters,
        attention=model.attention,
    )
