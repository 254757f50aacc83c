"""Fill images/wheelhouse with the files of locks, for builds that reach no index: `python -m images.wheelhouse NAME…`.

pip fetches them under its own configuration, with every hash checked. A lock is for one Python, and so are its wheels:
run this with that Python.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence

from images.install import WHEELHOUSE, InstallStep, install_steps, python_of
from pipeline.catalog import IMAGES, find, load_catalog
from pipeline.errors import BenchmarkError, UsageError
from pipeline.spec import Image, Variant


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
        if wanted and not any(_download(wanted, options) for options in step.attempts):
            raise BenchmarkError(f"{image.name} ({variant.name}): pip can't fetch its packages; see above")


def only(step: InstallStep, packages: Sequence[str] | None) -> str:
    """A step's requirements, or those of the named packages among them."""
    blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", step.requirements)
    return "".join(block for block in blocks if packages is None or block.partition("==")[0] in packages)


def _download(requirements: str, options: Sequence[str]) -> bool:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--dest", str(WHEELHOUSE), *options, "--requirement", "/dev/stdin"]
    return subprocess.run(command, input=requirements, text=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
