"""The interpreter at hand as an image's variant (--env current): made by one function on the host and in the worker.

Nothing is installed into it, so what stands for a lock is what is installed there.
"""

import platform
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from importlib import metadata
from typing import Literal

from pipeline.catalog import Catalog
from pipeline.entries import Device, Image, Variant
from pipeline.files import sha256_json
from pipeline.names import Name

Env = Literal["own", "current"]
"""What --env takes. own: an environment for each image, from its lock. current: the one that runs the command."""

CURRENT_VARIANTS: Mapping[Device, Name] = {"cpu": "current-cpu", "cuda": "current-cuda"}
"""By device, since one interpreter may serve both: PyTorch built for CUDA computes on the CPU too."""

NO_VERSION = "unknown"
"""Of a distribution whose metadata names none."""

WORKER_PACKAGES = ("pyyaml", "rouge-score")
"""What a job needs beside its engine, in any environment (images/worker.in)."""

RECORDS = ("RECORD", "direct_url.json")
"""What pip notes of a distribution's files and of where it came from."""


def env_of(variant: str | None) -> Env:
    """The environment of a job that ran in the variant of that name."""
    return "current" if variant in CURRENT_VARIANTS.values() else "own"


def in_environment(catalog: Catalog, env: Env) -> Catalog:
    """The catalogue as --env has it. current: each image's variants are this interpreter, once a device that it has."""
    if env == "own":
        return catalog
    images = {image.name: replace(image, variants=_current_variants(image)) for image in catalog.images.values()}
    return replace(catalog, images=images)


def _current_variants(image: Image) -> tuple[Variant, ...]:
    return tuple(_current_variant(image, device) for device in dict.fromkeys(item.device for item in image.variants))


def _current_variant(image: Image, device: Device) -> Variant:
    declared = [item.environment for item in image.variants if item.device == device]
    return Variant(
        name=CURRENT_VARIANTS[device],
        device=device,
        python=_minor_version(),
        lock=None,
        environment={name: value for environment in declared for name, value in environment.items()},
    )


def missing_engine(image: Image, variant: Variant) -> str | None:
    """Why no job of the image can run in this interpreter; None where its engine and what that needs are there."""
    engine = image.engine_packages(variant)
    there = not engine or any(name in installed_packages() for name in engine)
    return missing_packages([*([] if there else engine[:1]), *image.needs_packages, *WORKER_PACKAGES])


def missing_packages(packages: Iterable[str]) -> str | None:
    """What of these packages this interpreter lacks, in words; None where it has them all."""
    lacking = [name for name in packages if name not in installed_packages()]
    return f"{sys.executable} lacks {' and '.join(lacking)}" if lacking else None


@cache
def installed_packages() -> Mapping[str, str]:
    """Version of every distribution that this interpreter sees, by its name as indexes normalise it (PEP 503), sorted.

    Looked up once a process.
    """
    return {name: _field(distribution, "Version") or NO_VERSION for name, distribution in _distributions().items()}


@cache
def _distributions() -> Mapping[str, metadata.Distribution]:
    """By name, sorted. Of two of one name the first on sys.path, which is the one that is imported."""
    found: dict[str, metadata.Distribution] = {}
    for distribution in metadata.distributions():
        name = _field(distribution, "Name")
        if name:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution)
    return dict(sorted(found.items()))


def _field(distribution: metadata.Distribution, name: str) -> str | None:
    """Of its metadata; None where that lacks it: half removed by pip, or damaged (not UTF-8, say)."""
    try:
        if name not in distribution.metadata:
            return None
        return distribution.metadata[name]
    except (ValueError, TypeError, OSError):
        return None


@cache
def packages_sha256() -> str:
    """What stands for a lock's SHA-256: over this Python's minor version and all that is installed.

    A package counts with its version, its files' hashes as pip recorded them and where it came from, so that one that
    was built anew under the same version is another. An editable install records no files, and its edits don't show.
    """
    lines = [
        [name, installed_packages()[name], *(_recorded(distribution, file) for file in RECORDS)]
        for name, distribution in _distributions().items()
    ]
    return sha256_json([_minor_version(), lines])


def _recorded(distribution: metadata.Distribution, file: str) -> str | None:
    try:
        return distribution.read_text(file)
    except (ValueError, OSError):
        return None


def _minor_version() -> str:
    return ".".join(platform.python_version_tuple()[:2])
