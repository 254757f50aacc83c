"""Planning: which experiments run on this hardware, in which variant, and what they need first."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.catalog import SYNTHETIC, Catalog, find
from pipeline.current import missing_packages
from pipeline.entries import Experiment, Image, Model, Sampling, Scenario, Variant
from pipeline.hardware import Hardware
from pipeline.names import Name
from pipeline.spec import OnOutOfMemory, Workload

REPOSITORY = Path(__file__).parent.parent

WhyNot = Callable[[Image, Variant], str | None]
"""A launcher's reason for not being able to run an image's variant on this machine, or None."""


@dataclass(frozen=True)
class Request:
    """What a run's jobs have in common. batch_size: None takes each experiment's own; on_oom: None, what it can.

    longest_document_bytes: of the chosen documents, for what has to be known before a tokenizer is at hand. launch,
    repeats, shards: see Job.
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
    sampling: Sampling = field(default_factory=Sampling)
    preset: str | None = None
    repeats: int = 1
    shards: int = 1


@dataclass(frozen=True)
class Selected:
    """An experiment that can run here. model: None for an experiment without one. why: why in this variant.

    apart: the model that tells it from the same experiment with another; None where a run has one model.
    """

    experiment: Experiment
    image: Image
    variant: Variant
    model: Model | None
    why: str
    apart: Name | None = None

    @property
    def title(self) -> str:
        """What it is called among all that are planned with it."""
        return _title(self.experiment, self.apart)


@dataclass(frozen=True)
class Skipped:
    """An experiment that can't run here, and why. mend: what to do about it, where something can be done.

    apart: see Selected.
    """

    experiment: Experiment
    reason: str
    mend: str | None = None
    apart: Name | None = None

    @property
    def title(self) -> str:
        """See Selected."""
        return _title(self.experiment, self.apart)


def _title(experiment: Experiment, apart: Name | None) -> str:
    return experiment.name if apart is None else f"{experiment.name} ({apart})"


@dataclass(frozen=True)
class WeightsNeeded:
    """One format of a model's weights, and the image that prepares it."""

    model: Model
    form: Name
    image: Name

    @property
    def key(self) -> tuple[str, str]:
        """What they are by, among all that are prepared."""
        return self.model.name, self.form


PlannedJob = tuple[Selected | Skipped, Request]
"""An experiment with a model, and what it has in common with the run's others with that model."""

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
    unfit = _unfit(experiment, model, hardware) or _tuned_for_another(experiment, model, hardware)
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
        reason = (None if insisted else unsuited) or why_not(image, variant) or _lacks(experiment, variant)
        if reason is None:
            why = "; ".join(reasons) or _why(variant, hardware, insisted is not None, unsuited)
            return Selected(experiment, image, variant, model if experiment.weights is not None else None, why)
        reasons.append(f"variant {variant.name}: {reason}")
    return Skipped(experiment, f"image {image.name}, {'; '.join(reasons)}")


def _lacks(experiment: Experiment, variant: Variant) -> str | None:
    """What the experiment needs beside its engine and the interpreter at hand hasn't; a lock has it all."""
    return missing_packages(experiment.needs.packages) if variant.lock is None else None


def _unfit(experiment: Experiment, model: Model, hardware: Hardware) -> str | None:
    """Why the experiment can't run with this model on this hardware in any image."""
    needs = experiment.needs
    if needs.device not in (None, hardware.gpu.device):
        least = f" of compute capability {needs.compute_capability} or newer" if needs.compute_capability else ""
        return f"needs a {needs.device.upper()} device{least}, this is {hardware.description}"
    capability = hardware.compute_capability or 0
    if hardware.gpu.device == "cuda" and needs.compute_capability and capability < needs.compute_capability:
        return f"needs compute capability {needs.compute_capability}, this is {hardware.description}"
    if experiment.weights is None:
        return None
    if needs.gpus > max(1, len(hardware.uuids)) and hardware.gpu.device == "cuda":
        return f"needs {needs.gpus} GPUs, this run has {max(1, len(hardware.uuids))}: --gpus names those it may use"
    source = model.weights.get(experiment.weights)
    if source is None:
        form = experiment.weights.removeprefix(f"{SYNTHETIC}-")
        if form != experiment.weights:
            return f"no random weights are made in the {form} format (--weights {SYNTHETIC})"
        return f"model {model.name} has no {form} weights in models.yaml"
    if needs.real_weights and source.kind == "synthetic":
        return "needs real weights: its speed depends on what the model writes, and random ones repeat themselves"
    return None


def _tuned_for_another(experiment: Experiment, model: Model, hardware: Hardware) -> str | None:
    """Why a tuned experiment's settings are none for this model on this GPU."""
    tuned = experiment.tuned
    if tuned is None or tuned.gpu is None or (tuned.gpu, tuned.model) == (hardware.gpu.name, model.name):
        return None
    return f"was tuned for {tuned.model} on {tuned.gpu}, this is {model.name} on {hardware.gpu.name}: --tune {tuned.of}"


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
    if variant.lock is None:
        return f"the interpreter at hand, Python {variant.python}"
    if insisted:
        return f"asked for, although it {unsuited}" if unsuited else "asked for"
    if variant.device == "cpu":
        return "for any machine"
    driver = f"driver {hardware.driver} and " if hardware.driver is not None else ""
    return f"the newest that {driver}compute capability {hardware.compute_capability} can run"


def weights_needed(planned: Iterable[Selected | Skipped]) -> list[WeightsNeeded]:
    """All that the selected experiments need of their models' weights, each once; sources first."""
    needed: dict[tuple[str, str], WeightsNeeded] = {}

    def add(model: Model, form: str) -> None:
        source = model.weights[form]
        if source.convert_from:
            add(model, source.convert_from)
        if source.image:
            wanted = WeightsNeeded(model, form, source.image)
            needed.setdefault(wanted.key, wanted)

    for item in planned:
        if isinstance(item, Selected) and item.model is not None and item.experiment.weights is not None:
            add(item.model, item.experiment.weights)
    return list(needed.values())
