"""Make the virtual environment of an image's variant from its lock, with every file checked by its SHA-256.

One installer for both kinds of isolation: the Dockerfile runs it as a script, the process launcher imports it. It needs
the standard library alone, since it runs before anything is installed.
"""

import argparse
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

WHEELHOUSE = Path(__file__).parent / "wheelhouse"
CA_VARIABLE = "PIP_CERT"
CONFIG_VARIABLE = "PIP_CONFIG_FILE"
PACKAGE_FILES = (".whl", ".gz")
KEY_DIGITS = 12

JOBS_VARIABLE = "MAX_JOBS"
"""How many compilers a build may run at once; by default each package decides. It changes no outcome."""
JOBS_ALIASES = ("NPROC",)
"""What packages call it that don't know that name: xllamacpp."""

QUIET = ("--quiet", "--disable-pip-version-check")
PIP_INSTALL = ("pip", "install", *QUIET, "--no-deps", "--no-compile")

Call = Callable[[Sequence[str]], bool]
"""Runs a command, its output where the caller wants it, and tells whether it succeeded."""


class InstallError(Exception):
    """The environment could not be made; the message names the step, the command's output says why."""


@dataclass(frozen=True)
class InstallStep:
    """A part of a lock that pip installs at once. attempts: options to try in turn until one succeeds.

    built: its packages have no wheels that can be used, and are built here.
    """

    name: str
    requirements: str
    attempts: tuple[tuple[str, ...], ...]
    built: bool = False


def install_steps(
    lock: str, index: str | None = None, build_packages: Sequence[str] = (), wheelhouse: Path | None = None
) -> list[InstallStep]:
    """The lock's requirements in the order to install them.

    index: the package index of versions with a local part (torch==2.13.0+cpu), which are there alone. The user's own
    pip configuration is asked first, since a mirror may hold them; asking both indexes for everything would let one
    shadow the other. wheelhouse: a folder of files from these locks; what it holds is fetched from nowhere.
    """
    parts: dict[str, list[str]] = {"vendor": [], "default": [], "build": []}
    for block in re.split(r"(?m)^(?=[A-Za-z0-9])", lock):
        match = re.match(r"([\w.\-]+)(?:\[[^]]*\])?==(\S+)", block)
        if match is None:
            continue  # the header
        name, version = match.groups()
        part = "build" if name in build_packages else "vendor" if "+" in version else "default"
        parts[part].append(block)
    local, plain = _wheelhouse_options(wheelhouse)
    attempts = {
        "vendor": (*local, plain, *([(*plain, "--index-url", index)] if index else [])),
        "default": (*local, plain),
        "build": (*local, plain),
    }
    return [
        InstallStep(part, "".join(blocks), attempts[part], built=part == "build")
        for part, blocks in parts.items()
        if blocks
    ]


def _wheelhouse_options(wheelhouse: Path | None) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """First the attempt without any index, where there is a wheelhouse; then the options that every attempt gets."""
    if wheelhouse is None or not wheelhouse.is_dir():
        return (), ()
    if not any(path.suffix in PACKAGE_FILES for path in wheelhouse.iterdir()):
        return (), ()
    find = ("--find-links", str(wheelhouse))
    return ((*find, "--no-index"),), find


def install(python: str, folder: Path, steps: Sequence[InstallStep], call: Call, builds: Path) -> None:
    """Make a virtual environment in `folder` with that interpreter and install the steps into it.

    builds: where packages are built, kept so that a build that was interrupted goes on where it was, and one that is
    done isn't done again; see build_key. Raises InstallError at the first step that fails in every attempt.
    """
    if not call([python, "-m", "venv", str(folder)]):
        raise InstallError("the virtual environment could not be made")
    inside = [str(folder / "bin" / "python"), "-m"]
    for step in steps:
        listed = folder / f"{step.name}.txt"
        listed.write_text(step.requirements, encoding="utf-8")
        wanted = ["--require-hashes", "--requirement", str(listed)]
        if step.built:
            wanted = [str(wheel) for wheel in build_wheels(inside[0], wanted, step.attempts, builds, call)]
        attempts = ((),) if step.built else step.attempts
        if not any(call([*inside, *PIP_INSTALL, *options, *wanted]) for options in attempts):
            raise InstallError("its packages could not be installed")
    # On all cores, where pip would use one. Some packages ship templates that aren't valid Python: no fault.
    call([*inside, "compileall", "-q", "-j", "0", str(folder / "lib")])


