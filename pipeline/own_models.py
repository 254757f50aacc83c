"""Models that --model named and the catalogue does not list, as the cache records them: each described once.

<cache>/models.own.json is written by the orchestrator and read on both sides, so that an image knows them by name too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import codec
from pipeline.catalog import Catalog, with_models
from pipeline.entries import Model
from pipeline.files import read_json, write_json
from pipeline.locks import exclusive
from pipeline.names import Name

FILE = "models.own.json"


@dataclass(frozen=True)
class OwnModel:
    """origin: what --model was given, a folder as absolute path. model: the fields of entries.Model but its name."""

    origin: str
    model: Mapping[str, Any] = field(default_factory=dict)


def laid_out(cache: Path, name: str) -> Path:
    """The folder in the cache with the files of a model of the user's own folder."""
    return cache / "folders" / name


def read_own(cache: Path) -> dict[str, OwnModel]:
    """Those recorded, by name. A UsageError for a damaged file names it."""
    path = cache / FILE
    return codec.decode(dict[Name, OwnModel], read_json(path), str(path)) if path.exists() else {}


def record_own(cache: Path, origin: str, model: Model) -> None:
    """Add a model, or replace the one of its name."""
    fields = {name: value for name, value in codec.encode(model).items() if name != "name"}
    cache.mkdir(parents=True, exist_ok=True)
    with exclusive(cache / f".{FILE}.lock"):
        known = {**read_own(cache), model.name: OwnModel(origin, fields)}
        write_json(cache / FILE, codec.encode(dict(sorted(known.items()))))


def with_own_models(catalog: Catalog, cache: Path) -> Catalog:
    """The catalogue with the models that the cache records. A UsageError names the file and the field at fault."""
    path = cache / FILE
    own = {
        name: codec.decode(Model, {"name": name, **one.model}, f"{path}: {name}")
        for name, one in read_own(cache).items()
        if name not in catalog.models
    }
    return with_models(catalog, own, path)
