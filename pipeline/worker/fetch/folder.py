"""Weights from a folder of the user's own, which the orchestrator has laid into the cache."""

from pathlib import Path

from pipeline.entries import WeightsSource
from pipeline.errors import BenchmarkError
from pipeline.own_models import laid_out
from pipeline.placing import place


def fetch_folder(source: WeightsSource, model: str, target: Path, cache: Path) -> str:
    """Lay the files into target; the fingerprint that the entry has of them. A BenchmarkError where there are none."""
    folder = laid_out(cache, model)
    if not folder.is_dir():
        raise BenchmarkError(
            f"{folder}: the files of {model} aren't there; name its folder with --model of the orchestrator again"
        )
    for path in sorted(folder.iterdir()):
        place(path, target / path.name)
    return source.revision or ""