def build_wheels(
    python: str, wanted: Sequence[str], attempts: Sequence[Sequence[str]], builds: Path, call: Call
) -> list[Path]:
    """The wheels of source packages, built in `builds` with that interpreter and against what it has installed.

    wanted: pip's options that name the packages, with their hashes. A package's objects stay in its unpacked folder,
    so a build that ended early compiles only what is missing. Raises InstallError.
    """
    sources, wheels = builds / "sources", builds / "wheels"
    fetch = [python, "-m", "pip", "download", *QUIET, "--no-deps", "--no-build-isolation", "--no-binary", ":all:"]
    if not any(call([*fetch, "--dest", str(sources), *options, *wanted]) for options in attempts):
        raise InstallError("the source of its packages could not be fetched")
    built: list[Path] = []
    for archive in sorted(sources.iterdir()):
        unpacked = builds / archive.name.removesuffix(".tar.gz")
        if not unpacked.exists():
            unpack(archive, builds)
        target = wheels / unpacked.name
        if not any(target.glob("*.whl")):
            make = [python, "-m", "pip", "wheel", "--verbose", "--no-deps", "--no-build-isolation"]
            if not call([*make, "--wheel-dir", str(target), str(unpacked)]):
                raise InstallError(f"{unpacked.name} could not be built; the same again goes on from here")
        built += target.glob("*.whl")
    return built


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a source package into a folder of its name within `folder`, whole or not at all."""
    scratch = folder / f".{archive.name}"
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.unpack_archive(archive, scratch)  # its hash was checked
    [inner] = scratch.iterdir()
    inner.rename(folder / archive.name.removesuffix(".tar.gz"))
    scratch.rmdir()


def build_key(lock: str, environment: Mapping[str, str]) -> str:
    """The name of a folder for builds: of what they are built against (the lock) and with (the variables)."""
    digest = hashlib.sha256(lock.encode())
    for name, value in sorted(environment.items()):
        digest.update(f"\0{name}={value}".encode())
    return digest.hexdigest()[:KEY_DIGITS]


def build_environment(folder: Path, variables: Mapping[str, str], inherited: Mapping[str, str]) -> dict[str, str]:
    """All variables of a build in that virtual environment. variables: the build's own; inherited: this process's."""
    # Building a package from source needs the tools installed beside it, such as ninja.
    path = f"{folder / 'bin'}{os.pathsep}{inherited.get('PATH', os.defpath)}"
    jobs = inherited.get(JOBS_VARIABLE)
    aliases = dict.fromkeys(JOBS_ALIASES, jobs) if jobs else {}
    return {**inherited, **aliases, **variables, "PATH": path}


def python_of(lock: str) -> str | None:
    """The Python that a lock was compiled for, from its header."""
    found = re.search(r"(?m)^# for Python ([\d.]+)", lock)
    return found.group(1) if found else None


def main() -> int:
    """Exit status: 0, or 1 with the reason on standard error."""
    parser = argparse.ArgumentParser(description="Make a virtual environment from a lock.")
    parser.add_argument("lock", type=Path)
    parser.add_argument("folder", type=Path, help="of the virtual environment")
    parser.add_argument("--index", help="a package index for versions with a local part")
    parser.add_argument("--build", nargs="*", default=[], metavar="PACKAGE", help="packages to build, without wheels")
    parser.add_argument(
        "--build-environment", default="", metavar="WORDS", help="NAME=value for building them, quoted as in a shell"
    )
    parser.add_argument("--builds", type=Path, metavar="DIR", help="where they are built, kept between builds")
    parser.add_argument("--wheelhouse", type=Path, metavar="DIR", help="a folder of files from the lock, asked first")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="a CA bundle, used if it is there")
    parser.add_argument("--pip-config", type=Path, metavar="FILE", help="a pip configuration, used if it is there")
    arguments = parser.parse_args()
    lock = arguments.lock.read_text(encoding="utf-8")
    here = "{}.{}".format(*sys.version_info[:2])
    if python_of(lock) != here:
        print(f"error: the lock is for Python {python_of(lock)}, the base has {here}; give another", file=sys.stderr)
        return 1
    for variable, path in ((CA_VARIABLE, arguments.ca), (CONFIG_VARIABLE, arguments.pip_config)):
        if path is not None and path.exists():
            os.environ[variable] = str(path)
    variables = dict(word.split("=", 1) for word in shlex.split(arguments.build_environment))
    os.environ.update(build_environment(arguments.folder, variables, os.environ))
    steps = install_steps(lock, arguments.index, arguments.build, arguments.wheelhouse)
    builds = (arguments.builds or arguments.folder / "builds") / build_key(lock, variables)
    try:
        install(sys.executable, arguments.folder, steps, _call, builds)
    except InstallError as error:
        print(f"error: {error}; see above", file=sys.stderr)
        return 1
    return 0


def _call(command: Sequence[str]) -> bool:
    print("$", *command, flush=True)
    return subprocess.run(command, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
