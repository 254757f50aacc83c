"""CUDA's libraries in NVIDIA's Python packages, for engines that are linked with them and don't look there."""

import ctypes
import importlib
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

ORDER = ("libcudart.so.*", "libcublasLt.so.*", "libcublas.so.*")
"""Each before those that are linked with it."""


def import_with_cuda(name: str, load: Callable[[str], Any] = ctypes.CDLL) -> Any:
    """Import a module that is linked with CUDA's libraries, after loading those that are installed beside it.

    The dynamic linker then takes them for what the module asks for by the same name, wherever the environment lies.
    Raises ImportError and OSError as importing and loading do.
    """
    for library in installed_libraries(Path(sysconfig.get_path("platlib"))):
        load(str(library))
    return importlib.import_module(name)


def installed_libraries(packages: Path) -> list[Path]:
    """NVIDIA's packages have a folder each for CUDA 12, one in common for CUDA 13. packages: site-packages."""
    return [path for pattern in ORDER for path in sorted(packages.glob(f"nvidia/*/lib/{pattern}"))]
