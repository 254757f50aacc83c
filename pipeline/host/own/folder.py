"""A model in a folder of the user's own: what its files say, their fingerprint, and the files laid into the cache."""

import shutil
import tempfile
from fnmatch import fnmatch
from pathlib import Path

from pipeline.entries import Model, WeightsSource
from pipeline.errors import UsageError
from pipeline.files import read_bytes, sha256_file, sha256_json
from pipeline.host.own.describe import SMALL_FILES, TEMPLATE_FILE, WHOLE_TOKENIZER, Checkpoint, describe
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


def fingerprint(folder: Path) -> str:
    """40 hexadecimal digits that change with any of the files that are taken."""
    return sha256_json([[path.name, _stamp(path)] for path in taken(folder)])[:40]


def taken(folder: Path) -> list[Path]:
    """The files of the folder that are laid into the cache, by name."""
    found = [path for path in folder.iterdir() if path.is_file() and any(fnmatch(path.name, kind) for kind in TAKEN)]
    return sorted(found)


def describe_folder(folder: Path, name: str, revision: str) -> Model:
    """The entry of the model in a folder. revision: its fingerprint. A UsageError says what is missing or unusable."""
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
    size = sum(path.stat().st_size for path in files) / GB
    source = WeightsSource("folder", revision=revision, size_gb=round(size, 6))
    return describe(found, name, f"the model in {folder.name}, a folder of your own", "see its folder", source)


def lay_out(folder: Path, model: Model, cache: Path) -> None:
    """Lay the folder's files into the cache, whole or not at all, where they aren't there yet.

    A UsageError where they changed since the model was described, or the folder is gone.
    """
    target = laid_out(cache, model.name)
    if target.is_dir():
        return
    revisions = {source.revision for source in model.weights.values() if source.source == "folder"}
    if not folder.is_dir() or fingerprint(folder) not in revisions:
        raise UsageError(f"{folder}: changed since {model.name} was made of it, or gone; name it with --model again")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{model.name}."))
    try:
        for path in taken(folder):
            place(path, temporary / path.name)
        temporary.chmod(0o755)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _stamp(path: Path) -> object:
    known = path.stat()
    return sha256_file(path) if known.st_size <= HASHED_BYTES else [known.st_size, known.st_mtime_ns]
