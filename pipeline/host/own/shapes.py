"""How many parameters a checkpoint has, by the shapes of its tensors, which stand at the head of every safetensors
file (https://huggingface.co/docs/safetensors)."""

import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.files import open_regular
from pipeline.plain import parse_json

Shape = tuple[int, ...]

LARGEST_HEADER_BYTES = 100_000_000
"""As the format's own readers have it."""
LENGTH_BYTES = 8
CODES_PER_WORD = 8
"""Of 4 bits in each number of an AWQ checkpoint's qweight."""

_IN_A_BLOCK = re.compile(r"\.(?:layers|h|blocks)\.\d+\.")
_BESIDE_CODES = (".qzeros", ".scales", ".g_idx")


@dataclass(frozen=True)
class Counts:
    """Parameters: all of them, those of the blocks' linear layers, and those of the output layer (None: not told)."""

    parameters: int
    linear: int
    output: int | None


def count(shapes: Mapping[str, Shape], tied: bool) -> Counts:
    """By the names that transformers gives tensors. tied: the output layer is the embeddings again."""
    linear = rest = 0
    embeddings = output = None
    for name, shape in shapes.items():
        size = math.prod(shape)
        if name.endswith(_BESIDE_CODES):
            continue
        if name.endswith(".qweight"):
            linear += size * CODES_PER_WORD
        elif _IN_A_BLOCK.search(name) and len(shape) >= 2:
            linear += size
        elif tied and name == "lm_head.weight":
            continue  # a copy, which some checkpoints hold
        else:
            rest += size
        if name.endswith("embed_tokens.weight"):
            embeddings = size
        elif name == "lm_head.weight":
            output = size
    return Counts(linear + rest, linear, embeddings if tied else output)


def read_shapes(folder: Path) -> dict[str, Shape]:
    """Of all tensors of a folder's *.safetensors, by name. A UsageError names a file that is damaged."""
    return {name: shape for path in sorted(folder.glob("*.safetensors")) for name, shape in _read(path).items()}


def _read(path: Path) -> dict[str, Shape]:
    try:
        with open_regular(path) as stream:
            (length,) = struct.unpack("<Q", stream.read(LENGTH_BYTES))
            header = stream.read(length) if length <= LARGEST_HEADER_BYTES else b""
        found = parse_json(header, str(path))
        return {name: tuple(map(int, entry["shape"])) for name, entry in found.items() if name != "__metadata__"}
    except (OSError, UsageError, struct.error, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: no whole safetensors file ({error}); fetch or save it again") from error
