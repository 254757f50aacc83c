"""What there is: experiments, models, GPUs and images, read from YAML, with errors that name file and entry."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from pipeline import codec
from pipeline.entries import Defaults, Experiment, Gpu, Image, Model, Preset, Prompt, Variant, WeightsSource
from pipeline.errors import UsageError
from pipeline.names import Name
from pipeline.plain import shown, spelt
from pipeline.presets import fault_of
from pipeline.yaml_files import read_yaml

CONFIG = Path(__file__).parent / "config"
IMAGES = Path(__file__).parent.parent / "images"

WeightsKind = Literal["real", "synthetic"]
"""What --weights takes. synthetic: random ones, of the model's true shape."""
SYNTHETIC: WeightsKind = "synthetic"

T = TypeVar("T")


@dataclass(frozen=True)
class Catalog:
    """Everything that can be asked for by name, in the order of the files.

    formats: of weights that can be made of every model; each model's weights hold them too, unless it has its own.
    """

    experiments: Mapping[str, Experiment]
    models: Mapping[str, Model]
    gpus: Mapping[str, Gpu]
    prompts: Mapping[str, Prompt]
    defaults: Mapping[str, Defaults]
    images: Mapping[str, Image]
    formats: Mapping[str, WeightsSource] = field(default_factory=dict)
    presets: Mapping[str, Preset] = field(default_factory=dict)


def load_catalog(config: Path = CONFIG, images: Path = IMAGES, only: str | None = None) -> Catalog:
    """Read the configuration.

    only: the one image to read, for whoever runs inside it, where the others' folders are absent; experiments of
    other images are then listed without theirs.
    """
    experiments = config / "experiments.yaml"
    prompts = _section(read_yaml(experiments), "prompts", experiments)
    formats = _read_formats(config / "models.yaml")
    models = read_entries(Model, config / "models.yaml", "models")
    catalog = Catalog(
        experiments=read_entries(Experiment, experiments, "experiments"),
        models=_completed(models, formats),
        gpus=read_entries(Gpu, config / "gpus.yaml", "gpus"),
        prompts={
            name: codec.decode(Prompt, {"name": name, "template": template}, f"{experiments}: prompts.{spelt(name)}")
            for name, template in prompts.items()
        },
        defaults=read_entries(Defaults, experiments, "defaults"),
        images={path.parent.name: _read_image(path) for path in sorted(images.glob(f"{only or '*'}/image.yaml"))},
        formats=formats,
        presets=read_entries(Preset, experiments, "presets"),
    )
    if only is None:
        _check_images(catalog, config)
    elif only not in catalog.images:
        raise UsageError(f"there is no {images / only / 'image.yaml'}; correct the image's name")
    _check_models(catalog.models, catalog.prompts, config / "models.yaml")
    _check_gpus(catalog, config)
    _check_presets(catalog, config)
    return catalog


def with_models(catalog: Catalog, models: Mapping[str, Model], where: Path) -> Catalog:
    """The catalogue with further models, which can have all formats that any model can. where: the file they are of."""
    _check_models(models, catalog.prompts, where)
    return replace(catalog, models={**catalog.models, **_completed(models, catalog.formats)})


def under_preset(catalog: Catalog, name: str | None) -> Catalog:
    """The catalogue as that preset has it: its experiments unranked and with its dtypes, and its prompts' templates.

    name: None leaves everything as it is.
    """
    if name is None:
        return catalog
    preset = find(catalog.presets, name, "preset")
    experiments = {
        item.name: _with_dtype(replace(item, ranked=False), preset.dtype.get(item.name))
        for item in catalog.experiments.values()
    }
    models = catalog.models
    if not preset.chat_template:
        models = {item.name: replace(item, prompt_prefix="", prompt_suffix="") for item in models.values()}
    return replace(catalog, experiments=experiments, models=models)


def with_weights(catalog: Catalog, kind: WeightsKind) -> Catalog:
    """The catalogue as --weights has it. synthetic: every experiment reads random weights in place of its format."""
    if kind == "real":
        return catalog
    experiments = {
        item.name: replace(item, weights=f"{SYNTHETIC}-{item.weights}" if item.weights else None)
        for item in catalog.experiments.values()
    }
    return replace(catalog, experiments=experiments)


def _with_dtype(experiment: Experiment, dtype: str | None) -> Experiment:
    """In that dtype on a GPU. No row was published of a CPU, and not every model computes in 16 bits: float32 there."""
    if dtype is None:
        return experiment
    options, cpu_options = {**experiment.options, "dtype": dtype}, {"dtype": "float32", **experiment.cpu_options}
    return replace(experiment, options=options, cpu_options=cpu_options)


def read_entries(kind: type[T], path: Path, section: str) -> dict[str, T]:
    """The entries under `section` of a YAML file, each with its key as its name; a UsageError names file and entry."""
    return _entries(kind, read_yaml(path), section, path)


