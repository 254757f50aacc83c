"""What the publishing workflow builds, as a GitHub Actions matrix: `python -m images.matrix --registry ghcr.io/OWNER`.

One entry for every image and variant that has a base. Bases without a digest get the one that their registry has now.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline import codec
from pipeline.catalog import load_catalog
from pipeline.entries import Image, Variant
from pipeline.errors import BenchmarkError, UsageError
from pipeline.host.docker.engine import Engine
from pipeline.host.docker.images import build_arguments, reference, repository
from pipeline.host.docker.labels import labels, project_version, source_url


@dataclass(frozen=True)
class Entry:
    """One build. tags, labels, build_arguments: a line each, as docker/build-push-action takes them.

    self_check: it runs on a machine without a GPU. compiles: packages are built from source, which takes hours.
    """

    image: str
    variant: str
    registry: str
    base: str
    build_base: str
    self_check: bool
    compiles: bool
    tags: str
    labels: str
    build_arguments: str


@dataclass(frozen=True)
class Target:
    """What all builds share. registry: HOST/NAME. revision: the commit. version: None leaves its tag where it is."""

    registry: str
    revision: str
    version: str | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the matrix on one line. Exit status: 0; 1 where there can't be one."""
    parser = argparse.ArgumentParser(prog="python -m images.matrix", description="Print the publishing matrix.")
    parser.add_argument("--registry", required=True, metavar="HOST/NAME", help="where the images are pushed to")
    parser.add_argument("--revision", default="", metavar="COMMIT", help="the commit that they are built from")
    parser.add_argument("--release", metavar="TAG", help="the release's tag, v and the version; names the images too")
    options = parser.parse_args(arguments)
    try:
        # registries take lower case alone, and an owner's name may hold capitals
        target = Target(options.registry.lower(), options.revision, released_version(options.release))
        print(json.dumps({"include": codec.encode(list(entries(load_catalog().images, target, _digest_now)))}))
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def released_version(tag: str | None) -> str | None:
    """The version that a release's tag names; a UsageError where it is another than this checkout's."""
    version = project_version()
    if tag not in (None, f"v{version}"):
        raise UsageError(f"tag {tag} is not v{version}, the version in pyproject.toml; tag the commit that sets it")
    return version if tag else None


def entries(images: Mapping[str, Image], target: Target, digest_of: Callable[[str], str]) -> Iterator[Entry]:
    """Every image and variant that has a base. digest_of: what a registry has a name under."""
    for image in images.values():
        for variant in image.variants:
            if variant.base:
                yield _entry(image, variant, target, digest_of)


def _entry(image: Image, variant: Variant, target: Target, digest_of: Callable[[str], str]) -> Entry:
    base, build_base = (_with_digest(name, digest_of) for name in (variant.base or "", variant.build_base or ""))
    tags = [reference(image, variant, target.registry)]
    if target.version:
        tags.append(f"{repository(image, target.registry)}:{variant.name}-{target.version}")
    given = {**build_arguments(image, variant, base, build_base), "REVISION": target.revision}
    return Entry(
        image=image.name,
        variant=variant.name,
        registry=target.registry,
        base=base,
        build_base=build_base,
        self_check=variant.device == "cpu",
        compiles=bool(variant.build_packages),
        tags="\n".join(tags),
        labels=_lines(labels(image, variant, base, source_url())),
        build_arguments=_lines(given),
    )


def _with_digest(name: str, digest_of: Callable[[str], str]) -> str:
    return name if "@" in name or not name else f"{name}@{digest_of(name)}"


def _digest_now(name: str) -> str:
    return Engine.connect().digest_in_registry(name)


def _lines(values: Mapping[str, str]) -> str:
    return "\n".join(f"{name}={value}" for name, value in values.items())


if __name__ == "__main__":
    sys.exit(main())
