"""Virtual environments made from locks: one per image, variant and lock, kept and reused."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from images.install import KEY_DIGITS, WHEELHOUSE, InstallError, build_environment, build_key, install, install_steps
from pipeline.entries import Image, Variant
from pipeline.errors import BenchmarkError
from pipeline.files import create_anew, write_atomically
from pipeline.host.building import build_variables
from pipeline.host.leftovers import OWNER_VARIABLE, kill_job, owner_of_job
from pipeline.host.owner import this_process
from pipeline.jobs import lock_path, lock_sha256
from pipeline.locks import exclusive
from pipeline.machine import cpu_name, slug
from pipeline.plan import REPOSITORY
from pipeline.redact import TOKEN_VARIABLES, is_secret, redact

READY_FILE = "ready"

INHERITED = re.compile(
    # who and where, the language, and where libraries and programs are
    r"HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TERM|XDG_\w+|LD_LIBRARY_PATH|LD_PRELOAD|CC|CXX|MAX_JOBS"
    # devices, threads and memory, as engines and their libraries read them
    r"|(?:BENCHMARK|BITSANDBYTES|BNB|CUDA|CUBLAS|CUDNN|GGML|GOMP|GPU|KMP|LLAMA|MALLOC|MKL|NCCL|NUMEXPR|NVIDIA|OMP"
    r"|OPENBLAS|PYTORCH|TORCH|TORCHINDUCTOR|TRITON|VLLM|XLLAMACPP)_\w+"
    r"|(?:HF|HUGGINGFACE|TOKENIZERS|TRANSFORMERS|FLASH_ATTN|FLASH_ATTENTION)_\w+|PYTHON(?!HOME$|PATH$)\w*"
)
"""The caller's variables that a job gets in an environment, where a container would get none of them."""
INHERITED_FOR_NETWORK = re.compile(r"(?:PIP|UV|CURL|GIT|REQUESTS|SSL)_\w+|(?:https?|no|all|ftp)_proxy", re.IGNORECASE)
"""What reaches the network gets these too: proxies, mirrors, certificates."""


def environment_folder(cache: Path, image: Image, variant: Variant) -> Path:
    """Where the environment of an image's variant lies; another lock, or another build, means another folder."""
    lock = lock_path(image, variant).read_text(encoding="utf-8")
    return cache / "envs" / f"{image.name}-{variant.name}-{build_key(lock, build_variables(image, variant))}"


def is_ready(cache: Path, image: Image, variant: Variant) -> bool:
    """Whether the environment stands complete. The interpreter at hand is as it is."""
    return variant.lock is None or environment_folder(cache, image, variant).joinpath(READY_FILE).exists()


def python_of(cache: Path, image: Image, variant: Variant) -> Path:
    """The interpreter that jobs of the image's variant run in."""
    if variant.lock is None:
        return Path(sys.executable)
    return environment_folder(cache, image, variant) / "bin" / "python"


def compile_cache_folder(cache: Path, image: Image, variant: Variant, gpu: str | None) -> Path:
    """Where engines in that environment keep the kernels that they compile on this device; it outlives their jobs.

    gpu: the GPU's name, as its driver gives it; a variant for CPUs, whose kernels are for the processor that compiled
    them, goes by the processor's. So machines that share a cache folder never take each other's.
    """
    device = slug(gpu if gpu is not None and variant.device == "cuda" else cpu_name())
    if variant.lock is None:
        name = f"{image.name}-{variant.name}-{lock_sha256(image, variant)[:KEY_DIGITS]}"
    else:
        name = environment_folder(cache, image, variant).name
    return cache / "compile" / f"{name}-{device}"


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
    inherited = {name: value for name, value in os.environ.items() if not is_secret(name)}
    owner = owner_of_job(this_process(), 0)  # jobs count from 1
    environment = {**build_environment(folder, variables, inherited), OWNER_VARIABLE: owner}
    lock = lock_path(image, variant).read_text(encoding="utf-8")
    steps = install_steps(lock, variant.index, variant.build_packages, WHEELHOUSE)
    builds = cache / "builds" / build_key(lock, variables)
    with create_anew(log) as output:

        def call(arguments: Sequence[str]) -> bool:
            output.write(f"$ {redact(' '.join(arguments))}\n".encode())
            output.flush()
            return subprocess.run(arguments, stdout=output, stderr=output, env=environment, check=False).returncode == 0

        try:
            install(python, folder, steps, call, builds)
        except InstallError as error:
            raise BenchmarkError(f"image {image.name}: {error}; see {log}") from error
        finally:
            kill_job(owner)  # an interrupt ends pip, not what pip started


def process_environment(
    cache: Path, image: Image, variant: Variant, *, network: bool, gpu: str | None = None
) -> Mapping[str, str]:
    """All environment variables of a worker in the environment of an image's variant, as a container has them.

    What image.yaml declares is not among them: the worker sets it itself, however it is started.
    Of the caller's variables only those of INHERITED are passed on, and none that is named like a secret. network: for
    what fetches, which alone may see the Hub's token. gpu: see compile_cache_folder. Modules in the folder that it
    starts in would break the isolation.
    """
    inherited = {name: value for name, value in os.environ.items() if _is_inherited(name, network=network)}
    own = {
        **(_as_the_caller() if variant.lock is None else _isolated(environment_folder(cache, image, variant))),
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        # an engine's process that renames itself (setproctitle) would write over the variables that it is found by
        "SPT_NOENV": "1",
        "BENCHMARK_IMAGE": image.name,
        "BENCHMARK_VARIANT": variant.name,
        "BENCHMARK_LAUNCHER": "process",
        "BENCHMARK_COMPILE_CACHE": str(compile_cache_folder(cache, image, variant, gpu)),
    }
    return inherited | own


def _isolated(folder: Path) -> dict[str, str]:
    """For an environment's interpreter: it sees its own packages alone, none of the user's site packages."""
    return {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": str(folder),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONNOUSERSITE": "1",
    }


def _as_the_caller() -> dict[str, str]:
    """For the interpreter at hand: it finds the same packages there as in this process, in whichever folder it starts,
    and the programs that they bring.
    """
    kept = {name: os.environ[name] for name in ("VIRTUAL_ENV", "PYTHONHOME") if name in os.environ}
    searched = [Path(path).absolute() for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    programs = [Path(sys.executable).parent, *(path / "bin" for path in searched)]
    return {
        **kept,
        "PATH": os.pathsep.join([*map(str, programs), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(map(str, [REPOSITORY, *searched])),
    }


def _is_inherited(name: str, *, network: bool) -> bool:
    """Whether a worker gets the caller's variable of that name."""
    if name in (*TOKEN_VARIABLES, "HF_TOKEN_PATH"):
        return network
    if is_secret(name):
        return False
    return bool(INHERITED.fullmatch(name) or (network and INHERITED_FOR_NETWORK.fullmatch(name)))
