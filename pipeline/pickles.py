"""Weights that are pickles, which can run code when they are opened: refused, unless --allow-pickle trusts them."""

from collections.abc import Iterable
from pathlib import Path, PurePath

from pipeline.errors import BenchmarkError

SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
SAFE = ".safetensors"


def pickles_alone(names: Iterable[str]) -> list[str]:
    """The pickles among the files of a model's folder, of any depth, that engines open for want of safetensors."""
    suffixes = {name: PurePath(name).suffix.lower() for name in names}
    if SAFE in suffixes.values():
        return []
    return sorted(name for name, suffix in suffixes.items() if suffix in SUFFIXES)


def pickles_in(weights: Path) -> list[str]:
    """The same for weights in the cache: a folder, or the one file that an engine opens."""
    return pickles_alone(path.name for path in ([weights] if weights.is_file() else weights.glob("*")))


def require_safe(found: Iterable[str], allowed: bool, where: object) -> None:
    """Raise BenchmarkError where pickles were found and aren't allowed. where: the weights, for the message."""
    names = ", ".join(found)
    if names and not allowed:
        raise BenchmarkError(
            f"{where}: no *{SAFE}, and pickle files are refused ({names}): they can run code when they are opened; "
            "name a repository or revision with safetensors in models.yaml, or trust this one with --allow-pickle"
        )
