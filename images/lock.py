"""Compile every image's requirements into its locks: one a variant, complete, every file pinned by its SHA-256.

Run from the repository's root as `python -m images.lock [NAME…]`, which is what `make lock` does. A lock is compiled
from <variant>.in beside it, the files that this includes with -r, <variant>.excludes where there is one (packages to
leave out of the closure) and uv.toml. Versions in an existing lock are kept as long as the requirements allow them;
delete the lock to move to newer ones. With --check nothing is written: each lock is resolved as its image installs it.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.catalog import IMAGES, find, load_catalog
from pipeline.entries import Image, Variant
from pipeline.errors import BenchmarkError, UsageError
from pipeline.files import write_atomically

PLATFORM = "x86_64-manylinux_2_28"
UV_CONFIG = IMAGES / "uv.toml"
# The Python that a lock is for need not be on this machine: nothing is installed.
_UV = (sys.executable, "-m", "uv", "pip")
COMPILE = (*_UV, "compile", "--no-header", "--no-python-downloads")
INSTALL = (*_UV, "install", "--dry-run", "--require-hashes", "--no-python-downloads")


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile, or check, the locks of the named images, or of all of them.

    Exit status: 0; 1 where a lock can't be compiled or resolved; 2 for bad usage.
    """
    parser = argparse.ArgumentParser(prog="python -m images.lock", description="Compile the images' locks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="an image's name (all of them by default)")
    parser.add_argument(
        "--without-index",
        action="store_true",
        help="don't add the variant's own index: the default index, or UV_FIND_LINKS, has those wheels",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; see that each lock resolves for its Python and platform, and that its files are to be had",
    )
    options = parser.parse_args(arguments)
    work = check_lock if options.check else compile_lock
    try:
        images = load_catalog().images
        for image in [find(images, name, "image") for name in options.names] or images.values():
            for variant in image.variants:
                path = work(image, variant, with_index=not options.without_index)
                print(path.relative_to(IMAGES.parent))
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 0


def compile_lock(image: Image, variant: Variant, with_index: bool = True) -> Path:
    """Write a variant's lock and return its path. Raises BenchmarkError where the resolver finds no solution."""
    folder = IMAGES / image.name
    lock = folder / variant.lock
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / variant.lock
        if lock.exists():
            shutil.copy(lock, output)  # the versions in it are the resolver's first choice
        done = subprocess.run(
            [
                *(*COMPILE, f"{variant.name}.in", "--quiet", "--generate-hashes", "--output-file", str(output)),
                *resolver_options(variant.python, excludes(variant, folder), [variant.index] if with_index else []),
            ],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise BenchmarkError(f"{image.name}, {variant.name}: no lock\n{done.stderr}")
        write_atomically(lock, header(variant, folder) + output.read_text(encoding="utf-8"))
    return lock


def check_lock(image: Image, variant: Variant, with_index: bool = True) -> Path:
    """Resolve a variant's lock as it stands, for its Python and platform; the lock's path.

    Nothing is installed or downloaded but metadata, so a lock for a GPU can be checked on any machine. Raises
    BenchmarkError, in the resolver's words, where a dependency is missing from it, two pins exclude each other, or a
    version has no file for that platform with a hash that the lock names.
    """
    folder = IMAGES / image.name
    lock = folder / variant.lock
    with tempfile.TemporaryDirectory() as target:
        done = subprocess.run(
            [
                *(*INSTALL, "--quiet", "--requirement", str(lock), "--target", target),
                *resolver_options(variant.python, excludes(variant, folder), [variant.index] if with_index else []),
            ],
            capture_output=True,
            text=True,
        )
    if done.returncode != 0:
        raise BenchmarkError(f"{image.name}, {variant.name}: the lock does not resolve\n{done.stderr}")
    return lock


def header(variant: Variant, folder: Path) -> str:
    """The comment that a lock begins with. It changes with whatever the lock was compiled from or for."""
    return (
        f"# compiled from {variant.name}.in by `make lock`; do not edit\n"
        f"# for Python {variant.python}, {PLATFORM}\n"
        f"# inputs sha256: {inputs_sha256(variant, folder)}\n"
    )


def inputs_sha256(variant: Variant, folder: Path) -> str:
    """SHA-256 over the contents of all that decides a lock, in the order in which it is read."""
    digest = hashlib.sha256()
    for path in [*requirement_files(folder / f"{variant.name}.in"), *excludes(variant, folder), UV_CONFIG]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def requirement_files(path: Path) -> list[Path]:
    """A requirements file and those that it includes with -r, itself first."""
    lines = path.read_text(encoding="utf-8").splitlines()
    included = [path.parent / line.removeprefix("-r ").strip() for line in lines if line.startswith("-r ")]
    return [path, *(file for inner in included for file in requirement_files(inner))]


def resolver_options(python: str, leave_out: Sequence[Path], indexes: Sequence[str | None]) -> list[str]:
    """uv's options for a Python's minor version. leave_out: files of packages. indexes: beside the default one."""
    options = ["--config-file", str(UV_CONFIG), "--python-version", python, "--python-platform", PLATFORM]
    options += [part for path in leave_out for part in ("--excludes", str(path))]
    named = list(dict.fromkeys(filter(None, indexes)))
    if named:
        # By default uv takes a package from the first index that has any version of it, and PyTorch's carries old
        # copies of much else.
        options += [part for index in named for part in ("--index", index)] + ["--index-strategy", "unsafe-best-match"]
    return options


def excludes(variant: Variant, folder: Path) -> list[Path]:
    """The file of packages to leave out of the variant's closure, where there is one."""
    path = folder / f"{variant.name}.excludes"
    return [path] if path.exists() else []


if __name__ == "__main__":
    sys.exit(main())
