"""What the options of a command line come to on this machine: hardware, model, documents, and the run's workload."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.catalog import SYNTHETIC, Catalog, find
from pipeline.datasets import Dataset
from pipeline.documents import choose, fingerprint, read_documents
from pipeline.entries import Model, Preset, Prompt, Sampling
from pipeline.errors import UsageError
from pipeline.files import sha256_json
from pipeline.gpus import detect_gpus
from pipeline.hardware import Hardware, Numbers, choose_hardware
from pipeline.options import DEFAULT_DOCS, Options
from pipeline.plan import Request
from pipeline.spec import Workload

LONGEST_MODELS = 60
"""Characters of the models' names in a run's name; longer ones are counted there."""


@dataclass(frozen=True)
class ChosenModel:
    """A model, and the prompt that its documents are put into: --prompt's, or the model's own."""

    model: Model
    prompt: Prompt


@dataclass(frozen=True)
class Choices:
    """models: one or several, in the order of the command. dataset: the name or file that --dataset gave, or the
    hardware's default. preset: None without --preset.
    """

    hardware: Hardware
    models: tuple[ChosenModel, ...]
    dataset: str
    preset: Preset | None = None


def resolve_choices(
    options: Options,
    catalog: Catalog,
    *,
    hypothetical: bool = False,
    numbers: Numbers = None,
    hardware: Hardware | None = None,
) -> Choices:
    """Hold the names that were given against the catalogue and the machine; a UsageError for what isn't there.

    hypothetical: a GPU that isn't there may be planned for. numbers: of the GPUs that the run is for.
    hardware: that another machine found for these options, in place of this one's.
    """
    hardware = hardware or choose_hardware(
        options.gpu, catalog.gpus, detect_gpus(), force=options.force_gpu, hypothetical=hypothetical, numbers=numbers
    )
    defaults = catalog.defaults[hardware.gpu.device]
    models = tuple(_choose_model(name, options, catalog) for name in options.models or (defaults.model,))
    preset = find(catalog.presets, options.preset, "preset") if options.preset else None
    return Choices(hardware, models, options.dataset or defaults.dataset, preset)


def _choose_model(name: str, options: Options, catalog: Catalog) -> ChosenModel:
    model = find(catalog.models, name, "model")
    if options.weights == SYNTHETIC and model.architecture is None:
        able = ", ".join(name for name, entry in catalog.models.items() if entry.architecture is not None)
        raise UsageError(
            f"--weights {SYNTHETIC}: models.yaml has no architecture of {model.name}; add its config.json's fields "
            f"there, or take one of {able}"
        )
    return ChosenModel(model, find(catalog.prompts, options.prompt or model.prompt, "prompt"))


def make_requests(
    options: Options, choices: Choices, dataset: Dataset, data: Path, launcher: str
) -> tuple[Request, ...]:
    """For each model in order, the workload over that dataset of the data folder and what else its jobs share.

    They are of one run and differ in the model and its prompt alone.
    """
    documents = read_documents(data / dataset.path)
    docs = options.docs if options.docs is not None else min(DEFAULT_DOCS, len(documents))
    chosen = choose(documents, docs, options.seed)
    # Without a name the workload names the run, so that the same command finds what it did before.
    models = _in_name([item.model.name for item in choices.models])
    name = f"{choices.hardware.gpu.name}-{models}-{dataset.name}-{docs}x{options.max_new_tokens}"
    preset = choices.preset
    apart = [*([preset.name] if preset else []), *([options.weights] if options.weights == SYNTHETIC else [])]
    first = choices.models[0]
    workload = Workload(
        dataset=dataset.name,
        documents=dataset.path,
        documents_sha256=fingerprint(chosen),
        docs=docs,
        seed=options.seed,
        prompt=first.prompt,
        max_new_tokens=options.max_new_tokens,
    )
    request = Request(
        run=options.run or "-".join([name, *apart]),
        scenario=options.scenario,
        batch_size=options.batch_size,
        find_batch_size=options.find_batch_size,
        on_oom=options.on_oom,
        resume_documents=options.resume_documents,
        workload=workload,
        model=first.model,
        launcher=launcher,
        allow_pickle=options.allow_pickle,
        repeats=options.repeats,
        longest_document_bytes=max(len(document.document.encode()) for document in chosen),
        sampling=preset.sampling if preset else Sampling(),
        preset=preset.name if preset else None,
    )
    return tuple(
        replace(request, model=item.model, workload=replace(workload, prompt=item.prompt)) for item in choices.models
    )


def _in_name(models: Sequence[str]) -> str:
    """The models in a run's name: all of them, or how many and which by their fingerprint."""
    joined = "-".join(models)
    many = len(models) > 1 and len(joined) > LONGEST_MODELS
    return f"{len(models)}-models-{sha256_json(list(models))[:8]}" if many else joined
