"""Whether prepared weights are still the bytes that were prepared: hashed as they are made, and again when a file was
touched since.

A flipped bit in a tensor raises no error anywhere; it only makes worse summaries.
"""

import contextlib
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.files import read_json, write_json
from pipeline.spec import JobWeights
from pipeline.weights import MANIFEST_FILE, weights_folder, weights_sha256


def are_intact(weights: JobWeights, model: str, cache: Path) -> bool:
    """Whether the weights have the hash of their manifest. Files that look as they did when last hashed are not read.

    What was seen is noted beside the folder, where that can be written to.
    """
    if _read(_note(weights, model, cache)) == _seen(weights, model, cache):
        return True
    if weights_sha256(cache / weights.path) != weights.sha256:
        return False
    note_hashed(weights, model, cache)
    return True


def note_hashed(weights: JobWeights, model: str, cache: Path) -> None:
    """Note that the files as they are now have the hash of their manifest: whoever made them has just hashed them."""
    with contextlib.suppress(OSError):
        write_json(_note(weights, model, cache), _seen(weights, model, cache))


def discard(weights: JobWeights, model: str, cache: Path) -> None:
    """Make the weights count as absent, so that they are prepared again."""
    (weights_folder(cache, model, weights.format) / MANIFEST_FILE).unlink(missing_ok=True)


def _note(weights: JobWeights, model: str, cache: Path) -> Path:
    folder = weights_folder(cache, model, weights.format)
    return folder.with_name(f".{folder.name}.hashed.json")


def _seen(weights: JobWeights, model: str, cache: Path) -> dict[str, Any]:
    return {"sha256": weights.sha256, "files": _stamps(weights_folder(cache, model, weights.format))}


def _stamps(folder: Path) -> dict[str, list[int]]:
    """Size, and time of change in nanoseconds, which moves whenever content or attributes do and can't be set back."""
    return {
        path.relative_to(folder).as_posix(): [path.stat().st_size, path.stat().st_ctime_ns]
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _read(note: Path) -> Any:
    try:
        return read_json(note)
    except UsageError:
        return None
