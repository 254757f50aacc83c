"""What there is and what would run, as aligned plain text."""

from collections.abc import Mapping, Sequence

from pipeline.catalog import Catalog
from pipeline.entries import Experiment, Model, Preset, Variant, WeightsSource
from pipeline.spec import PlanRow


def aligned(rows: Sequence[Sequence[str]], indent: str = "  ") -> str:
    """Rows of equal length as lines with columns under one another; the last column is left as it is."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append(indent + "  ".join([*cells, row[-1]]).rstrip())
    return "\n".join(lines)


def catalog_listing(catalog: Catalog, datasets: Mapping[str, str]) -> str:
    """Experiments, models, prompts, datasets and GPUs with a line each. datasets: name -> description."""
    sections = {
        "experiments": [[item.name, item.image, _describe_experiment(item)] for item in catalog.experiments.values()],
        "images": [
            [image.name, variant.name, _describe_variant(variant), image.description]
            for image in catalog.images.values()
            for variant in image.variants
        ],
        "models": [
            [item.name, ", ".join(_own_formats(item, catalog)), _describe_model(item)]
            for item in catalog.models.values()
        ],
        "made of any model": [[name, _describe_format(source)] for name, source in catalog.formats.items()],
        "prompts": [[item.name, repr(item.template)] for item in catalog.prompts.values()],
        "presets": [[item.name, _describe_preset(item)] for item in catalog.presets.values()],
        "datasets": [[name, description] for name, description in datasets.items()],
        "GPUs": [
            [
                item.name,
                f"compute capability {item.compute_capability}, {' or '.join(f'{m:g}' for m in item.memory_gib)} GiB",
            ]
            for item in catalog.gpus.values()
        ],
        "defaults": [[item.name, f"model {item.model}, dataset {item.dataset}"] for item in catalog.defaults.values()],
    }
    return "\n\n".join(f"{title}\n{aligned(rows)}" for title, rows in sections.items())


def plan_listing(hardware: str, work: str, rows: Sequence[PlanRow], gated: Sequence[str]) -> str:
    """What would run, on what and over what, and what is skipped, with the model where there are several.

    hardware, work: a line each. gated: a line for each model that has to be asked for before it can be fetched.
    """
    several = len({row.model for row in rows} - {None}) > 1
    models = ["model"] if several else []
    cells = [["experiment", *models, "action", "image", "dtype", "batch", "first to prepare; why not, or not as asked"]]
    for row in rows:
        image = f"{row.image} ({row.variant})" if row.image else "-"
        batch = str(row.batch_size) if row.batch_size else "-"
        last = ", ".join([*row.to_prepare, *([row.reason] if row.reason else [])])
        models = [row.model or "-"] if several else []
        cells.append([row.experiment, *models, _describe_action(row), image, row.dtype or "-", batch, last])
    chosen = {(row.image, row.variant): row.variant_reason for row in rows if row.image and row.variant_reason}
    reasons = [[f"{image} ({variant}):", reason or ""] for (image, variant), reason in chosen.items()]
    parts = [f"{hardware}\n{work}", aligned(cells)]
    parts += [f"variants\n{aligned(reasons)}"] if reasons else []
    parts += ["before anything can be fetched\n" + "\n".join(f"  {line}" for line in gated)] if gated else []
    return "\n\n".join(parts)


def _describe_action(row: PlanRow) -> str:
    """With how many launches of it are run or kept, where there are several: "run 3 of 5"."""
    if row.launches == 1:
        return row.action
    to_run = row.launches - row.kept
    return f"{row.action} {row.launches if to_run in (0, row.launches) else f'{to_run} of {row.launches}'}"


def _describe_experiment(experiment: Experiment) -> str:
    return f"{experiment.description}{' (by name only)' if experiment.by_name_only else ''}"


def _own_formats(model: Model, catalog: Catalog) -> list[str]:
    """Those that there are of it, without what can be made of every model."""
    return [name for name, source in model.weights.items() if source != catalog.formats.get(name)]


def _describe_format(source: WeightsSource) -> str:
    return f"by image {source.image}" + (f", from {source.convert_from}" if source.convert_from else "")


def _describe_model(model: Model) -> str:
    template = "chat template" if model.prompt_prefix or model.prompt_suffix else "no chat template"
    gated = "; gated" if any(source.gated for source in model.weights.values()) else ""
    return f"{model.description} ({model.licence}); prompt {model.prompt}, {template}{gated}"


def _describe_preset(preset: Preset) -> str:
    """What it sets, and for which experiments."""
    drawn = {name: getattr(preset.sampling, name) for name in ("temperature", "top_p", "top_k")}
    parts = [
        f"prompt {preset.prompt}{'' if preset.chat_template else ' without chat template'}",
        preset.scenario,
        f"at most {preset.max_new_tokens} new tokens",
        " ".join([preset.sampling.strategy, *(f"{name} {value:g}" for name, value in drawn.items() if value)]),
        *(f"{name} in {dtype}" for name, dtype in preset.dtype.items()),
    ]
    return f"{preset.description}: {', '.join(parts)}; for {', '.join(preset.experiments)}"


def _describe_variant(variant: Variant) -> str:
    """What it needs: "CUDA 13.0, driver 580, compute capability 7.5 to 12.0; Python 3.12; 9.1 GB"."""
    parts = [f"Python {variant.python}", *([f"{variant.size_gb:g} GB"] if variant.size_gb is not None else [])]
    if variant.cuda is not None:
        built = f"{min(variant.architectures)} to {max(variant.architectures)}"
        parts.insert(0, f"CUDA {variant.cuda}, driver {variant.min_driver} or newer, compute capability {built}")
    return "; ".join(parts)
