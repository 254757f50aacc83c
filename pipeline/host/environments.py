"""Virtual environments made from locks: one per image, variant and lock, kept and reused."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from images.install import WHEELHOUSE, InstallError, build_environment, build_key, install, install_steps
from pipeline.errors import BenchmarkError
from pipeline.files import write_atomically
from pipeline.host.building import build_variables
from pipeline.locks import exclusive
from pipeline.plan import REPOSITORY, lock_path
from pipeline.spec import Image, Variant

READY_FILE = "ready"


def environment_folder(cache: Path, image: Image, variant: Variant) -> Path:
    """Where the environment of an image's variant lies; another lock, or another build, means another folder."""
    lock = lock_path(image, variant).read_text(encoding="utf-8")
    return cache / "envs" / f"{image.name}-{variant.name}-{build_key(lock, build_variables(image, variant))}"


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
            _make(cache, folder, image, variant, log)
            write_atomically(ready, lock_path(image, variant).name + "\n")
    return folder


def _make(cache: Path, folder: Path, image: Image, variant: Variant, log: Path) -> None:
    python = find_python(variant.python)
    if python is None:
        raise BenchmarkError(f"image {image.name}: needs Python {variant.python}, which this machine lacks")
    if folder.exists():
        shutil.rmtree(folder)  # left half made by a process that died
    log.parent.mkdir(parents=True, exist_ok=True)
    variables = build_variables(image, variant)
    environment = build_environment(folder, variables, os.environ)
    lock = lock_path(image, variant).read_text(encoding="utf-8")
    steps = install_steps(lock, variant.index, variant.build_packages, WHEELHOUSE)
    builds = cache / "builds" / build_key(lock, variables)
    with log.open("wb") as output:

        def call(arguments: Sequence[str]) -> bool:
            output.write(f"$ {' '.join(arguments)}\n".encode())
            output.flush()
            return subprocess.run(arguments, stdout=output, stderr=output, env=environment, check=False).returncode == 0

        try:
            install(python, folder, steps, call, builds)
        except InstallError as error:
            raise BenchmarkError(f"image {image.name}: {error}; see {log}") from error


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
