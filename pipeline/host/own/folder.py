"""A model in a folder or a file of the user's own: what it says, its fingerprint, and its files laid into the cache."""

import shutil
import tempfile
from fnmatch import fnmatch
from pathlib import Path

from pipeline.entries import Model, WeightsSource
from pipeline.errors import UsageError
from pipeline.files import read_bytes, sha256_file, sha256_json
from pipeline.host.own.describe import SMALL_FILES, TEMPLATE_FILE, WHOLE_TOKENIZER, Checkpoint, describe
from pipeline.host.own.gguf import describe_gguf
from pipeline.host.own.reading import read_fields, read_tokenizer
from pipeline.host.own.shapes import read_shapes
from pipeline.host.own.template import LARGEST_TEMPLATE
from pipeline.own_models import laid_out
from pipeline.placing import place

TAKEN = ("*.safetensors", "*.json", "*.jinja", "tokenizer.model", "merges.txt", "LICENSE*", "NOTICE*", "Notice*")
"""What engines open, and the licence; none of the pickles that may lie beside."""
HASHED_BYTES = 100_000_000
"""Larger files are told apart by size and time of change, since hashing them would hold every command up."""
GB = 1e9


def fingerprint(origin: Path) -> str:
    """40 hexadecimal digits that change with any of the files that are taken. origin: a folder, or a .gguf file."""
    return sha256_json([[path.name, _stamp(path)] for path in taken(origin)])[:40]


def taken(origin: Path) -> list[Path]:
    """The files that are laid into the cache, by name: of a folder, or the one .gguf file."""
    if origin.is_file():
        return [origin]
    folder = origin
    found = [path for path in folder.iterdir() if path.is_file() and any(fnmatch(path.name, kind) for kind in TAKEN)]
    return sorted(found)


def describe_own(origin: Path, name: str, revision: str) -> Model:
    """The entry of the model there. revision: its fingerprint. A UsageError says what is missing or unusable."""
    size_gb = round(sum(path.stat().st_size for path in taken(origin)) / GB, 6)
    if origin.is_file():
        return describe_gguf(origin, name, revision, size_gb)
    return _describe_folder(origin, name, revision, size_gb)


def _describe_folder(folder: Path, name: str, revision: str, size_gb: float) -> Model:
    files = taken(folder)
    if not any(path.suffix == ".safetensors" for path in files):
        raise UsageError(
            f"--model {folder}: no *.safetensors in it; name a folder with a model's weights in that format"
        )
    template, whole = folder / TEMPLATE_FILE, folder / WHOLE_TOKENIZER
    found = Checkpoint(
        where=str(folder),
        small={file: read_fields(folder / file, str(folder)) for file in SMALL_FILES if (folder / file).is_file()},
        shapes=read_shapes(folder),
        template=read_bytes(template, LARGEST_TEMPLATE).decode(errors="replace") if template.is_file() else None,
        whole_tokenizer=lambda: read_tokenizer(whole, str(folder)) if whole.is_file() else None,
    )
    source = WeightsSource("folder", revision=revision, size_gb=size_gb)
    return describe(found, name, f"the model in {folder.name}, a folder of your own", "see its folder", source)


def lay_out(origin: Path, model: Model, cache: Path) -> None:
    """Lay its files into the cache, whole or not at all, where they aren't there yet.

    A UsageError where they changed since the model was described, or are gone.
    """
    target = laid_out(cache, model.name)
    if target.is_dir():
        return
    revisions = {source.revision for source in model.weights.values() if source.source == "folder"}
    if not origin.exists() or fingerprint(origin) not in revisions:
        raise UsageError(f"{origin}: changed since {model.name} was made of it, or gone; name it with --model again")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{model.name}."))
    try:
        for path in taken(origin):
            place(path, temporary / path.name)
        temporary.chmod(0o755)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _stamp(path: Path) -> object:
    known = path.stat()
    return sha256_file(path) if known.st_size <= HASHED_BYTES else [known.st_size, known.st_mtime_ns]
