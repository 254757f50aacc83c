"""JSON files of a model, which others wrote."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.files import read_bytes, read_json

LARGEST_TOKENIZER_BYTES = 1 << 28


def read_fields(path: Path, where: str) -> Mapping[str, Any]:
    """A small file's fields, by name. where: how errors name the model."""
    return _fields(read_json(path), path, where)


def read_tokenizer(path: Path, where: str) -> Mapping[str, Any]:
    """The same for tokenizer.json, whose vocabulary read_json would take seconds to look through for faults."""
    try:
        content = json.loads(read_bytes(path, LARGEST_TOKENIZER_BYTES))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: {path.name}: not valid JSON; fetch or save the model again") from error
    return _fields(content, path, where)


def _fields(content: Any, path: Path, where: str) -> Mapping[str, Any]:
    if not isinstance(content, dict):
        raise UsageError(f"{where}: {path.name}: expected fields; fetch or save the model again")
    return content
