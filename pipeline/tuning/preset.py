"""Tuned presets: experiments that --tune added, in a file of the results folder beside the runs."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from pipeline import codec
from pipeline.catalog import Catalog, read_entries
from pipeline.entries import Experiment
from pipeline.errors import UsageError
from pipeline.files import write_atomically
from pipeline.names import check_name

PRESETS_FILE = "tuned.yaml"
HEADER = (
    "# Experiments that --tune found, in the form of pipeline/config/experiments.yaml; each passed the quality gate\n"
    "# against the experiment that it was made of. Remove an entry to be rid of it.\n"
)


def preset_name(of: str, gpu: str, model: str | None) -> str:
    """What the tuned form of an experiment is called, for that GPU and model."""
    name = "-".join([of, "tuned", gpu, *([model] if model else [])])
    check_name(name, "the preset")
    return name


def as_preset(trial: Experiment, original: Experiment, gpu: str, model: str | None, description: str) -> Experiment:
    """A trial's experiment as the preset that it becomes."""
    assert trial.tuned is not None
    return replace(
        trial,
        name=preset_name(original.name, gpu, model),
        description=description,
        by_name_only=original.by_name_only,
        tuned=replace(trial.tuned, gpu=gpu, model=model),
    )


def with_presets(catalog: Catalog, results: Path) -> Catalog:
    """The catalogue with the presets of a results folder behind its own experiments, each behind what it was made of.

    A UsageError names the file and the entry for one that can't be read, or that takes a name which there is already.
    """
    path = results / PRESETS_FILE
    if not path.exists():
        return catalog
    try:
        presets = read_entries(Experiment, path, "experiments")
    except UsageError as error:
        raise UsageError(f"{error}; mend it, or move the file away to do without its presets") from error
    for name, preset in presets.items():
        if name in catalog.experiments:
            raise UsageError(f"{path}: {name}: there is an experiment of that name; rename the entry or remove it")
        if preset.tuned is None or preset.tuned.gpu is None:
            raise UsageError(f"{path}: {name}: tuned: says for which gpu it was tuned; tune again or remove the entry")
        if preset.image not in catalog.images:
            raise UsageError(f"{path}: {name}: there is no image {preset.image}; tune again or remove the entry")
    ordered: dict[str, Experiment] = {}
    for name, experiment in catalog.experiments.items():
        ordered[name] = experiment
        ordered |= {other: preset for other, preset in presets.items() if preset.tuned and preset.tuned.of == name}
    return replace(catalog, experiments={**ordered, **presets})


def add_preset(results: Path, preset: Experiment) -> Path:
    """Write the preset into the results folder's file, in the place of an earlier one of its name; the file's path."""
    path = results / PRESETS_FILE
    kept = read_entries(Experiment, path, "experiments") if path.exists() else {}
    entries = {**kept, preset.name: preset}
    text = yaml.safe_dump(
        {"experiments": {name: _plain(entry) for name, entry in entries.items()}}, sort_keys=False, width=120
    )
    write_atomically(path, HEADER + text)
    return path


def _plain(experiment: Experiment) -> Mapping[str, Any]:
    """An entry's fields without its name, which is its key, and without those that hold their default."""
    encoded, usual = codec.encode(experiment), codec.encode(_bare(experiment))
    return {field: value for field, value in encoded.items() if field != "name" and value != usual.get(field, ...)} | {
        field: encoded[field] for field in ("optimization", "description", "backend", "image")
    }


def _bare(experiment: Experiment) -> Experiment:
    return Experiment(
        name=experiment.name,
        optimization=experiment.optimization,
        description=experiment.description,
        backend=experiment.backend,
        image=experiment.image,
    )
