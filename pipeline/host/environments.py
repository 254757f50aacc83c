"""Virtual environments made from locks: one per image, variant and lock, kept and reused."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import BenchmarkError
from pipeline.files import sha256_file, write_atomically
from pipeline.locks import exclusive
from pipeline.plan import REPOSITORY, lock_path
from pipeline.spec import Image, Variant

READY_FILE = "ready"
LOCK_DIGITS = 12


def environment_folder(cache: Path, image: Image, variant: Variant) -> Path:
    """Where the environment of an image's variant lies; another lock means another folder."""
    digest = sha256_file(lock_path(image, variant))[:LOCK_DIGITS]
    return cache / "envs" / f"{image.name}-{variant.name}-{digest}"


def compile_cache_folder(cache: Path, image: Image, variant: Variant) -> Path:
    """Where engines in that environment keep the kernels that they compile; it outlives their jobs."""
    return cache / "compile" / environment_folder(cache, image, variant).name


def find_python(version: str) -> str | None:
    """An interpreter of that minor version: this one, or the first on the PATH that really is one and has venv."""
    if "{}.{}".format(*sys.version_info[:2]) == version:
        return sys.executable
    candidate = shutil.which(f"python{version}")
    if candidate is None:
        return None
    probe = "import sys, venv, ensurepip; print('{}.{}'.format(*sys.version_info[:2]))"
    # a version manager's shim can stand on the PATH without the interpreter behind it
    answer = subprocess.run([candidate, "-c", probe], capture_output=True, text=True, check=False)
    return candidate if answer.returncode == 0 and answer.stdout.strip() == version else None


def ensure_environment(cache: Path, image: Image, variant: Variant, log: Path) -> Path:
    """The environment's folder, made first if it isn't there whole. Raises BenchmarkError naming the log."""
    folder = environment_folder(cache, image, variant)
    ready = folder / READY_FILE
    if ready.exists():
        return folder
    with exclusive(cache / "envs" / f".{folder.name}.lock"):
        if not ready.exists():
            _make(folder, image, variant, log)
            write_atomically(ready, lock_path(image, variant).name + "\n")
    return folder


def _make(folder: Path, image: Image, variant: Variant, log: Path) -> None:
    python = find_python(variant.python)
    if python is None:
        raise BenchmarkError(f"image {image.name}: needs Python {variant.python}, which this machine lacks")
    if folder.exists():
        shutil.rmtree(folder)  # left half made by a process that died
    log.parent.mkdir(parents=True, exist_ok=True)
    # Building a package from source needs its image's own switches and the tools installed beside it, such as ninja.
    path = f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = os.environ | image.variables(variant) | {"PATH": path}
    with log.open("wb") as output:

        def call(arguments: Sequence[str]) -> bool:
            output.write(f"$ {' '.join(arguments)}\n".encode())
            output.flush()
            return subprocess.run(arguments, stdout=output, stderr=output, env=environment, check=False).returncode == 0

        if not call([python, "-m", "venv", str(folder)]):
            raise BenchmarkError(f"image {image.name}: the virtual environment could not be made; see {log}")
        inside = [str(folder / "bin" / "python"), "-m"]
        install = [*inside, "pip", "install", "--quiet", "--no-deps", "--no-compile", "--require-hashes"]
        for step in install_steps(lock_path(image, variant).read_text(encoding="utf-8"), variant):
            listed = folder / f"{step.name}.txt"
            write_atomically(listed, step.requirements)
            if not any(call([*install, *options, "--requirement", str(listed)]) for options in step.attempts):
                raise BenchmarkError(f"image {image.name}: its packages could not be installed; see {log}")
        # On all cores, where pip would use one. Some packages ship templates that aren't valid Python: no fault.
        call([*inside, "compileall", "-q", "-j", "0", str(folder / "lib")])


@dataclass(frozen=True)
class InstallStep:
    """A part of a lock that pip installs at once. attempts: options to try in turn until one succeeds."""

    name: str
    requirements: str
    attempts: tuple[tuple[str, ...], ...] = ((),)


def install_steps(lock: str, variant: Variant) -> list[InstallStep]:
    """The lock's requirements in the order to install them.

    Versions with a local part (torch==2.13.0+cpu) are on their vendor's index alone. The user's own pip configuration
    is asked first, since a wheelhouse or mirror may hold them; asking both indexes for everything would let one
    shadow the other.
    """
    parts: dict[str, list[str]] = {"vendor": [], "default": [], "build": []}
    for block in re.split(r"(?m)^(?=[A-Za-z0-9])", lock):
        match = re.match(r"([\w.\-]+)(?:\[[^]]*\])?==(\S+)", block)
        if match is None:
            continue  # the header
        name, version = match.groups()
        part = "build" if name in variant.build_packages else "vendor" if "+" in version else "default"
        parts[part].append(block)
    attempts = {
        "vendor": ((), ("--index-url", variant.index)) if variant.index else ((),),
        "default": ((),),
        "build": (("--no-build-isolation",),),
    }
    return [InstallStep(part, "".join(blocks), attempts[part]) for part, blocks in parts.items() if blocks]


def process_environment(cache: Path, image: Image, variant: Variant, *, network: bool) -> Mapping[str, str]:
    """All environment variables of a worker in the environment of an image's variant, as a container has them.

    What image.yaml declares is not among them: the worker sets it itself, however it is started.
    network: for what fetches, which alone may see the Hub's token. User site packages would break the isolation.
    """
    folder = environment_folder(cache, image, variant)
    secret = () if network else ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH")
    inherited = {name: value for name, value in os.environ.items() if name not in (*secret, "PYTHONHOME", "PYTHONPATH")}
    own = {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": str(folder),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "BENCHMARK_IMAGE": image.name,
        "BENCHMARK_VARIANT": variant.name,
        "BENCHMARK_LAUNCHER": "process",
        "BENCHMARK_COMPILE_CACHE": str(compile_cache_folder(cache, image, variant)),
    }
    return inherited | own
