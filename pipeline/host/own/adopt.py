"""--model's values that the catalogue does not list, made entries of it: recorded ones, folders, the Hub's."""

import dataclasses
import re
from pathlib import Path

from pipeline import codec
from pipeline.catalog import Catalog, find, with_models
from pipeline.entries import Model
from pipeline.errors import BenchmarkError, UsageError
from pipeline.host.arguments import Arguments
from pipeline.host.own.folder import describe_own, fingerprint, lay_out
from pipeline.host.own.hub import describe_repository
from pipeline.names import LONGEST_NAME, RepoId, Revision, check_name
from pipeline.own_models import FILE, read_own, record_own, with_own_models
from pipeline.plain import shown

RECORDED = ("run", "prepare", "tune")
"""Actions that go on to fetch weights. The others describe a model and leave no trace."""
FINGERPRINT_DIGITS = 8
GGUF = ".gguf"


def adopt(arguments: Arguments, catalog: Catalog) -> tuple[Arguments, Catalog]:
    """The command line with every model by the name of its entry, and the catalogue with all of those.

    Each is described once: a repository that the cache has a record of stays at that commit, without network. A folder
    whose files changed is another model. Raises one BenchmarkError for all that can't be had, or UsageError.
    """
    known = with_own_models(catalog, arguments.cache)
    names, faults = [], []
    for given in arguments.models:
        if given in known.models:
            names.append(given)
            continue
        try:
            origin, model = _described(given, known)
        except UsageError:
            raise
        except BenchmarkError as error:
            faults.append(str(error))
            continue
        names.append(model.name)
        if model.name not in known.models:
            known = with_models(known, {model.name: model}, arguments.cache / FILE)
            if arguments.action in RECORDED:
                record_own(arguments.cache, origin, model)
    if faults:
        raise BenchmarkError("\n  ".join(faults))
    return dataclasses.replace(arguments, models=tuple(dict.fromkeys(names))), known


def lay_out_folders(models: list[Model], cache: Path) -> None:
    """Lay the files of those models that are in folders of the user's own into the cache."""
    own = read_own(cache)
    for model in models:
        if any(source.source == "folder" for source in model.weights.values()):
            lay_out(Path(own[model.name].origin), model, cache)


def _described(given: str, known: Catalog) -> tuple[str, Model]:
    """What it is of, and the entry."""
    path = Path(given).expanduser()
    if path.is_dir() or (path.suffix == GGUF and path.is_file()):
        origin = path.resolve()
        revision = fingerprint(origin)
        name = _name(origin, revision)
        return str(origin), known.models.get(name) or describe_own(origin, name, revision)
    if path.is_absolute() or given.startswith((".", "~")) or path.suffix == GGUF:
        raise UsageError(f"--model {shown(given)}: there is no such folder, and no {GGUF} file")
    repo, _, revision = given.partition("@")
    if "/" not in repo:
        find(known.models, given, "model")  # raises, with the nearest names
    codec.decode(RepoId, repo, f"--model {given}")
    codec.decode(Revision | None, revision or None, f"--model {given}")  # type: ignore[arg-type]
    name = repo.replace("/", "--") + (f"--{revision.replace('/', '-')}" if revision else "")
    check_name(name, f"--model {given}")
    return given, known.models.get(name) or describe_repository(repo, revision or None, name)


def _name(origin: Path, revision: str) -> str:
    """Of its own name what a path of the results can hold, and of its fingerprint enough to tell its states apart."""
    own = origin.name.removesuffix(GGUF)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", own).strip(".-_") or "model"
    return f"{plain[: LONGEST_NAME // 2]}--{revision[:FINGERPRINT_DIGITS]}"
