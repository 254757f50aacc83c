"""Fill images/wheelhouse with the files of locks, for builds that reach no index: `python -m images.wheelhouse NAME…`.

pip fetches them under its own configuration, with every hash checked. A lock is for one Python, and so are its wheels:
run this with that Python.
"""

import argparse
import re
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from images.install import WHEELHOUSE, InstallStep, install_steps, python_of
from pipeline.catalog import IMAGES, find, load_catalog
from pipeline.entries import Image, Variant
from pipeline.errors import BenchmarkError, UsageError

HASHED = ("--no-deps", "--require-hashes")
FROM_WHEELHOUSE = ("--find-links", str(WHEELHOUSE))


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0; 1 where a file can't be had; 2 for bad usage."""
    parser = argparse.ArgumentParser(prog="python -m images.wheelhouse", description="Fetch the files of locks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="an image's name (all of them by default)")
    parser.add_argument("--variant", default="cpu", metavar="NAME", help="default: %(default)s")
    parser.add_argument("--package", action="append", metavar="NAME", help="only this one of the lock's, repeatable")
    options = parser.parse_args(arguments)
    try:
        images = load_catalog().images
        for image in [find(images, name, "image") for name in options.names] or images.values():
            for variant in image.variants:
                if variant.name == options.variant:
                    fetch(image, variant, options.package)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 0


def fetch(image: Image, variant: Variant, packages: Sequence[str] | None = None) -> None:
    """Fetch a lock's files, or those of some of its packages; what is there already is not fetched again.

    Raises UsageError for another Python than the lock's, BenchmarkError where pip can't have a file.
    """
    lock = (IMAGES / image.name / variant.lock).read_text(encoding="utf-8")
    here = "{}.{}".format(*sys.version_info[:2])
    if python_of(lock) != here:
        raise UsageError(f"{image.name} ({variant.name}) is for Python {python_of(lock)}, this is {here}; run it there")
    for step in install_steps(lock, variant.index, variant.build_packages, WHEELHOUSE):
        wanted = only(step, packages)
        fetched = not wanted or any(_download(wanted, HASHED, options) for options in step.attempts)
        # what is built in isolation is built with tools that no lock names
        tools = [] if step.built else [tool for archive in sources(wanted) for tool in build_tools(archive)]
        if not fetched or (tools and not _download("\n".join(tools), (), FROM_WHEELHOUSE)):
            raise BenchmarkError(f"{image.name} ({variant.name}): pip can't fetch its packages; see above")


def only(step: InstallStep, packages: Sequence[str] | None) -> str:
    """A step's requirements, or those of the named packages among them."""
    blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", step.requirements)
    return "".join(block for block in blocks if packages is None or block.partition("==")[0] in packages)


def sources(requirements: str) -> list[Path]:
    """The source archives among what the wheelhouse has of these requirements."""
    wanted = {f"{name}-{version}" for name, version in re.findall(r"(?m)^([\w.-]+)==([^\s;]+)", requirements)}
    archives = WHEELHOUSE.glob("*.tar.gz")
    return [path for path in archives if path.name.removesuffix(".tar.gz").replace("_", "-").lower() in wanted]


def build_tools(archive: Path) -> list[str]:
    """What a source archive asks for to be built, as pip reads it (PEP 518)."""
    with tarfile.open(archive) as content:
        inner = f"{content.getnames()[0].partition('/')[0]}/pyproject.toml"
        declared = content.extractfile(inner) if inner in content.getnames() else None
        system = tomllib.loads(declared.read().decode()).get("build-system") if declared else None
    return list(system["requires"]) if system else ["setuptools>=40.8.0", "wheel"]


def _download(requirements: str, how: Sequence[str], options: Sequence[str]) -> bool:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *how]
    command += ["--dest", str(WHEELHOUSE), *options, "--requirement", "/dev/stdin"]
    return subprocess.run(command, input=requirements, text=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
