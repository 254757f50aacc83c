"""The files of a model in a folder or a file of the user's own: their fingerprint, and they laid into the cache."""

import shutil
import tempfile
from fnmatch import fnmatch
from pathlib import Path

from pipeline.entries import Model
from pipeline.errors import UsageError
from pipeline.files import sha256_file, sha256_json
from pipeline.own_models import laid_out
from pipeline.placing import place

TAKEN = ("*.safetensors", "*.json", "tokenizer.model", "merges.txt", "LICENSE*", "NOTICE*", "Notice*")
"""What engines open, and the licence; none of the pickles that may lie beside."""
TEMPLATE_FILE = "chat_template.jinja"
HASHED_BYTES = 100_000_000
"""Larger files are told apart by size and time of change, since hashing them would hold every command up."""


def fingerprint(origin: Path) -> str:
    """40 hexadecimal digits that change with its files, the template included. origin: a folder, or a .gguf file."""
    template = origin / TEMPLATE_FILE  # which the prompts have in them, and no engine is given
    files = [*taken(origin), *([template] if template.is_file() else [])]
    return sha256_json([[path.name, _stamp(path)] for path in files])[:40]


def taken(origin: Path) -> list[Path]:
    """The files that are laid into the cache, by name: of a folder, or the one .gguf file."""
    if origin.is_file():
        return [origin]
    folder = origin
    found = [path for path in folder.iterdir() if path.is_file() and any(fnmatch(path.name, kind) for kind in TAKEN)]
    return sorted(found)


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
