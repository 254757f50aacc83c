"""The images' names, and what each is made of: an image with the same content is the same, wherever it was built."""

import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pipeline.entries import Image, Variant
from pipeline.files import sha256_files, sha256_json
from pipeline.host.building import build_variables
from pipeline.jobs import lock_path
from pipeline.plan import REPOSITORY

PREFIX = "summarisation-benchmark"
CONTENT_LABEL = f"{PREFIX}.content"
BASE_LABEL = "org.opencontainers.image.base.name"
CONTENT_DIGITS = 12

DOCKERFILE = REPOSITORY / "images" / "Dockerfile"
BUILD_SCRIPTS = [REPOSITORY / "images" / name for name in ("install.py", "system-packages.sh")]
PACKAGE = REPOSITORY / "pipeline"
HOST_ONLY = ("commands", "host", "report", "comparison", "tuning", "legacy")
"""The parts of the package that .dockerignore keeps out of the images."""


def alias(image: Image, variant: Variant) -> str:
    """The name that people and compose.yaml use; it moves with each build."""
    return f"{repository(image)}:{variant.name}"


def reference(image: Image, variant: Variant, registry: str | None = None) -> str:
    """The name that holds the content's digest: what an orchestrator of this very checkout runs."""
    return f"{repository(image, registry)}:{variant.name}-{content(image, variant)[:CONTENT_DIGITS]}"


def repository(image: Image, registry: str | None = None) -> str:
    """An image's name without its tag, on this machine or in a registry (HOST/NAME)."""
    prefix = f"{registry.rstrip('/')}/" if registry else ""
    return f"{prefix}{PREFIX}/{image.name}"


def content(image: Image, variant: Variant) -> str:
    """SHA-256 over every file that goes into the image, and what its packages are built with.

    The base is not among them: see BASE_LABEL.
    """
    declared = REPOSITORY / "images" / image.name / "image.yaml"
    own = sha256_files(REPOSITORY, [DOCKERFILE, *BUILD_SCRIPTS, declared, lock_path(image, variant)])
    return sha256_json([own, _package_sha256(), build_variables(image, variant)])


@cache
def _package_sha256() -> str:
    """Once a command: an edit while it runs is the next command's business."""
    carried = [path for path in PACKAGE.rglob("*") if path.is_file() and _carried(path.relative_to(PACKAGE))]
    return sha256_files(PACKAGE, carried)


def _carried(path: Path) -> bool:
    return path.parts[0] not in HOST_ONLY and "__pycache__" not in path.parts


def build_arguments(
    image: Image, variant: Variant, base: str | None = None, build_base: str | None = None
) -> Mapping[str, str]:
    """The arguments of images/Dockerfile. base, build_base: instead of the variant's own."""
    given = {
        "BASE": base or variant.base,
        "BUILD_BASE": build_base or variant.build_base,
        "IMAGE": image.name,
        "VARIANT": variant.name,
        "SYSTEM_PACKAGES": " ".join(variant.system_packages),
        "BUILD_SYSTEM_PACKAGES": " ".join(variant.build_system_packages),
        "INDEX": variant.index,
        "BUILD_PACKAGES": " ".join(variant.build_packages),
        "BUILD_ENVIRONMENT": shlex.join(f"{name}={value}" for name, value in build_variables(image, variant).items()),
    }
    return {name: value for name, value in given.items() if value}
