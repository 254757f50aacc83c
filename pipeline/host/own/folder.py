"""A model in a folder or a file of the user's own, described by what lies there."""

from pathlib import Path

from pipeline.entries import Model, WeightsSource
from pipeline.errors import UsageError
from pipeline.files import read_bytes
from pipeline.host.own.describe import SMALL_FILES, WHOLE_TOKENIZER, Checkpoint, describe
from pipeline.host.own.gguf import describe_gguf
from pipeline.host.own.laying import TEMPLATE_FILE, taken
from pipeline.host.own.reading import read_fields, read_tokenizer
from pipeline.host.own.shapes import read_shapes
from pipeline.host.own.template import LARGEST_TEMPLATE

GB = 1e9


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