def find(entries: Mapping[str, T], name: str, what: str) -> T:
    """The entry of that name; a UsageError lists the nearest names, or all of them where none is near."""
    if name in entries:
        return entries[name]
    near = difflib.get_close_matches(name, entries, n=3, cutoff=0.5)
    advice = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(entries)}"
    raise UsageError(f"unknown {what} {name!r}; {advice}")


def _entries(kind: type[T], content: Mapping[str, Any], section: str, path: Path) -> dict[str, T]:
    entries = _section(content, section, path)
    return {name: _named(kind, name, entry, f"{path}: {spelt(name)}") for name, entry in entries.items()}


def _section(content: Mapping[str, Any], section: str, path: Path) -> dict[str, Any]:
    entries = content.get(section)
    if not isinstance(entries, dict):
        raise UsageError(f"{path}: expected a mapping under {section!r}")
    return entries


def _named(kind: type[T], name: str, entry: Any, where: str) -> T:
    """Decode an entry whose name is its key in the file."""
    if not isinstance(entry, dict):
        raise UsageError(f"{where}: expected fields, found {shown(entry)}")
    if "name" in entry:
        raise UsageError(f"{where}: unknown field 'name'; an entry's name is its key")
    return codec.decode(kind, {"name": name, **entry}, where)


def _read_formats(path: Path) -> dict[str, WeightsSource]:
    formats = read_yaml(path).get("formats", {})
    return codec.decode(dict[Name, WeightsSource], formats, f"{path}: formats")


def _completed(models: Mapping[str, Model], formats: Mapping[str, WeightsSource]) -> dict[str, Model]:
    return {
        name: replace(model, weights={**model.weights, **_absent(formats, model)}) for name, model in models.items()
    }


def _absent(formats: Mapping[str, WeightsSource], model: Model) -> dict[str, WeightsSource]:
    """Those that the model has no entry of its own for and has what they are made from: for random ones its shape."""
    return {
        name: source
        for name, source in formats.items()
        if name not in model.weights
        and (model.architecture is not None if source.kind == "synthetic" else source.convert_from in model.weights)
    }


def _read_image(path: Path) -> Image:
    content = read_yaml(path)
    variants = _entries(Variant, content, "variants", path)
    for variant in variants.values():
        if variant.lock is None:
            raise UsageError(f"{path}: {variant.name}: lock: name the lock file of this variant")
    return _named(
        Image, path.parent.name, {**content, "variants": [codec.encode(v) for v in variants.values()]}, str(path)
    )


def _check_images(catalog: Catalog, config: Path) -> None:
    for experiment in catalog.experiments.values():
        if experiment.image not in catalog.images:
            raise UsageError(
                f"{config / 'experiments.yaml'}: {experiment.name}: there is no images/{experiment.image}/image.yaml"
            )


def _check_models(models: Mapping[str, Model], prompts: Mapping[str, Prompt], where: Path) -> None:
    for model in models.values():
        if model.prompt not in prompts:
            raise UsageError(f"{where}: {model.name}: no prompt {model.prompt!r} in experiments.yaml")
        for form, source in model.weights.items():
            if source.source == "convert" and source.convert_from not in model.weights:
                raise UsageError(f"{where}: {model.name}: {form}: convert_from names no format")
            if _made_of_itself(model, form):
                raise UsageError(f"{where}: {model.name}: {form}: convert_from leads back to it")


def _made_of_itself(model: Model, form: str) -> bool:
    seen: set[str] = set()
    base: str | None = form
    while base is not None and base not in seen:
        seen.add(base)
        base = model.weights[base].convert_from if base in model.weights else None
    return base is not None


def _check_presets(catalog: Catalog, config: Path) -> None:
    for preset in catalog.presets.values():
        fault = fault_of(preset, catalog.prompts, catalog.experiments)
        if fault:
            raise UsageError(f"{config / 'experiments.yaml'}: {preset.name}: {fault}")


def _check_gpus(catalog: Catalog, config: Path) -> None:
    for gpu in catalog.gpus.values():
        where = f"{config / 'gpus.yaml'}: {gpu.name}"
        if not gpu.memory_gib or len(gpu.memory_gib) != len(gpu.bandwidth_bytes_per_s):
            raise UsageError(f"{where}: bandwidth_bytes_per_s: give one for each size in memory_gib, and at least one")
        rates = [*gpu.bandwidth_bytes_per_s, gpu.flops_per_s, gpu.flops8_per_s]
        if any(rate <= 0 for rate in rates if rate is not None):
            raise UsageError(f"{where}: bandwidth_bytes_per_s, flops_per_s, flops8_per_s: give rates above 0")
        try:
            re.compile(gpu.match)
        except (re.error, OverflowError, RecursionError) as error:
            raise UsageError(
                f"{config / 'gpus.yaml'}: {gpu.name}: match is not a regular expression ({error})"
            ) from error
