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

WORKER_PACKAGES = ("pyyaml", "rouge-score")
"""What a job needs beside its engine, in any environment (images/worker.in)."""


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
    """Why no job of the image can run in this interpreter; None where its engine and what every job needs are there."""
    engine = image.engine_packages(variant)
    there = not engine or any(name in installed_packages() for name in engine)
    return missing_packages([*([] if there else engine[:1]), *WORKER_PACKAGES])


def missing_packages(packages: Iterable[str]) -> str | None:
    """What of these packages this interpreter lacks, in words; None where it has them all."""
    lacking = [name for name in packages if name not in installed_packages()]
    return f"{sys.executable} lacks {' and '.join(lacking)}" if lacking else None


@cache
def installed_packages() -> Mapping[str, str]:
    """Version of every distribution that this interpreter sees, by its name as indexes normalise it (PEP 503), sorted.

    Of two of one name the first on sys.path, which is the one that is imported. Looked up once a process.
    """
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:  # left half removed by pip
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution.version)
    return dict(sorted(found.items()))


def packages_sha256() -> str:
    """What stands for a lock's SHA-256: over this Python's minor version and all that is installed."""
    lines = [f"{name}=={version}" for name, version in installed_packages().items()]
    return sha256_json([f"python=={_minor_version()}", *lines])


def _minor_version() -> str:
    return ".".join(platform.python_version_tuple()[:2])
