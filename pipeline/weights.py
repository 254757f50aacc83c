"""Prepared weights in the cache: where they lie, what their manifest says, and whether it still holds.

Only reading, so that the host can ask without an engine; pipeline/worker/prepare.py makes them.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import codec
from pipeline.catalog import Catalog, find
from pipeline.entries import WeightsSource
from pipeline.errors import UsageError
from pipeline.files import read_json, sha256_file, sha256_files, sha256_json, write_json
from pipeline.pickles import pickles_in
from pipeline.spec import JobWeights

MANIFEST_FILE = "manifest.json"
CONVERTERS = Path(__file__).parent / "worker" / "convert"


@dataclass(frozen=True)
class Manifest:
    """What lies beside prepared weights. source_sha256: see source_sha256(). files: bytes by path in the folder."""

    weights: JobWeights
    source_sha256: str
    files: dict[str, int]


def weights_folder(cache: Path, model: str, form: str) -> Path:
    """Where a model's weights of that format lie."""
    return cache / "models" / model / form


def find_source(catalog: Catalog, model: str, form: str) -> WeightsSource:
    """Where that format comes from; a UsageError for an unknown model or format."""
    return find(find(catalog.models, model, "model").weights, form, f"format of {model}'s weights")


def source_sha256(catalog: Catalog, model: str, form: str) -> str:
    """Fingerprint of all that decides how weights come about: the entry, what it is made from, the converters' code.

    Of random weights also the shape that they have, and what config.json says of the model's special tokens.
    """
    source = find_source(catalog, model, form)
    # Which image does the work, whether the Hub asks for a login and how large it is change nothing in the outcome.
    recipe = codec.encode(replace(source, image=None, gated=False))
    sizes = ("size_gb", "bits", "output_bits")
    parts: list[Any] = [{name: value for name, value in recipe.items() if name not in sizes}]
    if source.kind == "synthetic":
        entry = find(catalog.models, model, "model")
        parts.append([codec.encode(entry.architecture), entry.bos_id, *entry.eos_ids])
    if source.convert_from is not None:
        parts.append(source_sha256(catalog, model, source.convert_from))
        parts.append(sha256_files(CONVERTERS, list(CONVERTERS.glob("*.py"))))
    return sha256_json(parts)


def read_weights(catalog: Catalog, model: str, form: str, cache: Path) -> JobWeights | None:
    """The prepared weights; None where there are none, where files are missing, or where the recipe has changed.

    Fast: compares the files' sizes with the manifest, not their contents.
    """
    folder = weights_folder(cache, model, form)
    expected = source_sha256(catalog, model, form)
    manifest = _read_manifest(folder)
    if manifest is None or manifest.source_sha256 != expected or file_sizes(folder) != manifest.files:
        return None
    return manifest.weights


def opened_bytes(cache: Path, weights: JobWeights) -> int:
    """Size of what an engine reads: the one file, or the folder's *.safetensors."""
    opened = cache / weights.path
    files = [opened] if opened.is_file() else opened.glob("*.safetensors")
    return sum(path.stat().st_size for path in files)


def weights_sha256(opened: Path) -> str:
    """SHA-256 of the file that an engine opens, else of all *.safetensors in the folder, else of its pickles."""
    if opened.is_file():
        return sha256_file(opened)
    pickled = [opened / name for name in pickles_in(opened)]
    return sha256_files(opened, pickled or list(opened.rglob("*.safetensors")))


def write_manifest(folder: Path, weights: JobWeights, source: str) -> None:
    """Record what the folder holds. source: source_sha256() of the weights."""
    content = {**codec.encode(weights), "source_sha256": source, "files": file_sizes(folder)}
    write_json(folder / MANIFEST_FILE, content)


def file_sizes(folder: Path) -> dict[str, int]:
    """Bytes of every file in the folder but the manifest, by path relative to it."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST_FILE
    }


def _read_manifest(folder: Path) -> Manifest | None:
    """None where it is missing, damaged or of another version: the weights are then made again."""
    try:
        content = read_json(folder / MANIFEST_FILE)
        source, files = content.pop("source_sha256"), content.pop("files")
        value = {"weights": content, "source_sha256": source, "files": files}
        return codec.decode(Manifest, value, str(folder / MANIFEST_FILE))
    except (UsageError, AttributeError, KeyError, TypeError):
        return None
